create or replace function work_waiting() returns table (queue text, due bigint, running bigint, slots bigint) language sql stable as $$
    with s as (
        select q as queue, sum(h.slots) as n from worker_heartbeats h, unnest(h.queues) q where h.at > now() - interval '15 seconds' group by q
    ), r as (
        select x.queue, count(*) filter (where x.leased_until > now()) as n, count(*) filter (where x.leased_until <= now()) as ended
        from conversations x where x.leased_until is not null group by x.queue
    )
    select s.queue, d.n, coalesce(r.n, 0), s.n
    from s left join r on r.queue = s.queue
    cross join lateral slots_now(s.queue, 1) f
    cross join lateral (
        -- Account by account, so that those of a paused one are not read.
        select count(*) + coalesce(r.ended, 0) as n from (
            select from due_tenants(s.queue, '00000000-0000-0000-0000-000000000000', null) t
                cross join lateral (
                    select from due_accounts(s.queue, t.tenant_id, '00000000-0000-0000-0000-000000000000', null) a
                        cross join lateral (
                            select from conversations c
                            where c.queue = s.queue and c.tenant_id = t.tenant_id and c.account_id = a.account_id and c.ready_at <= now()
                                and c.leased_until is null and c.closed_at is null and c.taken_by is null
                            limit case when f.free is null then 1000
                                else room(slots_of(s.queue, t.tenant_id, a.account_id), f.free, f.total, 1.5) end
                        ) as conversation
                    limit room_of_tenant(s.queue, t.tenant_id, f.free, f.total)
                ) as conversation
            limit 1000
        ) as conversation
    ) as d
    where s.queue <> 'deliver' and d.n > 0
    union all
    select s.queue, d.n, 0, s.n
    from s cross join lateral slots_now(s.queue, 1) f
    cross join lateral (
        select sum(lane.n)::bigint as n from (
            -- A lane that asks for a read of the account's health has that to do, if nothing else. Whether one may be sent takes some pages each:
            -- twice the slots are more than a tick publishes.
            select greatest(case when x.asks and x.room is not null then 1 else 0 end, (select count(*) from (
                select from outbox o
                where o.account_id = x.account_id and o.not_before <= now() and (o.status <> 'unknown' or x.asks or not x.held) and is_head(o)
                limit least(2 * s.n + 64, 1000, x.room, room(slots_held(s.queue, x.account_id, 0), f.free, f.total, 1.5))
            ) as message)) as n
            from send_lanes() x where room(slots_held(s.queue, x.account_id, 0), f.free, f.total, 1.5) > 0
        ) as lane
    ) as d
    where s.queue = 'deliver' and d.n > 0
$$;

create or replace function dispatch_tick(p_reserve integer) returns jsonb language plpgsql stable as $$
begin
    return jsonb_build_object(
        'waiting', (select coalesce(jsonb_agg(w), '[]') from (select * from work_waiting() union all select * from batches_waiting(p_reserve)) w),
        'spots', (select coalesce(jsonb_agg(q), '[]') from engine_queues() q),
        'running', (select count(*) from (select from conversations where leased_by is not null and leased_until > now() limit 16) as conversation),
        'next_s', (select extract(epoch from min(n.ready_at) - now())
            from (select distinct q as queue from worker_heartbeats h, unnest(h.queues) q where h.at > now() - interval '15 seconds') a
            cross join lateral (select c.ready_at from conversations c where c.queue = a.queue and c.ready_at > now() order by c.ready_at limit 1) n));
end
$$;
