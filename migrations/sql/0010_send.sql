create or replace function end_attempt(
    p_contact uuid, p_attempt uuid, p_outcome text, p_external_id text, p_http integer, p_code integer, p_trace text, p_retry text,
    p_retry_after double precision, p_reconcile double precision, p_next_part double precision, p_scope text default null,
    p_outage_after integer default 3, p_longest double precision default 30, p_subcode integer default null, p_in_doubt boolean default false
) returns text language plpgsql as $$
declare
    a send_attempts;
    m outbox;
    s record;
    closed text;
    closed_until timestamptz;
    failures integer;
    why text := refusal_reason(p_outcome, p_http, p_code, p_subcode);
    climbs boolean;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    -- The message first, as everywhere: different orders of locking could deadlock.
    select * into m from outbox where id = (select message_id from send_attempts where id = p_attempt) for update;
    update send_attempts set finished_at = now(), outcome = p_outcome, http_status = p_http, error_code = p_code, trace_id = p_trace
    where id = p_attempt and finished_at is null returning * into a;
    if not found then
        -- Repeated after a lost answer, or counted as unknown meanwhile: an acceptance is still recorded.
        select * into a from send_attempts where id = p_attempt;
        if not found then
            return null;
        end if;
        if p_outcome = 'accepted' and a.outcome = 'unknown' then
            update send_attempts set outcome = 'accepted' where id = p_attempt;
        elsif a.outcome is distinct from p_outcome then
            return null;
        end if;
    end if;
    if p_outcome = 'accepted' then
        perform pg_advisory_xact_lock(hashtext(m.account_id::text || p_external_id));
        climbs := m.status in ('queued', 'sending', 'unknown');
        update outbox set external_id = coalesce(external_id, p_external_id), not_before = null, attention_at = case when status = 'failed' then attention_at end,
            status = case when climbs then 'accepted' else status end, status_at = case when climbs then now() else status_at end
        where id = m.id;
        perform change_answer(m.account_id, m.contact_id, p_external_id);
        if climbs then
            if m.status = 'unknown' and m.not_before is null then
                perform resume_rest(m, false);
            end if;
            update outbox set not_before = now() + make_interval(secs => p_next_part)
            where turn_id = m.turn_id and part = m.part + 1 and status = 'queued';
            perform tell_page(m.conversation_id, m.contact_id);
        end if;
        -- A status may have arrived before the answer to our request.
        for s in select status, error_code from statuses where account_id = m.account_id and external_id = p_external_id
            order by status_rank(status) nulls first loop
            perform climb(m.id, s.status, s.error_code);
        end loop;
        perform ease_limits(m, a.started_at, true);
        perform send_accepted(m.account_id);
        if m.forgotten_at is not null then
            perform blank_answers(array[m.id]);
        end if;
        return 'accepted';
    end if;
    if p_in_doubt or (p_scope = 'account' and p_retry_after >= 600) then
        -- It may be parked or slowed down: whoever resumes it locks it before its limits.
        perform from accounts where tenant_id = m.tenant_id and id = m.account_id for no key update;
    end if;
    if p_retry = 'later' then
        select x.state_now, x.until_now into closed, closed_until from limit_after(m, a.started_at, p_outcome, p_scope, p_retry_after, p_outage_after, p_longest) x;
    elsif p_retry = 'never' and p_code is not null then
        perform ease_limits(m, a.started_at, false);
    end if;
    if status_rank(m.status) > status_rank('unknown') or m.status = 'failed' then
        return m.status;
    end if;
    if p_outcome = 'unknown' and p_retry = 'never' then
        perform leave_unknown(m);
    elsif p_outcome = 'unknown' then
        update outbox set status = 'unknown', status_at = now(), attention_at = now(),
            not_before = now() + make_interval(secs => p_reconcile) where id = m.id;
    elsif p_retry = 'never' then
        update outbox set status = 'failed', status_at = now(), attention_at = now(), not_before = null,
            reason = why where id = m.id;
        perform stop_rest(m, 'part_refused');
    else
        select count(*) into failures from send_attempts where message_id = m.id and outcome in ('not_sent', 'rejected');
        update outbox set status = 'queued', status_at = now(), attention_at = null, reason = why,
            not_before = case
                -- A throttle holds it back; it keeps its place.
                when closed = 'throttled' and p_scope = 'person' then closed_until
                when closed = 'throttled' then least(m.waits_since, now())
                when p_retry_after is not null then now() + make_interval(secs => p_retry_after)
                -- In an outage others are tried before it.
                else now() + make_interval(secs => least(2 ^ least(failures, 9),
                    case when closed in ('outage', 'probing', 'rising') then p_longest else 512 end) * (0.8 + random() * 0.4)) end
        where id = m.id;
    end if;
    if p_outcome in ('rejected', 'not_sent') then
        perform send_refused(m, p_scope, p_retry, p_retry_after, why, p_in_doubt);
    end if;
    perform tell_page(m.conversation_id, m.contact_id);
    return (select status from outbox where id = m.id);
end
$$;
