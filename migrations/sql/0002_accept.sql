-- Taking events in: keys, contacts, conversations, inbox rows and statuses of one webhook, in one transaction.

create function status_rank(status text) returns integer language sql immutable as $$
    select array_position(array['queued', 'sending', 'unknown', 'accepted', 'sent', 'delivered', 'read'], status)
$$;

create function tell_page(p_conversation uuid, p_contact uuid) returns void language plpgsql as $$
begin
    if exists (select from watchers where conversation_id = p_conversation and until > now()) then
        perform pg_notify('chinwag_talk',
            jsonb_build_object('kind', 'changed', 'conversation', p_conversation, 'contact', p_contact)::text);
    end if;
end
$$;

-- The ladder: climbed, never descended; failed is final unless a later delivered or read says otherwise.
create function climb(p_message uuid, p_status text, p_code integer) returns void language plpgsql as $$
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
$$;

create function apply_status(p_account uuid, p_external_id text, p_status text, p_correlation uuid, p_code integer)
returns void language plpgsql as $$
declare
    m record;
begin
    -- Our own 200 and this status may cross: whoever comes second sees what the first wrote.
    perform pg_advisory_xact_lock(hashtext(p_account::text || p_external_id));
    select id, external_id, account_id into m from outbox where account_id = p_account and external_id = p_external_id;
    if not found and p_correlation is not null then
        select id, external_id, account_id into m from outbox where id = p_correlation and account_id = p_account;
    end if;
    if m.id is null then
        return;
    end if;
    if m.external_id is null then
        update outbox set external_id = p_external_id where id = m.id;
    end if;
    perform climb(m.id, p_status, p_code);
end
$$;

-- Two handles turn out to be one person: everything moves to the older contact; a running turn of the other is fenced.
create function join_contacts(p_tenant uuid, p_keep uuid, p_gone uuid) returns void language plpgsql as $$
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
            update conversations set closed_at = now(), lease_token = lease_token + 1, leased_by = null, leased_until = null, ready_at = null
            where id = c.id;
            update conversations set ready_at = now(), waiting_since = coalesce(waiting_since, now()), newest_at = now()
            where id = kept and exists (select from inbox where conversation_id = kept and turn_id is null and kind = 'message');
        else
            update conversations set lease_token = lease_token + 1, leased_by = null, leased_until = null,
                ready_at = case when leased_until is null then ready_at else now() end
            where id = c.id;
        end if;
    end loop;
    -- By the way of the conversations, which have an index on the contact; the tables below them need none.
    select array_agg(id) into talks from conversations where tenant_id = p_tenant and contact_id = p_gone;
    select array_agg(id) into told from turns where conversation_id = any(talks);
    update conversations set contact_id = p_keep where id = any(talks);
    update turns set contact_id = p_keep where id = any(told);
    update inbox set contact_id = p_keep where conversation_id = any(talks);
    update memories set contact_id = p_keep where contact_id = p_gone;
    update model_calls set contact_id = p_keep where turn_id = any(told);
    update recalls set contact_id = p_keep where turn_id = any(told) and tenant_id = p_tenant;
    update send_attempts set contact_id = p_keep where message_id in (select id from outbox where conversation_id = any(talks));
    update outbox set contact_id = p_keep where conversation_id = any(talks);
    insert into envelope_contacts select tenant_id, envelope_id, p_keep from envelope_contacts
    where tenant_id = p_tenant and contact_id = p_gone on conflict do nothing;
    update contact_identities set contact_id = p_keep where tenant_id = p_tenant and contact_id = p_gone;
    update contacts set stopped_at = coalesce(contacts.stopped_at, g.stopped_at), name = coalesce(contacts.name, g.name)
    from contacts g where contacts.tenant_id = p_tenant and contacts.id = p_keep and g.tenant_id = p_tenant and g.id = p_gone;
    delete from contacts where tenant_id = p_tenant and id = p_gone;
    -- Of a single-valued kind only the newest holds.
    update memories m set valid_to = now(), superseded_by = n.id
    from memories n
    where m.tenant_id = p_tenant and m.contact_id = p_keep and n.contact_id = p_keep and m.single and n.single and m.kind = n.kind
        and m.valid_to is null and n.valid_to is null and (n.created_at, n.id) > (m.created_at, m.id);
end
$$;

-- The contact behind a set of identities; made when there is none, joined when there are two.
create function find_contact(p_tenant uuid, p_scope text, p_identities jsonb, p_name text, p_moves boolean) returns uuid
language plpgsql as $$
declare
    found_ids uuid[];
    contact uuid;
    other uuid;
    placed integer;
begin
    for attempt in 1..5 loop
        select array_agg(id order by created_at, id) into found_ids from (
            select distinct c.id, c.created_at
            from jsonb_array_elements(p_identities) i
            join contact_identities x on x.tenant_id = p_tenant and x.scope = p_scope and x.kind = i->>'kind' and x.value = i->>'value'
            join contacts c on c.tenant_id = p_tenant and c.id = x.contact_id
        ) as owners;
        -- A phone that comes with another business id than its contact's, and without a notice of the change, was given to somebody else:
        -- a stranger must not land in this contact's talk.
        if cardinality(found_ids) = 1 and not p_moves and exists (
            select from contact_identities where tenant_id = p_tenant and scope = p_scope and contact_id = found_ids[1] and kind = 'bsuid'
        ) and exists (
            select from jsonb_array_elements(p_identities) i where i->>'kind' = 'bsuid'
        ) and not exists (
            select from jsonb_array_elements(p_identities) i join contact_identities x on x.tenant_id = p_tenant and x.scope = p_scope
                and x.kind = 'bsuid' and x.value = i->>'value' and x.contact_id = found_ids[1]
            where i->>'kind' = 'bsuid'
        ) then
            delete from contact_identities x using jsonb_array_elements(p_identities) i
            where x.tenant_id = p_tenant and x.scope = p_scope and x.kind = i->>'kind' and x.value = i->>'value';
            found_ids := null;
        end if;
        if found_ids is null then
            insert into contacts (tenant_id, name) values (p_tenant, p_name) returning id into contact;
        else
            contact := found_ids[1];
            foreach other in array found_ids[2:] loop
                perform join_contacts(p_tenant, contact, other);
            end loop;
        end if;
        if found_ids is not null and jsonb_array_length(p_identities) = 1 then
            return contact;
        end if;
        insert into contact_identities (tenant_id, scope, kind, value, contact_id)
        select p_tenant, p_scope, i->>'kind', i->>'value', contact from jsonb_array_elements(p_identities) i
        order by 3, 4
        on conflict do nothing;
        get diagnostics placed = row_count;
        if found_ids is not null or placed = jsonb_array_length(p_identities) then
            return contact;
        end if;
        -- Somebody else made this contact at the same moment: use theirs.
        delete from contact_identities where tenant_id = p_tenant and contact_id = contact;
        delete from contacts where tenant_id = p_tenant and id = contact;
    end loop;
    raise exception 'a contact could not be placed' using errcode = 'serialization_failure';
end
$$;

create function accept_events(
    p_tenant uuid, p_account uuid, p_scope text, p_queue text, p_body bytea, p_quarantine text, p_events jsonb,
    p_debounce double precision, p_cap double precision
) returns jsonb language plpgsql as $$
declare
    envelope uuid := gen_random_uuid();
    fresh text[];
    e jsonb;
    contact uuid;
    talk uuid;
    touched uuid[] := '{}';
    once boolean := false;
    quiet interval := make_interval(secs => p_debounce);
    longest interval := make_interval(secs => p_cap);
begin
    -- All keys at once and in one order: two copies of a batch, shuffled, must not wait for each other in a ring.
    with put as (
        insert into inbox_keys (tenant_id, account_id, event_key)
        select distinct p_tenant, p_account, x->>'key' from jsonb_array_elements(p_events) x order by 3
        on conflict do nothing returning event_key
    )
    select coalesce(array_agg(event_key), '{}') into fresh from put;
    if p_quarantine is not null then
        -- A captured body replays for ever: it is kept once.
        insert into inbox_keys (tenant_id, account_id, event_key) values (p_tenant, p_account, 'quarantine:' || encode(sha256(p_body), 'hex'))
        on conflict do nothing;
        once := found;
    end if;
    if cardinality(fresh) > 0 or once then
        insert into envelopes (tenant_id, id, account_id, body, state, reason)
        values (p_tenant, envelope, p_account, p_body, case when p_quarantine is null then 'parsed' else 'quarantined' end, p_quarantine);
    end if;
    for e in
        select x from jsonb_array_elements(p_events) with ordinality as t(x, n)
        where x->>'key' = any(fresh) and x->>'kind' <> 'status'
        order by x->'identities'->0->>'kind', x->'identities'->0->>'value', n
    loop
        if not (e->>'key' = any(fresh)) then
            continue;
        end if;
        fresh := array_remove(fresh, e->>'key');
        contact := null;
        talk := null;
        if jsonb_array_length(e->'identities') > 0 then
            contact := find_contact(p_tenant, p_scope, e->'identities', e->>'name', e->>'kind' = 'system');
            if e->>'kind' = 'system' then
                -- A change of handle names the new one first: the old one may soon be somebody else's.
                delete from contact_identities x using jsonb_array_elements(e->'identities') with ordinality as i(h, n)
                where x.tenant_id = p_tenant and x.scope = p_scope and x.kind = h->>'kind' and x.value = h->>'value' and exists (
                    select from jsonb_array_elements(e->'identities') with ordinality as j(h2, n2)
                    where h2->>'kind' = h->>'kind' and n2 < n and h2->>'value' <> h->>'value');
            end if;
            touched := touched || contact;
            insert into envelope_contacts values (p_tenant, envelope, contact) on conflict do nothing;
            -- Locks the conversation: finishing a turn takes the same lock before it looks for what came meanwhile.
            insert into conversations as c (tenant_id, account_id, contact_id, queue, ready_at, waiting_since, newest_at)
            select p_tenant, p_account, contact, p_queue,
                case when m then now() + case when at_once then interval '0' else quiet end end,
                case when m then now() end, case when m then now() end
            from (select e->>'kind' = 'message' as m, (e->>'at_once')::boolean as at_once) as is_
            on conflict (account_id, contact_id, thread) where closed_at is null do update set
                queue = excluded.queue,
                ready_at = case when excluded.ready_at is null then c.ready_at else greatest(c.hold_until,
                    least(excluded.ready_at, greatest(now(), coalesce(c.waiting_since, now()) + longest))) end,
                waiting_since = case when excluded.newest_at is null then c.waiting_since else coalesce(c.waiting_since, now()) end,
                newest_at = coalesce(excluded.newest_at, c.newest_at)
            returning id into talk;
        end if;
        insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, envelope_id, text, content_type, supported,
            reason, occurred_at)
        values (p_tenant, p_account, e->>'key', e->>'kind', contact, talk, envelope, e->>'text', e->>'content_type',
            (e->>'supported')::boolean, e->>'reason', to_timestamp((e->>'at')::double precision));
        if talk is not null then
            perform tell_page(talk, contact);
        end if;
    end loop;
    for e in
        select x from jsonb_array_elements(p_events) as t(x)
        where x->>'key' = any(fresh) and x->>'kind' = 'status'
        order by x->'status'->>'external_id', status_rank(x->'status'->>'status')
    loop
        insert into statuses (tenant_id, account_id, external_id, status, occurred_at, correlation, error_code)
        values (p_tenant, p_account, e->'status'->>'external_id', e->'status'->>'status', to_timestamp((e->>'at')::double precision),
            e->'status'->>'correlation', (e->'status'->>'code')::integer)
        on conflict do nothing;
        perform apply_status(p_account, e->'status'->>'external_id', e->'status'->>'status', (e->'status'->>'correlation')::uuid,
            (e->'status'->>'code')::integer);
    end loop;
    return jsonb_build_object('envelope', envelope, 'contacts', to_jsonb(touched));
end
$$;
