CREATE OR REPLACE FUNCTION public.work_waiting()
 RETURNS TABLE(queue text, due bigint, running bigint, slots bigint)
 LANGUAGE sql
 STABLE
AS $function$
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
        select sum(lane.n)::bigint as n from (
            -- A lane that asks for a read of the account's health has that to do, if nothing else.
            select greatest(case when x.asks and x.room is not null then 1 else 0 end, (select count(*) from (
                select from outbox o
                where o.account_id = x.account_id and o.not_before <= now() and (o.status <> 'unknown' or x.asks or not x.held) and is_head(o)
                limit least(1000, x.room)
            ) as message)) as n
            from send_lanes() x
        ) as lane
    ) as d
    where s.queue = 'deliver' and d.n > 0
$function$;

drop function dispatch_tick(integer);
