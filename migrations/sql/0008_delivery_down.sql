drop function stop_rest(outbox,text);

drop function resume_rest(outbox,boolean);

CREATE OR REPLACE FUNCTION public.climb(p_message uuid, p_status text, p_code integer)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
    m outbox;
begin
    select * into m from outbox where id = p_message for update;
    if not found then
        return;
    end if;
    if p_status = 'failed' then
        if m.status in ('delivered', 'read', 'failed') then
            return;
        end if;
    elsif m.status = 'failed' then
        if p_status not in ('delivered', 'read') then
            return;
        end if;
    elsif status_rank(p_status) <= status_rank(m.status) then
        return;
    end if;
    update outbox set status = p_status, status_at = now(), not_before = null, attention_at = case when p_status = 'failed' then now() end,
        reason = case when p_status = 'failed' then 'platform:' || coalesce(p_code::text, '?') end
    where id = p_message;
    -- The platform has sent it on: the next part need not wait longer.
    update outbox set not_before = now()
    where p_status <> 'accepted' and turn_id = m.turn_id and part = m.part + 1 and status = 'queued' and not_before > now();
    perform tell_page(m.conversation_id, m.contact_id);
end
$function$;

CREATE OR REPLACE FUNCTION public.apply_status(p_account uuid, p_external_id text, p_status text, p_correlation uuid, p_code integer)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
    m record;
begin
    for attempt in 1..2 loop
        select id, external_id into m from outbox where account_id = p_account and external_id = p_external_id for update;
        if not found and p_correlation is not null then
            select id, external_id into m from outbox where id = p_correlation and account_id = p_account for update;
        end if;
        exit when m.id is not null or attempt = 2;
        -- Our own 200 and this status may cross: whoever comes second sees what the first wrote.
        perform pg_advisory_xact_lock(hashtext(p_account::text || p_external_id));
    end loop;
    if m.id is null then
        return;
    end if;
    if m.external_id is null then
        update outbox set external_id = p_external_id where id = m.id;
    end if;
    perform climb(m.id, p_status, p_code);
end
$function$;

CREATE OR REPLACE FUNCTION public.apply_watermark(p_tenant uuid, p_account uuid, p_scope text, p_identities jsonb, p_status text, p_until timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
    m uuid;
begin
    -- In one order: a delivery and a read that come together must not wait for each other.
    for m in
        select o.id from outbox o
        where o.account_id = p_account and o.external_id is not null and o.created_at <= p_until
            and o.created_at > p_until - interval '7 days' and o.status in ('accepted', 'sent', 'delivered')
            and o.conversation_id in (select id from conversations v where v.tenant_id = p_tenant and v.account_id = p_account
                and v.contact_id in (select x.contact_id from jsonb_array_elements(p_identities) i join contact_identities x
                    on x.tenant_id = p_tenant and x.scope = p_scope and x.kind = i->>'kind' and x.value = i->>'value'))
        order by o.seq
    loop
        perform climb(m, p_status, null);
    end loop;
end
$function$;
