create or replace function next_lot() returns double precision language sql as $$
    select x - floor(x) from (select nextval('lots') * 0.6180339887498949::double precision) as n(x)
$$;

create or replace function draw(p_weights double precision[], p_running integer[], p_lot double precision, out place integer, out lot double precision)
language plpgsql immutable as $$
declare
    weights double precision := 0;
    slots double precision := 1;
    chances double precision := 0;
    lacks boolean[];
begin
    for i in 1 .. cardinality(p_weights) loop
        weights := weights + p_weights[i];
        slots := slots + p_running[i];
    end loop;
    for i in 1 .. cardinality(p_weights) loop
        lacks[i] := p_running[i] < p_weights[i] / weights * slots * (1 - 1e-9);
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

create or replace function account_in_turn(p_tenants uuid[], p_accounts uuid[]) returns uuid language plpgsql as $$
declare
    ids uuid[];
    weights double precision[];
    tenant uuid := p_tenants[1];
    mine double precision;
begin
    if cardinality(p_accounts) < 2 then
        return p_accounts[1];
    end if;
    mine := next_lot();
    select array_agg(t.tenant_id order by t.tenant_id), array_agg(t.weight order by t.tenant_id) into ids, weights
    from tenants t where t.tenant_id = any (p_tenants);
    if cardinality(ids) > 1 then
        select ids[d.place], d.lot into tenant, mine from draw(weights, array_fill(0, array[cardinality(ids)]), mine) d;
    end if;
    select array_agg(a.id order by a.id), array_agg(a.weight order by a.id) into ids, weights
    from unnest(p_accounts) x(id) join accounts a on a.id = x.id and a.tenant_id = tenant;
    return ids[(draw(weights, array_fill(0, array[cardinality(ids)]), mine)).place];
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
