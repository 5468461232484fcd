create or replace function batches_waiting(p_reserve integer) returns table (queue text, due bigint, running bigint, slots bigint)
language sql stable as $$
    with everybody as (
        select q as queue, h.boot_id, greatest(h.slots - p_reserve, 1) as n,
            exists (select from unnest(h.queues) e where starts_with(e, 'reply.' || substr(q, 7) || '.@')) as engines
        from worker_heartbeats h, unnest(h.queues) q where h.at > now() - interval '15 seconds' and q like 'batch.%' and h.slots > 0
    ), w as (
        select e.queue, e.boot_id, e.n from everybody e
        where e.engines or not exists (select from everybody o where o.queue = e.queue and o.engines)
    ), s as (
        select w.queue, sum(w.n) as n from w group by w.queue
    ), z as (
        select 'batch.' || substr(profile_queue(x.queue), 7) as queue, count(*) as n
        from ((select c.queue from conversations c where c.summarise_at <= now() limit 1000)
            union all (select c.queue from conversations c where c.settle_at <= now() limit 1000)
            union all (select c.queue from conversations c where c.remember_at <= now() limit 1000)
            union all select 'reply.' || t.profile from trial_runs t where t.due_at <= now()) x group by 1
    )
    select s.queue, d.n + coalesce(z.n, 0) + u.n, r.n + p.n, s.n
    from s
    left join z on z.queue = s.queue
    cross join lateral (
        select count(*) as n from (
            select from batches b join batch_items i on i.batch_id = b.id
            where b.queue = s.queue and b.state = 'running' and (b.hold_until is null or b.hold_until <= now()) and i.ready_at <= now()
            limit 1000
        ) as item
    ) as d
    cross join lateral (
        select count(*) as n from batches b join batch_items i on i.batch_id = b.id
        where b.queue = s.queue and i.leased_by is not null and i.ready_at > now()
    ) as r
    cross join lateral (
        select count(*) as n from conversations c
        where profile_queue(c.queue) = 'reply.' || substr(s.queue, 7)
            and c.leased_by is not null and c.leased_until > now()
            and c.leased_by in (select w.boot_id from w where w.queue = s.queue)
    ) as p
    -- After an upgrade there may be millions. Nobody waits for them, so they get one task.
    cross join (
        select count(*) as n from (
            select from conversations c where c.index_to > 0 and (c.settle_at is null or c.settle_at <= now()) limit 1
        ) as conversation
    ) as u
    where d.n + coalesce(z.n, 0) + u.n > 0
$$;
