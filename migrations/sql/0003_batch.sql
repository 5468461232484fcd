-- Batches: claiming and finishing items, and what the dispatcher asks.
-- A cancelled batch's open items count as cancelled: nobody has to touch a million rows for that.

create index ix_batch_items_finished on batch_items (batch_id, finished_at) where finished_at is not null;
create index ix_batch_items_leased on batch_items (leased_by) where leased_by is not null;

-- The first due item of the oldest running batch. While it is leased its due time is the lease's end: what a dead worker held comes by itself.
create function claim_item(p_queue text, p_boot uuid, p_lease double precision) returns jsonb language plpgsql as $$
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
            return jsonb_build_object('batch', i.batch_id, 'n', i.n, 'token', i.token, 'tries', i.tries, 'request', i.request,
                'persona', (select p.text from bots x join personas p on p.tenant_id = x.tenant_id and p.bot_id = x.id
                    and p.version = x.persona_version where x.tenant_id = b.tenant_id and x.id = b.bot_id));
        end loop;
    end loop;
    return null;
end
$$;

-- A batch whose last item has ended is done.
create function close_batch(p_batch uuid) returns void language sql as $$
    update batches set state = 'done', finished_at = now(), hold_until = null
    where id = p_batch and state in ('running', 'paused')
        and not exists (select from batch_items where batch_id = p_batch and state = 'waiting')
        and not exists (select from batch_items where batch_id = p_batch and state = 'running')
$$;

-- Writes an item's end into the result, once: false for whoever no longer holds it, or when the batch was cancelled.
create function finish_item(p_batch uuid, p_n bigint, p_token bigint, p_result jsonb) returns boolean language plpgsql as $$
declare
    i batch_items;
begin
    if not exists (select from batch_items where batch_id = p_batch and state = 'waiting') then
        -- The last ones take turns, so that one of them sees that it is the last.
        perform from batches where id = p_batch for update;
    end if;
    select * into i from batch_items where batch_id = p_batch and n = p_n for update;
    if not found then
        return false;
    end if;
    if i.token = p_token and i.state = p_result->>'state' then
        -- Our own commit, whose answer was lost on the way.
        return true;
    end if;
    if i.state <> 'running' or i.token <> p_token then
        return false;
    end if;
    if not exists (select from batches where id = p_batch and state in ('running', 'paused')) then
        -- Cancelled meanwhile: the answer is dropped, and the slot is another batch's.
        update batch_items set ready_at = null, leased_by = null where batch_id = p_batch and n = p_n;
        return false;
    end if;
    update batch_items set state = p_result->>'state', answer = p_result->>'answer', reason = p_result->>'reason', model = p_result->>'model',
        tokens_in = (p_result->>'tokens_in')::integer, tokens_cached = (p_result->>'tokens_cached')::integer,
        tokens_out = (p_result->>'tokens_out')::integer, ready_at = null, leased_by = null, finished_at = now()
    where batch_id = p_batch and n = p_n;
    perform close_batch(p_batch);
    return true;
end
$$;

-- The model is away: the item waits again, which is no try, and the whole batch holds a while.
create function hold_item(p_batch uuid, p_n bigint, p_token bigint, p_hold double precision) returns boolean language plpgsql as $$
begin
    update batches set hold_until = greatest(hold_until, now() + make_interval(secs => p_hold))
    where id = p_batch and state in ('running', 'paused');
    update batch_items set state = 'waiting', ready_at = now(), leased_by = null
    where batch_id = p_batch and n = p_n and token = p_token and state = 'running';
    return found;
end
$$;

-- An error of our own: again after a while.
create function retry_item(p_batch uuid, p_n bigint, p_token bigint, p_after double precision, p_reason text) returns boolean
language plpgsql as $$
begin
    update batch_items set state = 'waiting', ready_at = now() + make_interval(secs => p_after), leased_by = null, tries = tries + 1,
        reason = p_reason
    where batch_id = p_batch and n = p_n and token = p_token and state = 'running';
    return found;
end
$$;

-- What a stopped or dead process held is due at once, whatever it was.
create or replace function release_leases(p_boot uuid) returns integer language plpgsql as $$
declare
    freed integer;
    items integer;
begin
    update conversations set leased_until = now(), ready_at = least(ready_at, now())
    where id in (select id from conversations where leased_by = p_boot and leased_until > now() for update skip locked);
    get diagnostics freed = row_count;
    update batch_items set leased_by = null, ready_at = now()
    where (batch_id, n) in (select batch_id, n from batch_items where leased_by = p_boot and state = 'running' for update skip locked);
    get diagnostics items = row_count;
    return freed + items;
end
$$;

-- Of each batch queue what is due, and what runs in the slots that a batch may take: all but the reserve of each process, and at least one.
-- People who are answered by those processes hold slots, too.
create function batches_waiting(p_reserve integer) returns table (queue text, due bigint, running bigint, slots bigint)
language sql stable as $$
    with w as (
        select q as queue, h.boot_id, greatest(h.slots - p_reserve, 1) as n
        from worker_heartbeats h, unnest(h.queues) q where h.at > now() - interval '15 seconds' and q like 'batch.%' and h.slots > 0
    ), s as (
        select w.queue, sum(w.n) as n from w group by w.queue
    )
    select s.queue, d.n, r.n + p.n, s.n
    from s
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
        where c.queue = 'reply.' || substr(s.queue, 7) and c.leased_by is not null and c.leased_until > now()
            and c.leased_by in (select w.boot_id from w where w.queue = s.queue)
    ) as p
    where d.n > 0
$$;

-- Ends what nobody else ended: batches whose last two items ended in the same moment, and checks that broke off.
create function keep_batches() returns integer language plpgsql as $$
declare
    gone integer;
begin
    perform close_batch(id) from batches where state in ('running', 'paused');
    -- By slices: millions of rows at once would hold up whoever keeps house.
    delete from batch_items where (batch_id, n) in (
        select i.batch_id, i.n from batches b join batch_items i on i.batch_id = b.id
        where b.state = 'checking' and b.touched_at < now() - interval '1 hour' limit 5000);
    delete from batches b where b.state = 'checking' and b.touched_at < now() - interval '1 hour'
        and not exists (select from batch_items i where i.batch_id = b.id);
    get diagnostics gone = row_count;
    return gone;
end
$$;
