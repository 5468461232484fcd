create or replace function lanes_in_turn() returns table (
    tenant_id uuid, account_id uuid, account_limit uuid, app_limit uuid, room integer, held boolean, asks boolean
) language sql as $$
    with lane as materialized (select l.*, row_number() over () as n from send_lanes() l),
    mine as materialized (select account_in_turn(array_agg(l.tenant_id), array_agg(l.account_id)) as id from lane l)
    select l.tenant_id, l.account_id, l.account_limit, l.app_limit, l.room, l.held, l.asks from lane l, mine
    order by l.account_id is distinct from mine.id, l.n
$$;
