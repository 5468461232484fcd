-- Fair shares: whose turn it is, where several tenants or accounts have work and there are not slots enough for all.

-- The next place of a sequence that fills the interval from 0 to 1 evenly, however long it goes on: multiples of the golden ratio.
-- Locks: none. Called by: due_of_tenants, due_of_tenant, account_in_turn, tenant_in_turn.
create function next_lot() returns double precision language sql as $$
    select x - floor(x) from (select nextval('lots') * 0.6180339887498949::double precision) as n(x)
$$;

-- Who gets the next slot, of several with work: whoever has less than its share of the slots that they have together and this one; of those
-- one by lot, with chances by weight. Returns its place in the arrays, and what is left of the lot for a choice within it.
-- So somebody with few slots gets the next ones until it has as many as the others, for its weight; idle time saves up nothing. Whoever has no room
-- (see there) where p_free slots of p_all are free gets none; where that leaves nobody, place is null and the slot stays free.
-- Locks: none. Called by: due_of_tenants, due_of_tenant, account_in_turn, tenant_in_turn.
create function draw(
    p_weights double precision[], p_running integer[], p_lot double precision, p_free integer default null, p_all integer default null,
    p_times double precision default null,
    out place integer, out lot double precision
) language plpgsql immutable as $$
declare
    weights double precision := 0;
    slots double precision := 1;
    chances double precision := 0;
    most double precision := p_times * sqrt(p_free::double precision * p_all);
    lacks boolean[];
begin
    for i in 1 .. cardinality(p_weights) loop
        weights := weights + p_weights[i];
        slots := slots + p_running[i];
    end loop;
    for i in 1 .. cardinality(p_weights) loop
        lacks[i] := (most is null or p_running[i] < most) and p_running[i] < p_weights[i] / weights * slots * (1 - 1e-9);
        chances := chances + case when lacks[i] then p_weights[i] else 0 end;
    end loop;
    lot := p_lot * chances;
    for i in 1 .. cardinality(p_weights) loop
        if lacks[i] then
            place := i;
            exit when lot < p_weights[i];
            lot := lot - p_weights[i];
        end if;
    end loop;
    lot := least(lot / p_weights[place], 1);
end
$$;

-- Whose people have written within the last ten minutes: 2 several tenants', 1 several accounts' of one, 0 one account's. Where one has everything to itself
-- nothing is left free for others.
-- Locks: none. Called by: heartbeat.
create function who_wrote() returns integer language sql stable as $$
    -- Limits of one: each is found by its index, whatever Postgres knows of the number of rows.
    select case when (select count(*) from (select from tenants t cross join lateral (
            select from conversations c where c.tenant_id = t.tenant_id and c.newest_at > now() - interval '10 minutes' limit 1) x limit 2) as tenant) = 2 then 2
        when (select count(*) from (select from accounts a cross join lateral (
            select from conversations c where c.account_id = a.id and c.newest_at > now() - interval '10 minutes' limit 1) x
            where a.state <> 'paused' limit 2) as account) = 2 then 1
        else 0 end
$$;

-- How many slots the workers of a queue have in all, and free, as far as can be seen; at least p_asking, which ask just now. What batches have counts as
-- free, since people go before them. Null where one account has everything to itself, or no worker has reported.
-- Locks: none. Called by: due_conversations, lanes_in_turn, work_waiting.
create function slots_now(p_queue text, p_asking integer, out free integer, out total integer) language plpgsql stable as $$
declare
    boots uuid[];
    slow integer;
begin
    select array_agg(h.boot_id), sum(h.slots) into boots, total from worker_heartbeats h
    where p_queue = any (h.queues) and h.slots > 0 and h.at > now() - interval '15 seconds' having max(h.shared) > 0;
    if boots is not null then
        -- Turns of slow accounts are leased, too.
        select sum(greatest(x.sends, x.held - (select count(*) from conversations c where c.leased_by = any (boots) and c.leased_until > now()
            and c.account_id = x.account))) into slow
        from (select e.account::uuid, sum((e.n->>0)::integer) as held, sum((e.n->>1)::integer) as sends
            from worker_heartbeats h cross join jsonb_each(h.held) as e(account, n) where h.boot_id = any (boots) group by e.account) x;
        free := greatest(p_asking, total - coalesce(slow, 0)
            - (select count(*) from conversations c where c.leased_by = any (boots) and c.leased_until > now()));
    end if;
end
$$;

-- How many slots an account holds in a queue that has p_turns leased there. Of one whose sends take long the workers say what it holds, as it was a
-- moment ago (bots.storage.claims.report_held): a turn that has become a send since then is no longer leased, one that was claimed since then is new.
-- Locks: none. Called by: slots_of, lanes_in_turn, work_waiting.
create function slots_held(p_queue text, p_account uuid, p_turns integer) returns integer language sql stable as $$
    select greatest(sum((h.held->p_account::text->>0)::integer), p_turns + coalesce(sum((h.held->p_account::text->>1)::integer), 0))::integer
    from worker_heartbeats h where h.held is not null and p_queue = any (h.queues) and h.at > now() - interval '15 seconds'
$$;

-- How many more slots somebody who has p_has may take where p_free of p_all are free; null, of p_free: as many as there are. They take one while they have
-- less than p_times the geometric mean of what is free and all, so that some slots stay free for whoever has few: a newcomer need not wait until a
-- long answer ends. With 1.5 one crowd leaves a quarter, two a tenth, and a newcomer beside one may take nearly all of that; with 2.5 one crowd leaves an eighth.
-- (Thresholds that move with what is free: Choudhury and Hahne, 1998.)
-- Locks: none. Called by: due_conversations, room_of_tenant, lanes_in_turn, work_waiting.
create function room(p_has integer, p_free integer, p_all integer, p_times double precision) returns integer language sql immutable as $$
    select case when p_free is null then 1000 when p_has ^ 2 >= x * p_free then 0
        -- What this many claims one after the other come to.
        else ceil((sqrt((2 * p_has + x) ^ 2 - 4 * (p_has ^ 2 - x * p_free)) - 2 * p_has - x) / 2 - 1e-9)::integer end
    from (select p_times ^ 2 * p_all) as y(x)
$$;

-- Which of these accounts sends next: by turns over their tenants, then over the accounts of each. p_tenants names the tenant of each account, and
-- p_sending how many slots it holds where its sends are slow; quick ones do not count.
-- Locks: none. Called by: lanes_in_turn.
create function account_in_turn(p_tenants uuid[], p_accounts uuid[], p_sending integer[]) returns uuid language plpgsql as $$
declare
    ids uuid[];
    weights double precision[];
    running integer[];
    tenant uuid := p_tenants[1];
    mine double precision;
begin
    if cardinality(p_accounts) > 1 is not true then
        return p_accounts[1];
    end if;
    mine := next_lot();
    select array_agg(t.tenant_id order by t.tenant_id), array_agg(t.weight order by t.tenant_id), array_agg(x.sending order by t.tenant_id)
    into ids, weights, running
    from (select y.tenant, sum(y.sending)::integer as sending from unnest(p_tenants, p_sending) as y(tenant, sending) group by y.tenant) x
        join tenants t on t.tenant_id = x.tenant;
    if cardinality(ids) > 1 then
        select ids[d.place], d.lot into tenant, mine from draw(weights, running, mine) d;
    end if;
    select array_agg(a.id order by a.id), array_agg(a.weight order by a.id), array_agg(x.sending order by a.id) into ids, weights, running
    from unnest(p_accounts, p_sending) x(id, sending) join accounts a on a.id = x.id and a.tenant_id = tenant;
    return ids[(draw(weights, running, mine)).place];
end
$$;

-- The tenant whose batch goes first in a queue, by turns over those that have due items, by what they have running; null where fewer than two
-- have batches.
-- Locks: none. Called by: claim_item.
create function tenant_in_turn(p_queue text) returns uuid language plpgsql as $$
declare
    ids uuid[];
    weights double precision[];
    running integer[];
begin
    ids := array(select distinct b.tenant_id from batches b where b.queue = p_queue and b.state = 'running'
        and (b.hold_until is null or b.hold_until <= now()) order by 1);
    if cardinality(ids) < 2 then
        return null;
    end if;
    select array_agg(x.id order by x.id), array_agg(x.weight order by x.id), array_agg(x.running order by x.id) into ids, weights, running from (
        select t.tenant_id as id, t.weight, sum((select count(*) from batch_items i where i.batch_id = b.id and i.state = 'running'))::integer as running
        from unnest(ids) as mine(id) join tenants t on t.tenant_id = mine.id
            join batches b on b.queue = p_queue and b.state = 'running' and b.tenant_id = t.tenant_id
        group by t.tenant_id
        having bool_or((b.hold_until is null or b.hold_until <= now())
            and exists (select from batch_items i where i.batch_id = b.id and i.ready_at <= now()))) x;
    return ids[(draw(weights, running, next_lot())).place];
end
$$;
