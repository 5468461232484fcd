-- In which order conversations are taken up.

-- Picks and locks up to p_many due conversations of a queue: first come, first served; one that is over five minutes late comes after the fresh ones,
-- the newest first. Both statements read one index and stop at the first rows: the cost of a claim must not grow with the backlog, so nothing is
-- joined or sorted.
-- Locks: the conversations; locked ones are skipped. Called by: claim_turns.
create function due_conversations(p_queue text, p_many integer) returns setof conversations language plpgsql as $$
declare
    paused uuid[] := array(select id from accounts where state = 'paused');
    taken integer;
begin
    return query select * from conversations
    where queue = p_queue and ready_at <= now() and ready_at > now() - interval '5 minutes'
        and (leased_until is null or leased_until <= now()) and closed_at is null and taken_by is null and account_id <> all (paused)
    order by ready_at limit p_many for update skip locked;
    get diagnostics taken = row_count;
    if taken < p_many then
        return query select * from conversations
        where queue = p_queue and ready_at <= now() - interval '5 minutes'
            and (leased_until is null or leased_until <= now()) and closed_at is null and taken_by is null and account_id <> all (paused)
        order by ready_at desc limit p_many - taken for update skip locked;
    end if;
end
$$;
