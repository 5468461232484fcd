-- Where conversations wait: placing them in the queues of running engines (reply.PROFILE.@ENGINE; the profile's own queue is
-- reply.PROFILE).

-- The profile's own queue of an engine's queue; any other queue unchanged.
-- Locks: none. Called by: engine_queues, batches_waiting, claim_summary, and queries of the web.
create function profile_queue(p_queue text) returns text language sql immutable parallel safe as $$
    select split_part(p_queue, '.@', 1)
$$;

-- Whether somebody could claim this conversation now, its account aside, which the caller checks.
-- Locks: none. Called by: engine_queues, conversations_to_place, place_conversations.
create function waits(c conversations) returns boolean language sql stable as $$
    select c.ready_at <= now() and (c.leased_until is null or c.leased_until <= now()) and c.closed_at is null and c.taken_by is null
$$;

-- The queues that matter for placing: those of running engines, those of stopped engines where something waits, and their profiles' own
-- queues. slots is 0 where no worker is running; due counts to 1,000. Empty where there are no engines. Each queue with work is found by
-- one lookup in the index, so the cost does not grow with the backlog.
-- Locks: none. Called by: queue_spots, dispatch_tick.
create function engine_queues() returns table (queue text, slots bigint, running bigint, due bigint) language sql stable as $$
    with recursive used as (
        (select c.queue from conversations c where c.ready_at is not null order by c.queue limit 1)
        union all
        select (select c.queue from conversations c where c.ready_at is not null and c.queue > u.queue order by c.queue limit 1)
        from used u where u.queue is not null
    ), alive as (
        select q as queue, sum(h.slots) as slots, array_agg(h.boot_id) as boots from worker_heartbeats h, unnest(h.queues) q
        where h.at > now() - interval '15 seconds' and h.slots > 0 and q like 'reply.%.@%' group by q
    ), listed as (
        select a.queue, a.slots, a.boots from alive a
        union all
        select u.queue, 0, null from used u where u.queue like 'reply.%.@%' and u.queue not in (select a.queue from alive a)
        union all
        select distinct profile_queue(a.queue), 0, null::uuid[] from alive a
    )
    select l.queue, l.slots, r.n, d.n
    from listed l
    cross join lateral (
        select count(*) as n from conversations c where c.leased_by = any(l.boots) and c.leased_until > now() and c.queue = l.queue
    ) as r
    cross join lateral (
        select count(*) as n from (
            select from conversations c join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
            where c.queue = l.queue and c.ready_at <= now() and waits(c) and a.state <> 'paused' limit 1000
        ) as conversation
    ) as d
$$;

-- engine_queues, planned once.
-- Locks: none. Called by: crossing (dispatchers of the version before).
create function queue_spots() returns table (queue text, slots bigint, running bigint, due bigint) language plpgsql stable as $$
begin
    return query select * from engine_queues();
end
$$;

-- From each queue as many waiting conversations as p_most says (one number a queue), the newest due first.
-- Locks: none. Called by: crossing (the dispatcher).
create function conversations_to_place(p_queues text[], p_most integer[]) returns table (queue text, id uuid) language sql stable as $$
    select w.queue, x.id from unnest(p_queues, p_most) as w(queue, most)
    cross join lateral (
        select c.id from conversations c join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
        where c.queue = w.queue and c.ready_at <= now() and waits(c) and a.state <> 'paused'
        order by c.ready_at desc limit w.most
    ) as x
$$;

-- Moves each conversation from one queue to another, if it still waits in the one where it was seen. Returns how many moved.
-- Locks: the conversations; locked ones are skipped. Called by: crossing (the dispatcher).
create function place_conversations(p_ids uuid[], p_before text[], p_after text[]) returns integer language plpgsql as $$
declare
    moved integer;
begin
    with wanted as (
        select c.id, w.after from unnest(p_ids, p_before, p_after) as w(id, before, after)
        join conversations c on c.id = w.id and c.queue = w.before and waits(c)
        for update of c skip locked
    )
    update conversations c set queue = wanted.after from wanted where c.id = wanted.id;
    get diagnostics moved = row_count;
    return moved;
end
$$;
