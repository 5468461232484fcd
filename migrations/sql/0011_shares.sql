create or replace function next_lot() returns double precision language sql as $$
    select x - floor(x) from (select nextval('lots') * 0.6180339887498949::double precision) as n(x)
$$;

create or replace function draw(
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

create or replace function who_wrote() returns integer language sql stable as $$
    -- Limits of one: each is found by its index, whatever Postgres knows of the number of rows.
    select case when (select count(*) from (select from tenants t cross join lateral (
            select from conversations c where c.tenant_id = t.tenant_id and c.newest_at > now() - interval '10 minutes' limit 1) x limit 2) as tenant) = 2 then 2
        when (select count(*) from (select from accounts a cross join lateral (
            select from conversations c where c.account_id = a.id and c.newest_at > now() - interval '10 minutes' limit 1) x
            where a.state <> 'paused' limit 2) as account) = 2 then 1
        else 0 end
$$;

create or replace function slots_now(p_queue text, p_asking integer, out free integer, out total integer) language plpgsql stable as $$
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

create or replace function slots_held(p_queue text, p_account uuid, p_turns integer) returns integer language sql stable as $$
    select greatest(sum((h.held->p_account::text->>0)::integer), p_turns + coalesce(sum((h.held->p_account::text->>1)::integer), 0))::integer
    from worker_heartbeats h where h.held is not null and p_queue = any (h.queues) and h.at > now() - interval '15 seconds'
$$;

create or replace function room(p_has integer, p_free integer, p_all integer, p_times double precision) returns integer language sql immutable as $$
    select case when p_free is null then 1000 when p_has ^ 2 >= x * p_free then 0
        -- What this many claims one after the other come to.
        else ceil((sqrt((2 * p_has + x) ^ 2 - 4 * (p_has ^ 2 - x * p_free)) - 2 * p_has - x) / 2 - 1e-9)::integer end
    from (select p_times ^ 2 * p_all) as y(x)
$$;

create or replace function account_in_turn(p_tenants uuid[], p_accounts uuid[], p_sending integer[]) returns uuid language plpgsql as $$
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

create or replace function tenant_in_turn(p_queue text) returns uuid language plpgsql as $$
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
