CREATE OR REPLACE FUNCTION public.keep_house(p_envelope_days integer)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
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
$function$;

drop function sweep_turns(timestamp with time zone,integer);
