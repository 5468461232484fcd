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
        select count(*) as n from (
            select from outbox o join accounts a on a.tenant_id = o.tenant_id and a.id = o.account_id
            where o.not_before <= now() and a.state = 'active' and is_head(o)
            limit 1000
        ) as message
    ) as d
    where s.queue = 'deliver' and d.n > 0
$function$;
