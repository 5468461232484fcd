-- Sending: which message may be sent next, and each attempt, recorded before its request and after it.

-- Records an attempt to send a message before its request leaves, and returns what to send (bots.storage.outbox.Sending). The caller has
-- set when the attempt must count as unknown.
-- Locks: none; the caller holds that of the message. Called by: finish_turn, claim_send.
create function journal(m outbox, p_boot uuid) returns jsonb language plpgsql as $$
declare
    attempt uuid;
begin
    insert into send_attempts (tenant_id, message_id, contact_id, n, boot_id)
    values (m.tenant_id, m.id, m.contact_id, m.sends, p_boot) returning id into attempt;
    return jsonb_build_object('message', m.id, 'attempt', attempt, 'n', m.sends, 'text', m.body, 'part', m.part, 'tenant', m.tenant_id,
        'contact', m.contact_id, 'account', m.account_id, 'turn', m.turn_id);
end
$$;

-- Whether a message is the first of its conversation that is not settled: only that one may be sent, so parts arrive in order.
-- Locks: none. Called by: claim_send, work_waiting.
create function is_head(o outbox) returns boolean language sql stable as $$
    select not exists (select from outbox e where e.conversation_id = o.conversation_id and e.seq < o.seq
        and (e.status in ('queued', 'sending') or (e.status = 'unknown' and e.not_before is not null)))
$$;

-- Takes the next due message of an active account, records the attempt and returns what to send; null where none is due. An attempt that
-- nobody ended in p_stale seconds becomes unknown, and after p_reconcile more seconds without a report it is sent once more, or never, as
-- the account's unknown_send says.
-- Locks: the message; locked ones are skipped. Called by: crossing (workers). Not repeated after a lost connection: the attempt then
-- counts as unknown.
create function claim_send(p_boot uuid, p_stale double precision, p_reconcile double precision) returns jsonb language plpgsql as $$
declare
    m outbox;
    unknowns integer;
    policy text;
    parked uuid[];
    resent boolean;
begin
    select coalesce(array_agg(id), '{}') into parked from accounts where state <> 'active';
    loop
        select * into m from outbox o
        where o.not_before <= now() and o.account_id <> all (parked) and is_head(o)
        order by o.not_before limit 1 for update skip locked;
        if not found then
            return null;
        end if;
        if m.status = 'sending' then
            -- The attempt was recorded and never ended: the message may have been sent.
            update send_attempts set finished_at = now(), outcome = 'unknown' where message_id = m.id and finished_at is null;
            update outbox set status = 'unknown', status_at = now(), attention_at = now(),
                not_before = now() + make_interval(secs => p_reconcile) where id = m.id;
            continue;
        end if;
        if m.status = 'unknown' then
            select count(*) into unknowns from send_attempts where message_id = m.id and outcome = 'unknown';
            select unknown_send into policy from accounts where tenant_id = m.tenant_id and id = m.account_id;
            if policy = 'never' or unknowns > 1 then
                update outbox set not_before = null, reason = 'unknown', status_at = now() where id = m.id;
                update outbox set not_before = now() where turn_id = m.turn_id and part = m.part + 1 and status = 'queued';
                continue;
            end if;
        elsif m.status <> 'queued' then
            update outbox set not_before = null where id = m.id;
            continue;
        end if;
        resent := m.status = 'unknown';
        update outbox set status = 'sending', status_at = now(), attention_at = null, sends = sends + 1,
            not_before = now() + make_interval(secs => p_stale)
        where id = m.id returning * into m;
        return journal(m, p_boot) || jsonb_build_object(
            'resent', resent,
            'identities', (select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'value', value) order by kind, created_at desc), '[]')
                from contact_identities where tenant_id = m.tenant_id and contact_id = m.contact_id and retired_at is null));
    end loop;
end
$$;

-- Records the outcome of an attempt (p_outcome: accepted, not_sent, rejected, unknown) and sets what is next: the next part after
-- p_next_part seconds, a retry after p_retry_after seconds or a growing pause, an end (p_retry never, or older than a day), or the
-- operator's attention (p_retry ask_operator). p_scope says whom a refusal concerns: message, person, account or app. Returns the message's status; null where the attempt had been settled in another way. It may
-- be repeated after a lost connection.
-- Locks: the message, then the attempt, then the advisory lock on account and external id. Called by: worker, within the contact's own
-- rows (it sets app.contact_id).
create function end_attempt(
    p_contact uuid, p_attempt uuid, p_outcome text, p_external_id text, p_http integer, p_code integer, p_trace text, p_retry text,
    p_retry_after double precision, p_reconcile double precision, p_next_part double precision, p_scope text
) returns text language plpgsql as $$
declare
    a send_attempts;
    m outbox;
    s record;
    failures integer;
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
        if climbs then
            update outbox set not_before = now() + make_interval(secs => p_next_part)
            where turn_id = m.turn_id and part = m.part + 1 and status = 'queued';
            perform tell_page(m.conversation_id, m.contact_id);
        end if;
        -- A status may have arrived before the answer to our request.
        for s in select status, error_code from statuses where account_id = m.account_id and external_id = p_external_id
            order by status_rank(status) nulls first loop
            perform climb(m.id, s.status, s.error_code);
        end loop;
        return 'accepted';
    end if;
    if status_rank(m.status) > status_rank('unknown') or m.status = 'failed' then
        return m.status;
    end if;
    select count(*) into failures from send_attempts where message_id = m.id and outcome in ('not_sent', 'rejected');
    if p_outcome = 'unknown' then
        update outbox set status = 'unknown', status_at = now(), attention_at = now(),
            not_before = now() + make_interval(secs => p_reconcile) where id = m.id;
    elsif p_retry = 'never' or m.created_at < now() - interval '24 hours' then
        update outbox set status = 'failed', status_at = now(), attention_at = now(), not_before = null,
            reason = coalesce('code:' || p_code::text, p_outcome) where id = m.id;
        update outbox set not_before = now() where turn_id = m.turn_id and part = m.part + 1 and status = 'queued';
    else
        update outbox set status = 'queued', status_at = now(), attention_at = null, reason = coalesce('code:' || p_code::text, p_outcome),
            not_before = now() + make_interval(secs => coalesce(p_retry_after,
                -- Meta's advice for a pair of number and contact is 4^n seconds, n from 0; else 2^n.
                case when p_code = 131056 then 4 ^ least(failures - 1, 5) else 2 ^ least(failures, 9) end * (0.8 + random() * 0.4)))
        where id = m.id;
    end if;
    if p_outcome in ('rejected', 'not_sent') then
        perform send_refused(m, p_scope, p_retry, p_code);
    end if;
    perform tell_page(m.conversation_id, m.contact_id);
    return (select status from outbox where id = m.id);
end
$$;
