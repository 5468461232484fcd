-- Batches: claiming and finishing items. Open items of a cancelled batch count as cancelled, so a million rows need no change.

-- Marks a batch as done when none of its items waits or runs.
-- Locks: the batch, if it is done. Called by: finish_item, keep_batches.
create function close_batch(p_batch uuid) returns void language sql as $$
    update batches set state = 'done', finished_at = now(), hold_until = null
    where id = p_batch and state in ('running', 'paused')
        and not exists (select from batch_items where batch_id = p_batch and state = 'waiting')
        and not exists (select from batch_items where batch_id = p_batch and state = 'running')
$$;

-- Adds what an item's calls took (p_spent: tokens, cost, whether they are estimated) to what earlier tries took. Only the last model and
-- endpoint are stored.
-- Locks: the item. Called by: finish_item, hold_item, retry_item.
create function pay_item(p_batch uuid, p_n bigint, p_spent jsonb) returns void language sql as $$
    update batch_items set endpoint = coalesce(p_spent->>'endpoint', endpoint), model = coalesce(p_spent->>'model', model),
        tokens_in = least(coalesce(tokens_in + (p_spent->>'tokens_in')::bigint, (p_spent->>'tokens_in')::bigint, tokens_in), 2147483647),
        tokens_cached = least(coalesce(tokens_cached + (p_spent->>'tokens_cached')::bigint, (p_spent->>'tokens_cached')::bigint, tokens_cached), 2147483647),
        tokens_out = least(coalesce(tokens_out + (p_spent->>'tokens_out')::bigint, (p_spent->>'tokens_out')::bigint, tokens_out), 2147483647),
        cost = coalesce(cost + (p_spent->>'cost')::double precision, (p_spent->>'cost')::double precision, cost),
        estimated = estimated or coalesce((p_spent->>'estimated')::boolean, false)
    where batch_id = p_batch and n = p_n
$$;

-- Claims the first due item of a queue, for p_lease seconds, and returns it with the bot's persona
-- (bots.storage.batch_items.Item); null where nothing is due. Tenants take turns; of one tenant the oldest batch goes first. An item whose lease ended is due again; after ten workers died with it, it
-- fails.
-- Locks: the item; locked ones are skipped. Called by: crossing (workers). Not repeated after a lost connection.
create function claim_item(p_queue text, p_boot uuid, p_lease double precision) returns jsonb language plpgsql as $$
declare
    b batches;
    i batch_items;
    first uuid := tenant_in_turn(p_queue);
begin
    for b in
        select * from batches where queue = p_queue and state = 'running' and (hold_until is null or hold_until <= now())
        order by tenant_id is distinct from first, created_at, id
    loop
        loop
            select * into i from batch_items where batch_id = b.id and ready_at <= now() order by ready_at, n limit 1 for update skip locked;
            exit when not found;
            if i.state = 'running' and i.tries >= 9 then
                -- Ten workers died while they had it: there must not be an eleventh.
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

-- Writes an item's end (p_result: state, answer, reason, what it took), once. Returns false, and writes no answer, for whoever no longer
-- holds it or when the batch was cancelled; the cost is recorded either way. The same call again returns true.
-- Locks: the batch when no item waits any more, then the item. Called by: worker.
create function finish_item(p_batch uuid, p_n bigint, p_token bigint, p_result jsonb) returns boolean language plpgsql as $$
declare
    i batch_items;
begin
    if not exists (select from batch_items where batch_id = p_batch and state = 'waiting') then
        -- The last items lock the batch one after the other, so that one of them sees that it is the last.
        perform from batches where id = p_batch for update;
    end if;
    select * into i from batch_items where batch_id = p_batch and n = p_n for update;
    if not found then
        return false;
    end if;
    if i.token = p_token and i.state = p_result->>'state' then
        -- We committed this ourselves, and the answer was lost on the way.
        return true;
    end if;
    if i.state <> 'running' or i.token <> p_token then
        return false;
    end if;
    if not exists (select from batches where id = p_batch and state in ('running', 'paused')) then
        -- Cancelled meanwhile: the answer is dropped, its cost is recorded, and the slot is free for another batch.
        update batch_items set state = 'cancelled', ready_at = null, leased_by = null, finished_at = now() where batch_id = p_batch and n = p_n;
        perform pay_item(p_batch, p_n, p_result);
        return false;
    end if;
    update batch_items set state = p_result->>'state', answer = p_result->>'answer', reason = p_result->>'reason',
        ready_at = null, leased_by = null, finished_at = now()
    where batch_id = p_batch and n = p_n;
    perform pay_item(p_batch, p_n, p_result);
    perform close_batch(p_batch);
    return true;
end
$$;

-- The model is unavailable: the item waits again, which is not a try, and its whole batch waits p_hold seconds. Returns false for whoever
-- no longer holds the item.
-- Locks: the batch, then the item. Called by: crossing (workers), by the five-argument form.
create function hold_item(p_batch uuid, p_n bigint, p_token bigint, p_hold double precision) returns boolean language plpgsql as $$
begin
    update batches set hold_until = greatest(hold_until, now() + make_interval(secs => p_hold))
    where id = p_batch and state in ('running', 'paused');
    update batch_items set state = 'waiting', ready_at = now(), leased_by = null
    where batch_id = p_batch and n = p_n and token = p_token and state = 'running';
    return found;
end
$$;

-- Like hold_item, and records what the calls took until the model became unavailable.
-- Locks: the batch, then the item. Called by: crossing (workers).
create function hold_item(p_batch uuid, p_n bigint, p_token bigint, p_hold double precision, p_spent jsonb) returns boolean language plpgsql as $$
begin
    if not hold_item(p_batch, p_n, p_token, p_hold) then
        return false;
    end if;
    perform pay_item(p_batch, p_n, p_spent);
    return true;
end
$$;

-- An internal error: the item is due again after p_after seconds, which counts as a try. Returns false for whoever no longer holds it.
-- Locks: the item. Called by: crossing (workers), by the six-argument form.
create function retry_item(p_batch uuid, p_n bigint, p_token bigint, p_after double precision, p_reason text) returns boolean
language plpgsql as $$
begin
    update batch_items set state = 'waiting', ready_at = now() + make_interval(secs => p_after), leased_by = null, tries = tries + 1,
        reason = p_reason
    where batch_id = p_batch and n = p_n and token = p_token and state = 'running';
    return found;
end
$$;

-- Like retry_item, and records what the calls took until the error.
-- Locks: the item. Called by: crossing (workers).
create function retry_item(p_batch uuid, p_n bigint, p_token bigint, p_after double precision, p_reason text, p_spent jsonb) returns boolean
language plpgsql as $$
begin
    if not retry_item(p_batch, p_n, p_token, p_after, p_reason) then
        return false;
    end if;
    perform pay_item(p_batch, p_n, p_spent);
    return true;
end
$$;

-- By batch queue: what is due (items, conversations to summarise or to read for facts, turns to embed, trials of models, and one for all that are to be
-- indexed), what runs, and how many slots batches may take: those of each worker beyond p_reserve, at least one. People who are being answered by those workers take
-- slots, too. Where engines of a profile have workers of their own, only these count: others would ask the same engines.
-- Locks: none. Called by: everything_waiting, dispatch_tick.
create function batches_waiting(p_reserve integer) returns table (queue text, due bigint, running bigint, slots bigint)
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
