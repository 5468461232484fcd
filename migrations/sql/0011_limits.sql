create or replace function lanes_in_turn() returns table (
    tenant_id uuid, account_id uuid, account_limit uuid, app_limit uuid, room integer, held boolean, asks boolean
) language sql as $$
    with slots as materialized (select s.free, s.total from slots_now('deliver', 1) s),
    lane as materialized (
        select l.*, row_number() over () as n, slots_held('deliver', l.account_id, 0) as sending from send_lanes() l),
    mine as materialized (select account_in_turn(array_agg(l.tenant_id), array_agg(l.account_id), array_agg(l.sending)) as id
        from lane l, slots s where room(l.sending, s.free, s.total, 1.5) > 0)
    select l.tenant_id, l.account_id, l.account_limit, l.app_limit, l.room, l.held, l.asks from lane l, mine, slots s
    where room(l.sending, s.free, s.total, 1.5) > 0
    order by l.account_id is distinct from mine.id, l.n
$$;
