create or replace function to_send(m outbox, p_attempt uuid) returns jsonb language sql stable as $$
    select jsonb_build_object('message', m.id, 'attempt', p_attempt, 'n', m.sends, 'text', m.body, 'part', m.part, 'tenant', m.tenant_id,
        'contact', m.contact_id, 'account', m.account_id, 'turn', m.turn_id)
$$;

create or replace function journal(m outbox, p_boot uuid) returns jsonb language plpgsql as $$
declare
    attempt uuid;
begin
    insert into send_attempts (tenant_id, message_id, contact_id, n, boot_id)
    values (m.tenant_id, m.id, m.contact_id, m.sends, p_boot) returning id into attempt;
    return to_send(m, attempt);
end
$$;

create or replace function is_head(o outbox) returns boolean language sql stable as $$
    select not exists (select from outbox e where e.conversation_id = o.conversation_id and e.seq < o.seq and e.not_before is not null
        and e.status in ('queued', 'sending', 'unknown'))
$$;

create or replace function claim_send(p_boot uuid, p_stale double precision, p_reconcile double precision, p_younger double precision) returns jsonb
language plpgsql as $$
declare
    lane record;
    l send_limits;
    app send_limits;
    person send_limits;
    m outbox;
    unknowns integer;
    policy text;
    resent boolean;
begin
    for lane in select * from lanes_in_turn() loop
        app := null;
        l := null;
        if lane.app_limit is not null then
            select * into app from send_limits where id = lane.app_limit for update skip locked;
            continue when not found or app.until > now();
        end if;
        if lane.account_limit is not null then
            select * into l from send_limits where id = lane.account_limit for update skip locked;
            continue when not found or (l.until > now() and l.state <> 'suspect');
        end if;
        if l.state in ('suspect', 'outage') and exists (
                select from outbox o where o.id = l.message_id and status_rank(o.status) > status_rank('unknown')) then
            -- The platform took what seemed to fail, and only its answer was lost.
            update send_limits set state = 'rising', per_s = 1, risen_at = now(), until = now(), level = l.level / 2, failing = '{}',
                healed_at = now()
            where id = l.id returning * into l;
        end if;
        if l.healed_at is not null then
            -- The platform works again: what it took meanwhile it reports first.
            update outbox set not_before = greatest(not_before, l.healed_at + make_interval(secs => p_reconcile))
            where id in (select id from outbox where account_id = lane.account_id and not_before is not null and status = 'unknown'
                for update skip locked);
            update send_limits set healed_at = null where id = l.id;
        end if;
        loop
            select * into m from outbox o
            where o.account_id = lane.account_id and o.not_before <= now() and is_head(o)
                and (l.id is null or l.state not in ('suspect', 'outage') or o.status <> 'unknown')
                and (l.id is null or l.state <> 'outage' or not exists (
                    select from send_attempts t where t.message_id = o.id and t.outcome = 'unknown'))
            order by o.not_before, o.seq limit 1 for update skip locked;
            exit when not found;
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
                if policy = 'never' or unknowns > 1 or m.waits_since < now() - make_interval(secs => p_younger) then
                    update outbox set not_before = null, reason = 'unknown', status_at = now() where id = m.id;
                    perform stop_rest(m, 'part_unknown');
                    continue;
                end if;
            elsif m.status <> 'queued' then
                update outbox set not_before = null where id = m.id;
                continue;
            elsif m.waits_since < now() - make_interval(secs => p_younger) then
                perform fail_old(m);
                continue;
            end if;
            select * into person from send_limits
            where scope = 'person' and account_id = m.account_id and contact_id = m.contact_id for update;
            if person.until > now() then
                update outbox set not_before = person.until where id = m.id;
                continue;
            end if;
            perform use_limit(x, p_stale) from unnest(array[app.id, l.id, person.id]) x where x is not null;
            resent := m.status = 'unknown';
            update outbox set status = 'sending', status_at = now(), attention_at = null, sends = sends + 1,
                not_before = now() + make_interval(secs => p_stale)
            where id = m.id returning * into m;
            return journal(m, p_boot) || jsonb_build_object(
                'resent', resent,
                'identities', (select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'value', value) order by kind, created_at desc), '[]')
                    from contact_identities where tenant_id = m.tenant_id and contact_id = m.contact_id and retired_at is null));
        end loop;
        if lane.asks and (l.state = 'outage' or exists (
                select from outbox o where o.account_id = lane.account_id and o.not_before <= now() and o.status = 'unknown' and is_head(o))) then
            update send_limits set until = now() + make_interval(secs => p_stale) where id = l.id;
            return jsonb_build_object('health_of', lane.account_id, 'tenant', lane.tenant_id);
        end if;
    end loop;
    return null;
end
$$;

create or replace function accept_message(m outbox, p_began timestamptz, p_external_id text, p_next_part double precision) returns void language plpgsql as $$
declare
    climbs boolean := m.status in ('queued', 'sending', 'unknown');
    s record;
    also record;
begin
    -- What hardly ever is there is asked for once.
    update outbox o set external_id = coalesce(external_id, p_external_id), not_before = null, attention_at = case when status = 'failed' then attention_at end,
        status = case when climbs then 'accepted' else status end, status_at = case when climbs then now() else status_at end
    where id = m.id returning
        exists (select from inbox i where i.account_id = m.account_id and i.target = 'echo:' || p_external_id and i.kind in ('edit', 'revoke')) as changed,
        exists (select from outbox x where x.turn_id = m.turn_id and x.part = m.part + 1 and x.status = 'queued') as follows,
        exists (select from statuses x where x.account_id = m.account_id and x.external_id = p_external_id) as told,
        exists (select from send_limits x where x.scope = 'account' and x.account_id = m.account_id)
            or exists (select from send_limits x where x.scope = 'person' and x.account_id = m.account_id and x.contact_id = m.contact_id)
            or exists (select from send_limits x join accounts y on y.app_id = x.app_id
                where x.scope = 'app' and y.tenant_id = m.tenant_id and y.id = m.account_id) as limited,
        exists (select from refusals x where x.account_id = m.account_id) as refused,
        exists (select from watchers w where w.conversation_id = m.conversation_id and w.until > now()) as watched
    into also;
    if also.changed then
        perform change_answer(m.account_id, m.contact_id, p_external_id);
    end if;
    if climbs then
        if m.status = 'unknown' and m.not_before is null then
            perform resume_rest(m, false);
            also.follows := true;
        end if;
        if also.follows then
            update outbox set not_before = now() + make_interval(secs => p_next_part)
            where turn_id = m.turn_id and part = m.part + 1 and status = 'queued';
        end if;
        if also.watched then
            perform tell_page(m.conversation_id, m.contact_id);
        end if;
    end if;
    if also.told then
        -- A status may have arrived before the answer to our request.
        for s in select status, error_code from statuses where account_id = m.account_id and external_id = p_external_id
            order by status_rank(status) nulls first loop
            perform climb(m.id, s.status, s.error_code);
        end loop;
    end if;
    if also.limited then
        perform ease_limits(m, p_began, true);
    end if;
    if also.refused then
        perform send_accepted(m.account_id);
    end if;
    if m.forgotten_at is not null then
        perform blank_answers(array[m.id]);
    end if;
end
$$;

create or replace function end_attempt(
    p_contact uuid, p_attempt uuid, p_outcome text, p_external_id text, p_http integer, p_code integer, p_trace text, p_retry text,
    p_retry_after double precision, p_reconcile double precision, p_next_part double precision, p_scope text default null,
    p_outage_after integer default 3, p_longest double precision default 30, p_subcode integer default null, p_in_doubt boolean default false
) returns text language plpgsql as $$
declare
    own text := set_config('app.contact_id', p_contact::text, true);
    a send_attempts;
    m outbox;
    closed text;
    closed_until timestamptz;
    failures integer;
    why text := refusal_reason(p_outcome, p_http, p_code, p_subcode);
begin
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
        perform accept_message(m, a.started_at, p_external_id, p_next_part);
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

create or replace function end_attempts(p_ends jsonb, p_next_part double precision) returns jsonb language plpgsql as $$
declare
    own text := set_config('lock_timeout', '200ms', true);
    e jsonb;
    m outbox;
    began timestamptz;
    said jsonb := '[]';
begin
    for e in select x from jsonb_array_elements(p_ends) x loop
        own := set_config('app.contact_id', e->>'contact', true);
        select * into m from outbox where id = (select message_id from send_attempts where id = (e->>'attempt')::uuid) for update skip locked;
        if found and pg_try_advisory_xact_lock(hashtext(m.account_id::text || (e->>'external_id'))) then
            update send_attempts set finished_at = now(), outcome = 'accepted', http_status = (e->>'http')::integer, trace_id = e->>'trace'
            where id = (e->>'attempt')::uuid and finished_at is null returning started_at into began;
            if found then
                perform accept_message(m, began, e->>'external_id', p_next_part);
                said := said || '"accepted"';
                continue;
            end if;
        end if;
        said := said || '"busy"';
    end loop;
    return said;
end
$$;
