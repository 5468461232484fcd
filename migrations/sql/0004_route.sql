-- Where conversations wait: placing them on the queues of living engines (reply.PROFILE.@ENGINE; the profile's own queue is reply.PROFILE).

-- The profile's own queue of an engine's queue; any other queue as it is.
create function profile_queue(p_queue text) returns text language sql immutable parallel safe as $$
    select split_part(p_queue, '.@', 1)
$$;

-- A conversation that somebody could claim now. Its account is looked at by whoever asks.
create function waits(c conversations) returns boolean language sql stable as $$
    select c.ready_at <= now() and (c.leased_until is null or c.leased_until <= now()) and c.closed_at is null and c.taken_by is null
$$;

-- The queues that placing has to look at: those of engines, living or left behind with something to do, and the profiles' own where an engine
-- lives. Nothing where there are no engines. The queues with work are found by one look into the index for each, however long they are.
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

-- Of each queue so many conversations that wait there, the newest due first.
create function conversations_to_place(p_queues text[], p_most integer[]) returns table (queue text, id uuid) language sql stable as $$
    select w.queue, x.id from unnest(p_queues, p_most) as w(queue, most)
    cross join lateral (
        select c.id from conversations c join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
        where c.queue = w.queue and c.ready_at <= now() and waits(c) and a.state <> 'paused'
        order by c.ready_at desc limit w.most
    ) as x
$$;

-- Moves those that still wait where they were seen.
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

-- As before; and to whom an item belongs, and whether its words may leave the house.
create or replace function claim_item(p_queue text, p_boot uuid, p_lease double precision) returns jsonb language plpgsql as $$
declare
    b batches;
    i batch_items;
begin
    for b in
        select * from batches where queue = p_queue and state = 'running' and (hold_until is null or hold_until <= now()) order by created_at, id
    loop
        loop
            select * into i from batch_items where batch_id = b.id and ready_at <= now() order by ready_at, n limit 1 for update skip locked;
            exit when not found;
            if i.state = 'running' and i.tries >= 9 then
                -- Ten workers died with it in hand: it must not take an eleventh.
                update batch_items set state = 'failed', reason = 'error:lost', ready_at = null, leased_by = null, token = token + 1,
                    finished_at = now() where batch_id = i.batch_id and n = i.n;
                continue;
            end if;
            update batch_items set state = 'running', token = token + 1, leased_by = p_boot, tries = tries + (state = 'running')::integer,
                ready_at = now() + make_interval(secs => p_lease)
            where batch_id = i.batch_id and n = i.n returning * into i;
            return jsonb_build_object('batch', i.batch_id, 'n', i.n, 'token', i.token, 'tries', i.tries, 'request', i.request, 'tenant', b.tenant_id)
                || (select jsonb_build_object('persona', p.text, 'may_leave', x.data_may_leave) from bots x
                    left join personas p on p.tenant_id = x.tenant_id and p.bot_id = x.id and p.version = x.persona_version
                    where x.tenant_id = b.tenant_id and x.id = b.bot_id);
        end loop;
    end loop;
    return null;
end
$$;
