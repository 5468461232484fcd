-- What the dispatcher tidies up from time to time.

-- Clears bodies of webhooks and pictures that are older than p_envelope_days and answers that were to be forgotten once they were sent, gives back conversations whose takeover has ended, and
-- deletes expired sessions, links, watches, heartbeats and refusals of models. In small steps, so that nothing has to wait for it. Deduplication keys stay as
-- long as their account. Returns how many bodies it cleared.
-- Locks: the rows it changes; taken conversations that are locked are skipped. Called by: crossing (the dispatcher).
create function keep_house(p_envelope_days integer) returns integer language plpgsql as $$
declare
    cleared integer;
begin
    update envelopes set body = null
    where (tenant_id, id) in (select tenant_id, id from envelopes
        where body is not null and received_at < now() - make_interval(days => p_envelope_days) limit 5000);
    get diagnostics cleared = row_count;
    perform give_back(x.id) from (
        select id from conversations where taken_by is not null and taken_until <= now() order by id limit 500 for update skip locked) x;
    delete from operator_sessions where expires_at < now();
    delete from admin_links where expires_at < now();
    update media set data = null, state = 'refused', reason = 'too_old'
    where (tenant_id, id) in (select tenant_id, id from media where data is not null and created_at < now() - make_interval(days => p_envelope_days) limit 500);
    perform blank_answers(array(select id from outbox where forgotten_at is not null and body <> '' and is_settled(outbox)
        and not keeps_messages(tenant_id, account_id) limit 500));
    -- Nobody has sent anything there since: whether the limit still exists shows with the next message.
    delete from send_limits where until < now() - interval '1 hour';
    -- Nobody has asked that endpoint since: it may have another name by now.
    delete from model_refusals where last_at < now() - interval '7 days';
    delete from watchers where until < now() - interval '1 minute';
    delete from worker_heartbeats where at < now() - interval '1 day';
    return cleared;
end
$$;

-- Ends what nobody else ended: batches whose last two items ended in the same moment, and checks of files that were interrupted an hour
-- ago. Returns how many of these it deleted.
-- Locks: the rows it changes. Called by: crossing (the dispatcher).
create function keep_batches() returns integer language plpgsql as $$
declare
    gone integer;
begin
    perform close_batch(id) from batches where state in ('running', 'paused');
    -- In small steps: deleting millions of rows at once would delay the dispatcher.
    delete from batch_items where (batch_id, n) in (
        select i.batch_id, i.n from batches b join batch_items i on i.batch_id = b.id
        where b.state = 'checking' and b.touched_at < now() - interval '1 hour' limit 5000);
    delete from batches b where b.state = 'checking' and b.touched_at < now() - interval '1 hour'
        and not exists (select from batch_items i where i.batch_id = b.id);
    get diagnostics gone = row_count;
    return gone;
end
$$;
