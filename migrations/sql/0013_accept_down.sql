drop function is_open_question(uuid,uuid,text);

drop function read_reaction(uuid,uuid,jsonb);

CREATE OR REPLACE FUNCTION public.accept_events(p_tenant uuid, p_account uuid, p_scope text, p_queue text, p_body bytea, p_quarantine text, p_events jsonb, p_debounce double precision, p_cap double precision, p_hold double precision, p_automatic double precision DEFAULT 4, p_envelope uuid DEFAULT NULL::uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
declare
    envelope uuid := coalesce(p_envelope, new_id());
    fresh text[];
    e jsonb;
    contact uuid;
    talk uuid;
    item inbox;
    change inbox;
    holder text;
    is_echo boolean;
    automatic boolean;
    is_own boolean;
    touched uuid[] := '{}';
    kept boolean;
    repeats boolean;
    effects jsonb[] := '{}';
    emptied uuid[] := '{}';
    quiet interval := make_interval(secs => p_debounce);
    longest interval := make_interval(secs => p_cap);
begin
    -- All keys at once and in one order: two copies of a webhook with their events in different orders must not deadlock.
    with put as (
        insert into inbox_keys (tenant_id, account_id, event_key)
        select distinct p_tenant, p_account, x->>'key' from jsonb_array_elements(p_events) x order by 3
        on conflict do nothing returning event_key
    )
    select coalesce(array_agg(event_key), '{}') into fresh from put;
    kept := cardinality(fresh) > 0;
    repeats := kept and cardinality(fresh) < jsonb_array_length(p_events);
    if p_quarantine is not null then
        -- Whoever has captured a request can repeat it for ever, so its body is stored once.
        insert into inbox_keys (tenant_id, account_id, event_key) values (p_tenant, p_account, 'quarantine:' || encode(sha256(p_body), 'hex'))
        on conflict do nothing;
        kept := kept or found;
    end if;
    if kept then
        insert into envelopes (tenant_id, id, account_id, body, state, reason)
        values (p_tenant, envelope, p_account, p_body, case when p_quarantine is null then 'parsed' else 'quarantined' end, p_quarantine)
        on conflict (id, tenant_id) do update set state = excluded.state, reason = excluded.reason,
            -- What another piece of it took back emptied it; an operator needs it.
            body = coalesce(envelopes.body, excluded.body)
        where excluded.state = 'quarantined';
    end if;
    for e in
        select x from jsonb_array_elements(p_events) with ordinality as t(x, n)
        where x->>'key' = any(fresh) and x->>'kind' <> 'status'
        order by x->'identities'->0->>'kind', one_number(x->'identities'->0->>'kind', x->'identities'->0->>'value'), n
    loop
        if not (e->>'key' = any(fresh)) then
            continue;
        end if;
        fresh := array_remove(fresh, e->>'key');
        contact := null;
        talk := null;
        holder := null;
        if jsonb_array_length(e->'identities') > 0 then
            contact := find_contact(p_tenant, p_scope, e);
            touched := touched || contact;
            insert into envelope_contacts values (p_tenant, envelope, contact) on conflict do nothing;
            -- Locks the conversation: finishing a turn takes the same lock before it checks for messages that arrived meanwhile.
            insert into conversations as c (tenant_id, account_id, contact_id, queue, ready_at, waiting_since, newest_at)
            select p_tenant, p_account, contact, p_queue,
                case when m then now() + quiet * case when at_once then 0 else coalesce((e->'waits'->>0)::double precision, 1) end end,
                case when m then now() end, case when m then now() end
            from (select e->>'kind' = 'message' as m, (e->>'at_once')::boolean as at_once) as is_
            on conflict (account_id, contact_id, thread) where closed_at is null do update set
                -- A conversation that was placed with an engine stays there while its bot's profile is the same.
                queue = case when starts_with(c.queue, excluded.queue || '.@') then c.queue else excluded.queue end,
                ready_at = case when c.taken_by is not null then null when excluded.ready_at is null then c.ready_at else greatest(c.hold_until,
                    least(now() + quiet * waits_for_more(c, e), greatest(now(), coalesce(c.waiting_since, now()) + longest))) end,
                waiting_since = case when excluded.newest_at is null then c.waiting_since else coalesce(c.waiting_since, now()) end,
                newest_at = coalesce(excluded.newest_at, c.newest_at)
            returning id, taken_by into talk, holder;
        end if;
        is_echo := e->>'kind' = 'echo' and talk is not null;
        if is_echo then
            -- Did we send it, did the platform do so by itself, or did a person type it into the platform's own inbox?
            if settle_echo(p_account, talk, e->'status'->>'external_id', e->>'text') then
                emptied := emptied || case when is_forgotten_answer(p_account, e->'status'->>'external_id') then envelope end;
                continue;
            end if;
            automatic := is_automatic(p_account, talk, e->>'app_id', e->>'text',
                coalesce(to_timestamp((e->>'at')::double precision), now()), p_automatic);
        end if;
        -- What the business itself changed: only what left the account in the same way.
        is_own := e->>'kind' in ('edit', 'revoke') and starts_with(e->>'key', 'echo:') and not starts_with(e->>'target', 'echo:');
        insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, envelope_id, text, content_type, supported,
            reason, occurred_at, target, quoted, refers)
        values (p_tenant, p_account, e->>'key', e->>'kind', contact, talk, envelope, e->>'text', e->>'content_type',
            (e->>'supported')::boolean, case when is_echo and automatic then 'automatic' else e->>'reason' end, to_timestamp((e->>'at')::double precision),
            case when is_own then 'echo:' else '' end || (e->>'target'), e->>'quoted', e->'refers')
        returning * into item;
        effects := case when e ? 'effect' then effects || e else effects end;
        if contact is not null and e ? 'media' then
            insert into media (tenant_id, contact_id, inbox_id, n, kind, reference, media_type)
            select p_tenant, contact, item.id, n, x->>'kind', x->>'reference', x->>'media_type'
            from jsonb_array_elements(e->'media') with ordinality as m(x, n);
        end if;
        if is_echo and not automatic then
            perform answered_elsewhere(talk, item.id, item.text, p_hold);
        end if;
        if item.kind in ('edit', 'revoke') then
            emptied := emptied || change_message(item, e, quiet);
        elsif item.kind in ('message', 'echo', 'standby', 'unknown') then
            -- It came before, in standby or for the bot, and was forgotten since.
            if exists (select from inbox where account_id = p_account and forgotten_at is not null
                    and event_key = case when starts_with(item.event_key, 'standby:') then substr(item.event_key, 9) else 'standby:' || item.event_key end) then
                update inbox set forgotten_at = now() where id = item.id;
                perform blank_messages(array[item.id]);
                emptied := emptied || envelope;
            end if;
            -- It may have been changed or taken back before it came.
            for change in
                select * from inbox where account_id = p_account and target = regexp_replace(item.event_key, '^standby:', '')
                    and kind in ('edit', 'revoke')
                order by kind = 'revoke', coalesce(occurred_at, received_at), arrival
            loop
                emptied := emptied || change_message(change, '{}', quiet);
            end loop;
        end if;
        if item.kind = 'message' and holder = 'the platform''s inbox' then
            perform release_greeted(talk, p_automatic);
        end if;
        if talk is not null then
            perform tell_page(talk, contact);
        end if;
    end loop;
    for e in
        select x from jsonb_array_elements(p_events) as t(x)
        where x->>'key' = any(fresh) and x->>'kind' = 'status'
        order by x->'status'->>'external_id', status_rank(x->'status'->>'status')
    loop
        if e->'status' ? 'watermark' then
            perform apply_watermark(p_tenant, p_account, p_scope, e->'identities', e->'status'->>'status',
                to_timestamp((e->'status'->>'watermark')::double precision));
            continue;
        end if;
        insert into statuses (tenant_id, account_id, external_id, status, occurred_at, correlation, error_code)
        values (p_tenant, p_account, e->'status'->>'external_id', e->'status'->>'status', to_timestamp((e->>'at')::double precision),
            e->'status'->>'correlation', (e->'status'->>'code')::integer)
        on conflict do nothing;
        effects := case when e ? 'effect' then effects || e else effects end;
        perform apply_status(p_account, e->'status'->>'external_id', e->'status'->>'status', (e->'status'->>'correlation')::uuid,
            (e->'status'->>'code')::integer);
    end loop;
    -- The body of a webhook that repeats a message which was erased since has its words.
    if repeats and exists (select from jsonb_array_elements(p_events) x join inbox i on i.account_id = p_account and i.event_key = x->>'key'
            where i.envelope_id is distinct from envelope and i.content_type in ('erased', 'unsent')) then
        emptied := emptied || envelope;
    end if;
    -- A quarantined body may hold what nobody has stored yet: it waits for an operator, as always.
    if cardinality(emptied) > 0 then
        perform from envelopes where tenant_id = p_tenant and id = any(emptied) order by id for update;
        update envelopes set body = null where tenant_id = p_tenant and id = any(emptied) and state = 'parsed' and body is not null;
    end if;
    -- The account after its messages, as in end_attempt.
    foreach e in array effects loop
        if e ? 'status' or e->'effect'->>'do' = 'slow' then
            perform account_failed(p_account, e->'status', e->'effect');
        else
            perform account_noticed(p_tenant, p_account, e->'effect', to_timestamp((e->>'at')::double precision));
        end if;
    end loop;
    return jsonb_build_object('envelope', envelope, 'contacts', to_jsonb(touched), 'kept', kept);
end
$function$;
