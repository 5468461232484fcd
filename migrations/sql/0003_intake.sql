-- Messages of conversations that a person may have taken over: as before, and echoes and watermarks, and the bot is silent.

-- As before, but the message's row first and then the lock on its id: ending an attempt takes them in this order, too.
create or replace function apply_status(p_account uuid, p_external_id text, p_status text, p_correlation uuid, p_code integer)
returns void language plpgsql as $$
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
$$;

-- As before, and who has one of the two conversations keeps it.
create or replace function join_contacts(p_tenant uuid, p_keep uuid, p_gone uuid) returns void language plpgsql as $$
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

drop function accept_events(uuid, uuid, text, text, bytea, text, jsonb, double precision, double precision);

create function accept_events(
    p_tenant uuid, p_account uuid, p_scope text, p_queue text, p_body bytea, p_quarantine text, p_events jsonb,
    p_debounce double precision, p_cap double precision, p_hold double precision
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
                ready_at = case when c.taken_by is not null then null when excluded.ready_at is null then c.ready_at else greatest(c.hold_until,
                    least(excluded.ready_at, greatest(now(), coalesce(c.waiting_since, now()) + longest))) end,
                waiting_since = case when excluded.newest_at is null then c.waiting_since else coalesce(c.waiting_since, now()) end,
                newest_at = coalesce(excluded.newest_at, c.newest_at)
            returning id into talk;
        end if;
        if e->>'kind' = 'echo' and talk is not null then
            -- Ours, or typed by a person into the platform's own inbox?
            continue when settle_echo(p_account, talk, e->'status'->>'external_id', e->>'text');
            perform answered_elsewhere(talk, e->>'text', p_hold);
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
        if e->'status' ? 'watermark' then
            perform apply_watermark(p_tenant, p_account, p_scope, e->'identities', e->'status'->>'status',
                to_timestamp((e->'status'->>'watermark')::double precision));
            continue;
        end if;
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

create or replace function claim_turn(p_queue text, p_boot uuid, p_lease double precision, p_session double precision) returns jsonb
language plpgsql as $$
declare
    c conversations;
    t turns;
    paused uuid[];
begin
    select coalesce(array_agg(id), '{}') into paused from accounts where state = 'paused';
    loop
        -- First come first served; a talk that is over five minutes late steps behind the fresh ones, newest first.
        -- Both walk along one index and stop at the first: a claim must not cost by the backlog, so nothing is joined or sorted.
        select * into c from conversations
        where queue = p_queue and ready_at <= now() and ready_at > now() - interval '5 minutes'
            and (leased_until is null or leased_until <= now()) and closed_at is null and taken_by is null and account_id <> all (paused)
        order by ready_at limit 1 for update skip locked;
        if not found then
            select * into c from conversations
            where queue = p_queue and ready_at <= now() and (leased_until is null or leased_until <= now())
                and closed_at is null and taken_by is null and account_id <> all (paused)
            order by ready_at desc limit 1 for update skip locked;
        end if;
        if not found then
            return null;
        end if;
        select * into t from turns where conversation_id = c.id and state = 'open';
        if not found then
            if not exists (select from inbox where conversation_id = c.id and turn_id is null and kind = 'message') then
                update conversations set ready_at = null, waiting_since = null where id = c.id;
                continue;
            end if;
            if c.session_at < now() - make_interval(secs => p_session) and not exists (
                select from turns where conversation_id = c.id and finished_at > now() - make_interval(secs => p_session)
            ) then
                c.session_at := now();
            end if;
        end if;
        exit;
    end loop;
    -- While it is leased its next due time is the lease's end: what a dead worker held becomes due by itself.
    update conversations set lease_token = lease_token + 1, leased_by = p_boot, leased_until = now() + make_interval(secs => p_lease),
        ready_at = now() + make_interval(secs => p_lease), session_at = c.session_at, waiting_since = null, hold_until = null
    where id = c.id returning * into c;
    if t.id is null then
        insert into turns (tenant_id, conversation_id, contact_id, number, token, claimed_at)
        select c.tenant_id, c.id, c.contact_id, coalesce(max(number), 0) + 1, c.lease_token, now() from turns where conversation_id = c.id
        returning * into t;
    else
        update turns set token = c.lease_token, claimed_at = now() where id = t.id returning * into t;
    end if;
    update inbox set turn_id = t.id where conversation_id = c.id and turn_id is null and kind = 'message';
    return jsonb_build_object(
        'tenant', c.tenant_id, 'conversation', c.id, 'contact', c.contact_id, 'account', c.account_id, 'queue', c.queue,
        'token', c.lease_token, 'turn', t.id, 'number', t.number, 'tries', t.tries, 'history_from', c.history_from,
        'open_s', extract(epoch from now() - t.opened_at), 'apologised', t.apologised_at is not null,
        'watched', exists (select from watchers w where w.conversation_id = c.id and w.until > now()),
        'stopped', (select stopped_at is not null from contacts where tenant_id = c.tenant_id and id = c.contact_id),
        -- Has the bot never answered this contact? A person's answer is none of the bot's.
        'first', not exists (select from turns h where h.conversation_id = c.id and h.state = 'answered' and h.answered_by is null)
            and not exists (select from conversations v join turns h on h.conversation_id = v.id and h.state = 'answered' and h.answered_by is null
                where v.tenant_id = c.tenant_id and v.contact_id = c.contact_id and v.id <> c.id),
        'identities', (select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'value', value) order by kind, created_at desc), '[]')
            from contact_identities where tenant_id = c.tenant_id and contact_id = c.contact_id),
        'messages', (select jsonb_agg(jsonb_build_object('id', id, 'text', text, 'content_type', content_type, 'supported', supported,
                'event_key', event_key, 'age_s', extract(epoch from now() - coalesce(occurred_at, received_at)))
                -- The platform's clock, since webhooks come in any order.
                order by coalesce(occurred_at, received_at), arrival)
            from inbox where turn_id = t.id),
        'history', (select coalesce(jsonb_agg(jsonb_build_object('number', h.number, 'asked', h.asked, 'answer', h.answer) order by h.number), '[]')
            from turns h where h.conversation_id = c.id and h.state = 'answered' and h.in_history and h.asked is not null and h.answer is not null
                and h.number >= c.history_from),
        'memories', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'text', text) order by created_at desc, id), '[]')
            from (select id, kind, text, created_at from memories
                where tenant_id = c.tenant_id and contact_id = c.contact_id and created_at <= c.session_at
                    -- What was superseded in this session of talk stays until the next one: the prompt's beginning must not change.
                    and (valid_to is null or (superseded_by is not null and valid_to > c.session_at))
                order by created_at desc, id limit 20) as newest)
    );
end
$$;

-- Old bodies and settled watches go; deduplication keys stay as long as the account.
create or replace function keep_house(p_envelope_days integer) returns integer language plpgsql as $$
declare
    cleared integer;
begin
    update envelopes set body = null
    where (tenant_id, id) in (select tenant_id, id from envelopes
        where body is not null and received_at < now() - make_interval(days => p_envelope_days) limit 5000);
    get diagnostics cleared = row_count;
    perform give_back(x.id) from (
        select id from conversations where taken_by is not null and taken_until <= now() order by id limit 500 for update skip locked) x;
    delete from operator_sessions where expires_at < now();
    delete from admin_links where expires_at < now();
    delete from watchers where until < now() - interval '1 minute';
    delete from worker_heartbeats where at < now() - interval '1 day';
    return cleared;
end
$$;
