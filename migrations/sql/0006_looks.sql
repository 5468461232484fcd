-- The dispatcher's two looks, ten a second. What they ask takes six times as long to plan as to run (1.2 ms of 1.4 on an idle house); behind a
-- function of plpgsql it is planned once, and anew when the dispatcher wants it (every few seconds) or
-- a table's statistics change.

create function queue_spots() returns table (queue text, slots bigint, running bigint, due bigint) language plpgsql stable as $$
begin
    return query select * from engine_queues();
end
$$;

create function everything_waiting(p_reserve integer) returns table (queue text, due bigint, running bigint, slots bigint)
language plpgsql stable as $$
begin
    return query select * from work_waiting() union all select * from batches_waiting(p_reserve);
end
$$;
