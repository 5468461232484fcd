create or replace function due_accounts(p_queue text, p_tenant uuid, p_from uuid, p_most integer) returns table (account_id uuid, weight double precision)
language sql stable as $$
    with recursive oldest as materialized (
        select c.tenant_id, c.account_id from conversations c
        where c.queue = p_queue and c.ready_at <= now() and c.leased_until is null and c.closed_at is null and c.taken_by is null
        order by c.ready_at limit 16
    ), newest as materialized (
        select c.tenant_id, c.account_id from conversations c
        where c.queue = p_queue and c.ready_at <= now() and c.leased_until is null and c.closed_at is null and c.taken_by is null
        order by c.ready_at desc limit 16
    ), up as (
        (select c.account_id, c.ready_at, 1 as n from conversations c
        where (select count(*) from oldest) = 16 and c.queue = p_queue and c.tenant_id = p_tenant and c.account_id >= p_from
            and c.ready_at is not null and c.leased_until is null and c.closed_at is null and c.taken_by is null
        order by c.account_id, c.ready_at limit 1)
        union all
        select n.account_id, n.ready_at, u.n + 1 from up u cross join lateral (
            select c.account_id, c.ready_at from conversations c
            where c.queue = p_queue and c.tenant_id = p_tenant and c.account_id > u.account_id
                and c.ready_at is not null and c.leased_until is null and c.closed_at is null and c.taken_by is null
            order by c.account_id, c.ready_at limit 1) n
        where p_most is null or u.n < 64
    ), round as (
        (select c.account_id, c.ready_at, 1 as n from conversations c
        where (select count(*) from oldest) = 16 and c.queue = p_queue and c.tenant_id = p_tenant and c.account_id < p_from
            and c.ready_at is not null and c.leased_until is null and c.closed_at is null and c.taken_by is null
        order by c.account_id, c.ready_at limit 1)
        union all
        select n.account_id, n.ready_at, u.n + 1 from round u cross join lateral (
            select c.account_id, c.ready_at from conversations c
            where c.queue = p_queue and c.tenant_id = p_tenant and c.account_id > u.account_id and c.account_id < p_from
                and c.ready_at is not null and c.leased_until is null and c.closed_at is null and c.taken_by is null
            order by c.account_id, c.ready_at limit 1) n
        where p_most is null or u.n < 64
    )
    select w.account_id, a.weight
    from (
        select u.account_id from up u where u.ready_at <= now()
        union all
        select u.account_id from round u where u.ready_at <= now()
        union all
        select distinct d.account_id from (
            select * from oldest where (select count(*) from oldest) < 16 or greatest((select max(n) from up), (select max(n) from round)) = 64
            union all
            select * from newest where greatest((select max(n) from up), (select max(n) from round)) = 64) d
        where d.tenant_id = p_tenant and d.account_id not in (select u.account_id from up u union all select u.account_id from round u)
    ) w
        cross join lateral (select b.weight from accounts b where b.id = w.account_id and b.tenant_id = p_tenant and b.state <> 'paused' limit 1) a
    limit p_most
$$;

create or replace function due_tenants(p_queue text, p_from uuid, p_most integer) returns table (tenant_id uuid, weight double precision)
language sql stable as $$
    with recursive up as (
        (select c.tenant_id from conversations c
        where c.queue = p_queue and c.tenant_id >= p_from
            and c.ready_at is not null and c.leased_until is null and c.closed_at is null and c.taken_by is null
        order by c.tenant_id, c.account_id, c.ready_at limit 1)
        union all
        select n.tenant_id from up u cross join lateral (
            select c.tenant_id from conversations c
            where c.queue = p_queue and c.tenant_id > u.tenant_id
                and c.ready_at is not null and c.leased_until is null and c.closed_at is null and c.taken_by is null
            order by c.tenant_id, c.account_id, c.ready_at limit 1) n
    ), round as (
        (select c.tenant_id from conversations c
        where c.queue = p_queue and c.tenant_id < p_from
            and c.ready_at is not null and c.leased_until is null and c.closed_at is null and c.taken_by is null
        order by c.tenant_id, c.account_id, c.ready_at limit 1)
        union all
        select n.tenant_id from round u cross join lateral (
            select c.tenant_id from conversations c
            where c.queue = p_queue and c.tenant_id > u.tenant_id and c.tenant_id < p_from
                and c.ready_at is not null and c.leased_until is null and c.closed_at is null and c.taken_by is null
            order by c.tenant_id, c.account_id, c.ready_at limit 1) n
    )
    select w.tenant_id, t.weight
    from (select * from up union all select * from round) w
        cross join lateral (select x.weight from tenants x where x.tenant_id = w.tenant_id limit 1) t
    where exists (select from due_accounts(p_queue, w.tenant_id, p_from, 1))
    limit p_most
$$;

create or replace function due_of_account(p_queue text, p_tenant uuid, p_account uuid, p_many integer, p_not uuid[] default '{}') returns setof conversations
language plpgsql as $$
declare
    fresh integer;
begin
    return query select * from conversations c
        where c.queue = p_queue and c.tenant_id = p_tenant and c.account_id = p_account
            and c.ready_at <= now() and c.ready_at > now() - interval '5 minutes'
            and c.leased_until is null and c.closed_at is null and c.taken_by is null and c.id <> all (p_not)
        order by c.ready_at limit p_many for update skip locked;
    get diagnostics fresh = row_count;
    if fresh < p_many then
        return query select * from conversations c
            where c.queue = p_queue and c.tenant_id = p_tenant and c.account_id = p_account
                and c.ready_at <= now() - interval '5 minutes'
                and c.leased_until is null and c.closed_at is null and c.taken_by is null and c.id <> all (p_not)
            order by c.ready_at desc limit p_many - fresh for update skip locked;
    end if;
end
$$;

create or replace function slots_of(p_queue text, p_tenant uuid, p_account uuid) returns integer language sql stable as $$
    select slots_held(p_queue, p_account, (select count(*) from conversations r
        where r.queue = p_queue and r.tenant_id = p_tenant and r.account_id = p_account and r.leased_until > now())::integer)
$$;

create or replace function turns_of_tenant(p_queue text, p_tenant uuid) returns integer language sql stable as $$
    select count(*)::integer from conversations r where r.queue = p_queue and r.tenant_id = p_tenant and r.leased_until > now()
$$;

create or replace function room_of_tenant(p_queue text, p_tenant uuid, p_free integer, p_all integer) returns integer language plpgsql stable as $$
begin
    return case when p_free is null or not exists (select from worker_heartbeats h
            where h.shared = 2 and p_queue = any (h.queues) and h.at > now() - interval '15 seconds') then 1000
        else room(turns_of_tenant(p_queue, p_tenant), p_free, p_all, 2.5) end;
end
$$;

create or replace function due_of_tenant(
    p_queue text, p_tenant uuid, p_lots double precision[], p_free integer, p_all integer, p_not uuid[]
) returns setof conversations language plpgsql as $$
declare
    members uuid[];
    weights double precision[];
    running integer[];
    wanted integer[];
    mine integer;
    c conversations;
    lots double precision[] := p_lots;
    free integer := p_free;
    taken uuid[] := p_not;
    missing integer;
begin
    select array_agg(d.account_id order by d.account_id), array_agg(d.weight order by d.account_id) into members, weights
    from due_accounts(p_queue, p_tenant, gen_random_uuid(), 16) d;
    if cardinality(members) > 1 or p_free is not null then
        running := array(select slots_of(p_queue, p_tenant, m.id) from unnest(members) with ordinality as m(id, n) order by m.n);
    end if;
    while cardinality(members) > 0 and cardinality(lots) > 0 loop
        wanted := array_fill(0, array[cardinality(members)]);
        for i in 1 .. cardinality(lots) loop
            mine := case when cardinality(members) = 1 and free is null then 1
                else (draw(weights, running, coalesce(lots[i], next_lot()), free, p_all, 1.5)).place end;
            exit when mine is null;
            wanted[mine] := wanted[mine] + 1;
            running[mine] := running[mine] + 1;
            free := free - 1;
        end loop;
        missing := 0;
        for i in reverse cardinality(members) .. 1 loop
            continue when wanted[i] = 0;
            for c in select * from due_of_account(p_queue, p_tenant, members[i], wanted[i], taken) loop
                taken := taken || c.id;
                wanted[i] := wanted[i] - 1;
                return next c;
            end loop;
            if wanted[i] > 0 then
                -- It has no more, or others are taking it just now.
                missing := missing + wanted[i];
                free := free + wanted[i];
                members := members[:i - 1] || members[i + 1:];
                weights := weights[:i - 1] || weights[i + 1:];
                running := running[:i - 1] || running[i + 1:];
            end if;
        end loop;
        lots := array_fill(null::double precision, array[missing]);
    end loop;
end
$$;

create or replace function due_of_tenants(p_queue text, p_many integer, p_free integer, p_all integer) returns setof conversations language plpgsql as $$
declare
    tenants uuid[];
    weights double precision[];
    running integer[];
    drawn integer[];
    lots double precision[];
    free integer := p_free;
    missing integer := p_many;
    wanted integer;
    mine record;
    taken uuid[] := '{}';
    c conversations;
begin
    select array_agg(d.tenant_id order by d.tenant_id), array_agg(d.weight order by d.tenant_id) into tenants, weights
    from due_tenants(p_queue, gen_random_uuid(), 16) d;
    if cardinality(tenants) > 1 or p_free is not null then
        running := array(select turns_of_tenant(p_queue, t.id) from unnest(tenants) with ordinality as t(id, n) order by t.n);
    end if;
    while cardinality(tenants) > 0 and missing > 0 loop
        drawn := array_fill(case when cardinality(tenants) = 1 and free is null then 1 end, array[missing]);
        lots := array_fill(null::double precision, array[missing]);
        for i in 1 .. case when drawn[1] is null then missing else 0 end loop
            mine := draw(weights, running, next_lot(), free, p_all, 2.5);
            exit when mine.place is null;
            drawn[i] := mine.place;
            lots[i] := mine.lot;
            running[mine.place] := running[mine.place] + 1;
            free := free - 1;
        end loop;
        missing := 0;
        for i in reverse cardinality(tenants) .. 1 loop
            wanted := cardinality(array_positions(drawn, i));
            continue when wanted = 0;
            for c in select * from due_of_tenant(p_queue, tenants[i], array(select x.lot from unnest(drawn, lots) as x(n, lot) where x.n = i),
                    free + wanted, p_all, taken) loop
                taken := taken || c.id;
                wanted := wanted - 1;
                return next c;
            end loop;
            if wanted > 0 then
                missing := missing + wanted;
                free := free + wanted;
                tenants := tenants[:i - 1] || tenants[i + 1:];
                weights := weights[:i - 1] || weights[i + 1:];
                running := running[:i - 1] || running[i + 1:];
            end if;
        end loop;
    end loop;
end
$$;

create or replace function end_leases(p_queue text) returns integer language plpgsql as $$
declare
    ended integer;
begin
    -- Who held it stays written down: until it is claimed again, that worker may still finish it.
    update conversations set leased_until = null where id in (
        select id from conversations where queue = p_queue and leased_until <= now() for update skip locked);
    get diagnostics ended = row_count;
    return ended;
end
$$;

create or replace function due_conversations(p_queue text, p_many integer) returns setof conversations language plpgsql as $$
declare
    one record;
    other record;
    slots record;
begin
    -- The ends of the index show whether more than one tenant, or more than one account, has anything at all.
    select c.tenant_id, c.account_id into one from conversations c
    where c.queue = p_queue and c.ready_at is not null and c.leased_until is null and c.closed_at is null and c.taken_by is null
    order by c.tenant_id, c.account_id, c.ready_at limit 1;
    if found then
        select c.tenant_id, c.account_id into other from conversations c
        where c.queue = p_queue and c.ready_at is not null and c.leased_until is null and c.closed_at is null and c.taken_by is null
        order by c.tenant_id desc, c.account_id desc, c.ready_at desc limit 1;
        slots := slots_now(p_queue, p_many);
        if one.tenant_id is distinct from other.tenant_id then
            return query select * from due_of_tenants(p_queue, p_many, slots.free, slots.total);
        elsif slots.free is not null then
            return query select * from due_of_tenant(p_queue, one.tenant_id, array_fill(null::double precision,
                array[least(p_many, room_of_tenant(p_queue, one.tenant_id, slots.free, slots.total))]), slots.free, slots.total, '{}');
        elsif one.account_id is distinct from other.account_id then
            return query select * from due_of_tenant(p_queue, one.tenant_id, array_fill(null::double precision, array[p_many]), null, null, '{}');
        else
            return query select d.* from accounts a cross join lateral due_of_account(p_queue, a.tenant_id, a.id, p_many) d
                where a.id = one.account_id and a.tenant_id = one.tenant_id and a.state <> 'paused';
        end if;
        if found then
            return;
        end if;
    end if;
    if end_leases(p_queue) > 0 then
        return query select * from due_conversations(p_queue, p_many);
    end if;
end
$$;
