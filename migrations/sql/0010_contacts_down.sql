CREATE OR REPLACE FUNCTION public.join_contacts(p_tenant uuid, p_keep uuid, p_gone uuid)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
    c record;
    kept uuid;
    talks uuid[];
    told uuid[];
begin
    for c in select * from conversations where tenant_id = p_tenant and contact_id = p_gone for update loop
        select id into kept from conversations
        where account_id = c.account_id and contact_id = p_keep and thread = c.thread and closed_at is null for update;
        if c.closed_at is null and kept is not null then
            update turns set state = 'skipped', reason = 'joined', finished_at = now() where conversation_id = c.id and state = 'open';
            update inbox set conversation_id = kept, contact_id = p_keep, turn_id = null
            where conversation_id = c.id and kind = 'message'
                and (turn_id is null or turn_id in (select id from turns where conversation_id = c.id and reason = 'joined'));
            update conversations set taken_by = c.taken_by, taken_at = c.taken_at, taken_until = c.taken_until, ready_at = null
            where id = kept and taken_by is null and c.taken_by is not null;
            update conversations set closed_at = now(), lease_token = lease_token + 1, leased_by = null, leased_until = null, ready_at = null,
                taken_by = null, taken_at = null, taken_until = null
            where id = c.id;
            update conversations set ready_at = case when taken_by is null then now() end, waiting_since = coalesce(waiting_since, now()), newest_at = now()
            where id = kept and exists (select from inbox where conversation_id = kept and turn_id is null and kind = 'message');
        else
            update conversations set lease_token = lease_token + 1, leased_by = null, leased_until = null,
                ready_at = case when taken_by is not null then null when leased_until is null then ready_at else now() end
            where id = c.id;
        end if;
    end loop;
    -- Found through the conversations, which have an index on the contact; the tables below need none.
    select array_agg(id) into talks from conversations where tenant_id = p_tenant and contact_id = p_gone;
    select array_agg(id) into told from turns where conversation_id = any(talks);
    update conversations set contact_id = p_keep where id = any(talks);
    update turns set contact_id = p_keep where id = any(told);
    update inbox set contact_id = p_keep where conversation_id = any(talks);
    update memories set contact_id = p_keep where contact_id = p_gone;
    update media set contact_id = p_keep where contact_id = p_gone;
    update model_calls set contact_id = p_keep where turn_id = any(told);
    update recalls set contact_id = p_keep where turn_id = any(told) and tenant_id = p_tenant;
    update send_attempts set contact_id = p_keep where message_id in (select id from outbox where conversation_id = any(talks));
    update outbox set contact_id = p_keep where conversation_id = any(talks);
    -- The platform's limits on p_gone are met again, if they still exist.
    delete from send_limits where contact_id = p_gone;
    insert into envelope_contacts select tenant_id, envelope_id, p_keep from envelope_contacts
    where tenant_id = p_tenant and contact_id = p_gone on conflict do nothing;
    update contact_identities set contact_id = p_keep where tenant_id = p_tenant and contact_id = p_gone;
    perform join_cases(p_tenant, p_keep, p_gone);
    update contacts set stopped_at = coalesce(contacts.stopped_at, g.stopped_at), name = coalesce(contacts.name, g.name)
    from contacts g where contacts.tenant_id = p_tenant and contacts.id = p_keep and g.tenant_id = p_tenant and g.id = p_gone;
    delete from contacts where tenant_id = p_tenant and id = p_gone;
    -- Of a single-valued kind only the newest fact stays.
    update memories m set valid_to = now(), superseded_by = n.id
    from memories n
    where m.tenant_id = p_tenant and m.contact_id = p_keep and n.contact_id = p_keep and m.single and n.single and m.kind = n.kind
        and m.valid_to is null and n.valid_to is null and (n.created_at, n.id) > (m.created_at, m.id);
end
$function$;
