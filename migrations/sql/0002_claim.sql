-- Handing out work: the best due conversation, with what its turn needs, in one transaction.

create function claim_turn(p_queue text, p_boot uuid, p_lease double precision, p_session double precision) returns jsonb
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
            and (leased_until is null or leased_until <= now()) and closed_at is null and account_id <> all (paused)
        order by ready_at limit 1 for update skip locked;
        if not found then
            select * into c from conversations
            where queue = p_queue and ready_at <= now() and (leased_until is null or leased_until <= now())
                and closed_at is null and account_id <> all (paused)
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

create function renew_leases(p_boot uuid, p_conversations uuid[], p_lease double precision) returns integer language plpgsql as $$
declare
    renewed integer;
begin
    -- A lease that has run out is not revived: a frozen process must not take back what passed to another.
    update conversations set leased_until = now() + make_interval(secs => p_lease),
        ready_at = case when ready_at >= leased_until then now() + make_interval(secs => p_lease) else ready_at end
    where id in (select id from conversations where id = any(p_conversations) and leased_by = p_boot and leased_until > now()
        for update skip locked);
    get diagnostics renewed = row_count;
    return renewed;
end
$$;

create function release_leases(p_boot uuid) returns integer language plpgsql as $$
declare
    freed integer;
begin
    update conversations set leased_until = now(), ready_at = least(ready_at, now())
    where id in (select id from conversations where leased_by = p_boot and leased_until > now() for update skip locked);
    get diagnostics freed = row_count;
    return freed;
end
$$;

-- A worker says that it lives. A restarted one frees what its former self held.
create function heartbeat(p_name text, p_boot uuid, p_queues text[], p_slots integer, p_busy integer, p_first boolean) returns integer
language plpgsql as $$
declare
    before uuid;
    freed integer := 0;
begin
    select boot_id into before from worker_heartbeats where name = p_name for update;
    if p_first and before <> p_boot then
        freed := release_leases(before);
    end if;
    insert into worker_heartbeats (name, boot_id, queues, slots, busy, at) values (p_name, p_boot, p_queues, p_slots, p_busy, now())
    on conflict (name) do update set boot_id = excluded.boot_id, queues = excluded.queues, slots = excluded.slots, busy = excluded.busy,
        at = excluded.at;
    return freed;
end
$$;

-- Only the head of a conversation's outbox may leave: an earlier message that is not settled holds the later ones.
create function is_head(o outbox) returns boolean language sql stable as $$
    select not exists (select from outbox e where e.conversation_id = o.conversation_id and e.seq < o.seq
        and (e.status in ('queued', 'sending') or (e.status = 'unknown' and e.not_before is not null)))
$$;

-- What is due, what runs and what could run, by queue that somebody works on: all that the dispatcher needs for one tick.
-- Counted no further than a tick can use, so that a tick costs by what it publishes and not by the backlog.
create function work_waiting() returns table (queue text, due bigint, running bigint, slots bigint) language sql stable as $$
    with s as (
        select q as queue, sum(h.slots) as n from worker_heartbeats h, unnest(h.queues) q where h.at > now() - interval '15 seconds' group by q
    ), r as (
        select x.queue, count(*) as n from conversations x where x.leased_by is not null and x.leased_until > now() group by x.queue
    )
    select s.queue, d.n, coalesce(r.n, 0), s.n
    from s left join r on r.queue = s.queue
    cross join lateral (
        select count(*) as n from (
            select from conversations x join accounts a on a.tenant_id = x.tenant_id and a.id = x.account_id
            where x.queue = s.queue and x.ready_at <= now() and (x.leased_until is null or x.leased_until <= now())
                and x.closed_at is null and a.state <> 'paused'
            limit 1000
        ) as conversation
    ) as d
    where s.queue <> 'deliver' and d.n > 0
    union all
    select s.queue, d.n, 0, s.n
    from s cross join lateral (
        select count(*) as n from (
            select from outbox o join accounts a on a.tenant_id = o.tenant_id and a.id = o.account_id
            where o.not_before <= now() and a.state = 'active' and is_head(o)
            limit 1000
        ) as message
    ) as d
    where s.queue = 'deliver' and d.n > 0
$$;
