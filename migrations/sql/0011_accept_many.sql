create or replace function accept_many(
    p_webhooks jsonb, p_bodies bytea, p_messages jsonb, p_statuses jsonb, p_debounce double precision, p_cap double precision
) returns integer[] language plpgsql
-- A plan is made once, for tables that grow, whatever their size is at that moment: row by row, by the index that finds the fewest. For the same
-- reason the tables are the inner side of every join here: of left joins, of lateral ones with a limit or a lock, or of a loop. And what is looked for
-- is the first row at or after it in the order of a unique index, which no other index has: one that has the tenant alone looks as good to a
-- planner who has counted a single row.
set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off set enable_material = off
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
set lock_timeout = '100ms'
as $$
declare
    quiet interval := make_interval(secs => p_debounce);
    longest interval := make_interval(secs => p_cap);
    fresh text[];
    -- The webhooks that came before, and those that are left out; done is both.
    known integer[] := '{}';
    odd integer[] := '{}';
    done integer[];
    -- By the place of a message: its webhook, contact and conversation. By that of a status: its message.
    ws integer[];
    contacts uuid[];
    talks uuid[];
    sent uuid[];
    held uuid[];
    is_new boolean;
    todo integer;
    round integer := 0;
    stored integer;
    turns uuid[];
    parts integer[];
    e record;
begin
    with put as (
        insert into inbox_keys (tenant_id, account_id, event_key)
        select x.tenant_id, x.account_id, x.event_key from jsonb_populate_recordset(null::inbox_keys, p_messages || p_statuses) x order by 2, 3
        on conflict do nothing returning account_id, event_key
    )
    select coalesce(array_agg(account_id || event_key), '{}') into fresh from put;
    if cardinality(fresh) < jsonb_array_length(p_messages) + jsonb_array_length(p_statuses) then
        -- A repeated body may have hundreds: looked up in a list of their hashes.
        select coalesce(array_agg(w) filter (where all_known), '{}'), coalesce(array_agg(w) filter (where not all_known), '{}') into known, odd
        from (select w, bool_and(is_known) as all_known
            from (select x.w, x.account_id || x.event_key not in (select unnest(fresh)) as is_known
                from jsonb_to_recordset(p_messages || p_statuses) as x(w integer, account_id uuid, event_key text)) of_event
            group by w having bool_or(is_known)) of_webhook;
    end if;

    if p_messages <> '[]' then
        for pass in 1..2 loop
            select array_agg(m.w), array_agg(case when m.is_plain then m.contact_id end), array_agg(c.id),
                odd || coalesce(array_agg(m.w) filter (where not m.is_plain and not m.is_new), '{}'), bool_or(m.is_new or (m.is_plain and c.id is null))
            into ws, contacts, talks, odd, is_new
            from (
                select x.w, x.account_id, coalesce(i.contact_id, p.contact_id) as contact_id, i.contact_id is null and p.contact_id is null as is_new,
                    -- As in find_contact: nearly always.
                    coalesce((x.id_kind is null or (i.contact_id is not null and i.retired_at is null))
                    and (x.phone is null or (p.contact_id is not null and p.retired_at is null and p.value = x.phone))
                    and (x.id_kind is null or x.phone is null or i.contact_id = p.contact_id), false) as is_plain
                from (select *, one_number('phone', phone) as norm from jsonb_to_recordset(p_messages)
                    as m(arrival bigint, w integer, tenant_id uuid, account_id uuid, id_kind text, id_value text, phone text) order by arrival) x
                left join lateral (select * from contact_identities h where x.id_kind is not null
                        and (h.tenant_id, h.scope, h.kind, h.norm) >= (x.tenant_id, x.account_id::text, x.id_kind, x.id_value)
                    order by h.tenant_id, h.scope, h.kind, h.norm limit 1) i
                    on i.tenant_id = x.tenant_id and i.scope = x.account_id::text and i.kind = x.id_kind and i.norm = x.id_value
                left join lateral (select * from contact_identities h where x.phone is not null
                        and (h.tenant_id, h.scope, h.kind, h.norm) >= (x.tenant_id, x.account_id::text, 'phone', x.norm)
                    order by h.tenant_id, h.scope, h.kind, h.norm limit 1) p
                    on p.tenant_id = x.tenant_id and p.scope = x.account_id::text and p.kind = 'phone' and p.norm = x.norm
            ) m
            left join lateral (select * from conversations v where m.is_plain and v.closed_at is null
                    and (v.account_id, v.contact_id, v.thread) >= (m.account_id, m.contact_id, '')
                order by v.account_id, v.contact_id, v.thread limit 1) c
                on c.account_id = m.account_id and c.contact_id = m.contact_id and c.thread = '';
            exit when pass = 2 or not is_new;
            -- Who writes for the first time, or for the first time since the conversation was closed.
            for e in
                select x.arrival, x.tenant_id, x.account_id, x.queue, to_jsonb(x) as event
                from jsonb_to_recordset(p_messages) as x(
                    arrival bigint, w integer, tenant_id uuid, account_id uuid, kind text, queue text, identities jsonb, name text, at double precision)
                where talks[x.arrival] is null and x.w <> all (odd) and x.w <> all (known)
                order by x.identities->0->>'kind', one_number(x.identities->0->>'kind', x.identities->0->>'value'), x.arrival
            loop
                insert into conversations (tenant_id, account_id, contact_id, queue)
                values (e.tenant_id, e.account_id, coalesce(contacts[e.arrival], find_contact(e.tenant_id, e.account_id::text, e.event)), e.queue)
                on conflict do nothing;
            end loop;
        end loop;
    end if;
    if p_statuses <> '[]' then
        insert into statuses (tenant_id, account_id, external_id, status, occurred_at, correlation, error_code)
        select x.tenant_id, x.account_id, x.external_id, x.status, x.occurred_at, x.correlation, x.error_code
        from jsonb_populate_recordset(null::statuses, p_statuses) x order by x.account_id, x.external_id, status_rank(x.status)
        on conflict do nothing;
    end if;

    -- From here on it waits for nobody, and looks at what it holds.
    if p_messages <> '[]' then
        select array_agg(free.id) into held from unnest(talks, contacts) as x(talk, contact) cross join lateral (
            select * from conversations c where c.id = x.talk for update skip locked) free
        where free.contact_id = x.contact and free.closed_at is null and free.taken_by is null;
        select odd || coalesce(array_agg(x.w), '{}') into odd
        from jsonb_to_recordset(p_messages) as x(arrival bigint, w integer, account_id uuid, event_key text)
        where coalesce(talks[x.arrival] <> all (held), true)
            -- It came before in standby, or was changed before it came. Not with exists: that may be planned as one look at the whole table.
            or (select true from inbox i where i.account_id = x.account_id and i.event_key = 'standby:' || x.event_key limit 1)
            or (select true from inbox i where i.account_id = x.account_id and i.target = x.event_key and i.kind in ('edit', 'revoke') limit 1);
    end if;
    if p_statuses <> '[]' then
        select array_agg(x.message), odd || coalesce(array_agg(x.w) filter (where not x.is_plain), '{}') into sent, odd
        from (
            select s.w, o.id as message, case when o.id is not null then o.status in ('sending', 'accepted', 'sent', 'delivered', 'read')
                -- The answer to our request and this status may arrive at the same time, as in apply_status.
                else k.id is null and pg_try_advisory_xact_lock(hashtext(s.account_id::text || s.external_id)) end as is_plain
            from jsonb_to_recordset(p_statuses) as s(arrival bigint, w integer, account_id uuid, external_id text, correlation uuid)
            left join outbox o on o.account_id = s.account_id and o.external_id = s.external_id
            left join outbox k on o.id is null and k.id = s.correlation and k.account_id = s.account_id
            order by s.arrival
        ) x;
        select coalesce(array_agg(free.id), '{}') into held from unnest(sent) as x(message)
        cross join lateral (select o.id from outbox o where o.id = x.message for update skip locked) free;
        select odd || coalesce(array_agg(x.w), '{}') into odd
        from jsonb_to_recordset(p_statuses) as x(arrival integer, w integer, account_id uuid, external_id text)
        where case when sent[x.arrival] is not null then sent[x.arrival] <> all (held)
            else (select true from outbox o where o.account_id = x.account_id and o.external_id = x.external_id limit 1) end;
    end if;

    done := known || odd;
    if p_messages <> '[]' then
        -- Each conversation once in a round: how long to wait after a message depends on those before it.
        todo := (select count(*) from unnest(ws) w where w <> all (done));
        while todo > 0 loop
            round := round + 1;
            update conversations c set
                queue = case when starts_with(c.queue, x.queue || '.@') then c.queue else x.queue end,
                ready_at = greatest(c.hold_until, least(now() + quiet * waits_for_more(c, x.event), greatest(now(), coalesce(c.waiting_since, now()) + longest))),
                waiting_since = coalesce(c.waiting_since, now()),
                newest_at = now()
            from (
                select m.event, m.event->>'queue' as queue, row.ctid
                from (select event, talks[n] as talk, row_number() over (partition by talks[n] order by n) as nth
                    from jsonb_array_elements(p_messages) with ordinality as e(event, n) where ws[n] <> all (done)) m
                cross join lateral (select v.ctid from conversations v where v.id = m.talk limit 1) row
                where m.nth = round
            ) x
            where c.ctid = x.ctid;
            get diagnostics stored = row_count;
            todo := todo - stored;
        end loop;
    end if;
    with m as materialized (select * from jsonb_populate_recordset(null::inbox, p_messages) with ordinality),
    bodies as (
        insert into envelopes (tenant_id, id, account_id, body, state)
        select x.tenant_id, x.envelope_id, x.account_id, substr(p_bodies, x.place, x.size), 'parsed'
        from jsonb_to_recordset(p_webhooks) as x(w integer, tenant_id uuid, account_id uuid, envelope_id uuid, place integer, size integer)
        where x.w <> all (done)
    ), concerned as (
        insert into envelope_contacts (tenant_id, envelope_id, contact_id)
        select distinct m.tenant_id, m.envelope_id, contacts[m.ordinality] from m where ws[m.ordinality] <> all (done)
    )
    insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, envelope_id, text, content_type, supported,
        reason, occurred_at, quoted, refers)
    select m.tenant_id, m.account_id, m.event_key, m.kind, contacts[m.ordinality], talks[m.ordinality], m.envelope_id, m.text, m.content_type, m.supported,
        m.reason, m.occurred_at, m.quoted, m.refers
    from m where ws[m.ordinality] <> all (done) order by m.ordinality;
    if p_messages <> '[]' then
        if p_messages @? '$[*].media' then
            insert into media (tenant_id, contact_id, inbox_id, n, kind, reference, media_type)
            select i.tenant_id, i.contact_id, i.id, one.n, one.item->>'kind', one.item->>'reference', one.item->>'media_type'
            from jsonb_to_recordset(p_messages) as m(w integer, account_id uuid, event_key text, media jsonb)
            cross join lateral (select * from inbox where account_id = m.account_id and event_key = m.event_key limit 1) i
            cross join lateral jsonb_array_elements(m.media) with ordinality as one(item, n)
            where m.media is not null and m.w <> all (done);
        end if;
        if exists (select from watchers) then
            perform tell_page(x.talk, x.contact) from unnest(ws, talks, contacts) as x(w, talk, contact)
            cross join lateral (select from watchers where conversation_id = x.talk limit 1) watched
            where x.w <> all (done);
        end if;
    end if;
    if p_statuses <> '[]' then
        -- Of several about one message the furthest.
        with risen as (
            update outbox o set status = x.status, status_at = now(), not_before = null, attention_at = null, reason = null
            from (
                select m.status, row.ctid
                from (select distinct on (1) sent[s.arrival] as id, s.status
                    from jsonb_to_recordset(p_statuses) as s(arrival integer, w integer, status text)
                    where s.w <> all (done) and sent[s.arrival] is not null order by 1, status_rank(s.status) desc) m
                cross join lateral (select v.ctid from outbox v where v.id = m.id limit 1) row
            ) x
            where o.ctid = x.ctid and status_rank(x.status) > status_rank(o.status)
            returning o.turn_id, o.part, o.conversation_id, o.contact_id
        )
        select array_agg(turn_id), array_agg(part), array_agg(conversation_id), array_agg(contact_id) into turns, parts, talks, contacts from risen;
        for e in
            select r.turn, r.part from unnest(turns, parts) as r(turn, part)
            cross join lateral (select from outbox v where v.turn_id = r.turn and v.part = r.part + 1 and v.status = 'queued' limit 1) following
        loop
            -- The platform has sent it: the next part need not wait any longer.
            update outbox set not_before = now() where turn_id = e.turn and part = e.part + 1 and status = 'queued' and not_before > now();
        end loop;
        if exists (select from watchers) then
            perform tell_page(x.talk, x.contact) from unnest(talks, contacts) as x(talk, contact);
        end if;
    end if;
    if odd <> '{}' then
        select coalesce(array_agg(distinct w), '{}') into odd from unnest(odd) w where w <> all (known);
        for e in
            select x.account_id, x.event_key from jsonb_to_recordset(p_messages || p_statuses) as x(w integer, account_id uuid, event_key text)
            where x.w = any (odd) and x.account_id || x.event_key = any (fresh)
        loop
            delete from inbox_keys where account_id = e.account_id and event_key = e.event_key;
        end loop;
    end if;
    return odd;
end
$$;
