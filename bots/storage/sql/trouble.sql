-- Trouble of an account: what a refusal, a failed status or a notice of the platform means for all of its messages.

-- Whether an account's messages may leave: it is active, and the platform does not slow it down.
-- Locks: none. Called by: end_turn, claim_send, work_waiting.
create function may_send(a accounts) returns boolean language sql stable as $$
    select a.state = 'active' and (a.slow_until is null or a.slow_until <= now())
$$;

-- Why a send was refused, as it is stored: code:10/2018300, http:403 where the answer had no error of the platform, else the outcome.
-- Locks: none. Called by: end_attempt.
create function refusal_reason(p_outcome text, p_http integer, p_code integer, p_subcode integer) returns text language sql stable as $$
    select case when p_code is not null then 'code:' || p_code || coalesce('/' || p_subcode, '')
        when p_outcome = 'rejected' and p_http is not null then 'http:' || p_http else p_outcome end
$$;

-- Parks an active account: nothing is sent until it is resumed.
-- Locks: the account. Called by: send_refused, account_failed.
create function park_account(p_account uuid, p_reason text) returns void language plpgsql as $$
begin
    update accounts set state = 'needs_attention', state_reason = p_reason where id = p_account and state = 'active';
end
$$;

-- Makes an account active again, whatever stopped or slowed it down.
-- Locks: the account. Called by: account_noticed, and the web, as web or crossing.
create function resume_account(p_account uuid) returns void language plpgsql as $$
begin
    update accounts set state = 'active', state_reason = null, resumed_at = now(), slow_until = null, slow_reason = null where id = p_account;
    delete from send_limits where scope = 'account' and account_id = p_account and state = 'throttled';
end
$$;

-- Lets an account send nothing for p_wait seconds; then it goes on by itself.
-- Locks: the account. Called by: send_refused, account_failed.
create function slow_account(p_account uuid, p_reason text, p_wait double precision) returns void language plpgsql as $$
begin
    update accounts set slow_until = greatest(slow_until, now() + make_interval(secs => p_wait)), slow_reason = p_reason where id = p_account;
end
$$;

-- The platform refused to send a message. p_scope: whom that concerns (message, person, account, app). p_retry ask_operator parks the
-- account. A throttle of the account of ten minutes or more slows it down. Where the account may be the cause (p_in_doubt), the third
-- refusal for the same reason in a row parks it: of three people, or of any three requests where they are tried again (p_retry later).
-- Locks: the account's run of refusals, then the account. Called by: end_attempt.
create function send_refused(m outbox, p_scope text, p_retry text, p_wait double precision, p_reason text, p_in_doubt boolean)
returns void language plpgsql as $$
declare
    who bigint := hashtextextended(case when p_retry = 'later' then m.id::text || m.sends else m.contact_id::text end, 0);
    hit integer;
begin
    if p_retry = 'ask_operator' then
        perform park_account(m.account_id, p_reason);
    elsif p_in_doubt then
        insert into refusals as r (tenant_id, account_id, reason, people)
        values (m.tenant_id, m.account_id, p_reason, array[who])
        on conflict (account_id) do update set reason = excluded.reason,
            people = case when r.reason <> excluded.reason then excluded.people when who = any (r.people) then r.people
                else r.people || who end
        returning cardinality(people) into hit;
        if hit >= 3 then
            delete from refusals where account_id = m.account_id;
            perform park_account(m.account_id, 'alike:' || p_reason);
        end if;
    elsif p_scope = 'account' and p_wait >= 600 then
        perform slow_account(m.account_id, p_reason, p_wait);
    end if;
end
$$;

-- The platform accepted a message: a run of refusals ends.
-- Locks: the account's run of refusals, which hardly ever exists. Called by: accept_message.
create function send_accepted(p_account uuid) returns void language plpgsql as $$
begin
    delete from refusals where account_id = p_account;
end
$$;

-- A failed status whose code concerns the account (p_effect) parks it or slows it down. One about a message that was sent before the
-- account was resumed says nothing new. p_status may be null: the code came alone.
-- Locks: the account. Called by: accept_events.
create function account_failed(p_account uuid, p_status jsonb, p_effect jsonb) returns void language plpgsql as $$
declare
    sent_at timestamptz;
begin
    select max(started_at) into sent_at from send_attempts where message_id = coalesce(
        (select id from outbox where account_id = p_account and external_id = p_status->>'external_id'), (p_status->>'correlation')::uuid);
    perform from accounts where id = p_account and resumed_at > sent_at;
    if found then
        return;
    end if;
    if p_effect->>'do' = 'park' then
        perform park_account(p_account, p_effect->>'reason');
    else
        perform slow_account(p_account, p_effect->>'reason', (p_effect->>'wait_s')::double precision);
    end if;
end
$$;

-- A notice of the platform: about the account with the number that it names, else about all accounts below what it names as parent, else
-- about the account at whose address it arrived. What it does is in p_effect: park, resume what the notice of the same topic parked, show,
-- or only note. p_at: the platform's time, where it is known.
-- Locks: the accounts in the order of their ids, then their notices. Called by: accept_events.
create function account_noticed(p_tenant uuid, p_account uuid, p_effect jsonb, p_at timestamptz) returns void language plpgsql as $$
declare
    parent text := p_effect->>'parent';
    effect text := p_effect->>'do';
    meant uuid[];
    below uuid[];
    a accounts;
    before account_notices;
    is_own boolean;
    parks boolean;
begin
    select array_agg(x.id) filter (where regexp_replace(x.health #>> '{facts,phone}', '\D', '', 'g') = p_effect->>'number'),
        array_agg(x.id) filter (where x.parent_id = parent)
    into meant, below from accounts x join accounts here on here.id = p_account and here.channel = x.channel where x.tenant_id = p_tenant;
    meant := coalesce(meant, below, array[p_account]);
    for a in select * from accounts where id = any (meant) order by id for no key update loop
        before := null;
        select * into before from account_notices where account_id = a.id and topic = p_effect->>'topic' for update;
        continue when before.occurred_at > p_at;
        -- What something else parked stays parked when this is taken back.
        is_own := a.state = 'needs_attention' and coalesce(a.state_reason = before.reason, false);
        parks := effect = 'park' and (a.state = 'active' or is_own);
        if parks then
            update accounts set state = 'needs_attention', state_reason = p_effect->>'reason' where id = a.id;
        elsif effect = 'resume' and is_own then
            perform resume_account(a.id);
        end if;
        insert into account_notices as n (tenant_id, account_id, topic, reason, occurred_at, attention_at)
        values (a.tenant_id, a.id, p_effect->>'topic', p_effect->>'reason', p_at,
            -- A parked account is a line of its own.
            case when effect in ('park', 'show') and not parks then now() end)
        on conflict (account_id, topic) do update set reason = excluded.reason, received_at = now(), attention_at = excluded.attention_at,
            occurred_at = coalesce(excluded.occurred_at, n.occurred_at),
            times = case when n.reason = excluded.reason then n.times + 1 else 1 end;
    end loop;
end
$$;
