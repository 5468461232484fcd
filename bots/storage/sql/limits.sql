-- What limits sends: an outage of the platform, and the platform's own limits on a person, an account or an app. One row of send_limits
-- each; no row, no limit. Locks are always taken in the order message, app, account, person.

-- How many seconds until the next probe, after p_level of them failed in a row. Meta advises 4^n for a pair of number and contact, n from 0.
-- Locks: none. Called by: limit_after, end_health_read.
create function probe_after(p_scope text, p_level integer, p_longest double precision) returns interval language sql immutable as $$
    select make_interval(secs => case p_scope when 'person' then 4 ^ least(p_level, 5) else least(2 ^ least(p_level, 20), p_longest) end)
$$;

-- The active accounts where a send may be claimed now, the one that waits longest first. room is how many may be claimed at once (null:
-- any number). held: messages of which it is not known whether they were sent wait until the platform is known to work. asks: where
-- nothing else is due, the account's health is read. Its cost grows with the accounts that have something to send, not with the messages.
-- Locks: none. Called by: lanes_in_turn, work_waiting.
create function send_lanes() returns table (
    tenant_id uuid, account_id uuid, account_limit uuid, app_limit uuid, room integer, held boolean, asks boolean
) language sql stable as $$
    with recursive lane as (
        (select o.account_id, o.not_before from outbox o where o.not_before is not null order by o.account_id, o.not_before limit 1)
        union all
        select n.account_id, n.not_before from lane l cross join lateral (
            select o.account_id, o.not_before from outbox o where o.not_before is not null and o.account_id > l.account_id
            order by o.account_id, o.not_before limit 1) n
    )
    select a.tenant_id, a.id, x.id, y.id,
        least(case when x.state = 'rising' then 1 + floor(x.per_s / 4)::integer when x.state <> 'suspect' then 1 end,
            case when y.state = 'rising' then 1 + floor(y.per_s / 4)::integer when y.state <> 'suspect' then 1 end),
        coalesce(x.state in ('suspect', 'outage'), false),
        coalesce(x.state in ('suspect', 'outage') and x.until <= now(), false)
    -- Limits of one: each is found by its index, whatever Postgres knows of the number of rows.
    from lane l
        left join lateral (select * from send_limits s where s.scope = 'account' and s.account_id = l.account_id limit 1) x on true
        cross join lateral (select * from accounts b where b.id = l.account_id and may_send(b) limit 1) a
        left join lateral (select * from send_limits s where s.scope = 'app' and s.app_id = a.app_id limit 1) y on true
    where (y.id is null or y.until <= now())
        and case when x.state = 'outage' then x.until <= now()
            else l.not_before <= now() and (x.id is null or x.state = 'suspect' or x.until <= now()) end
    order by l.not_before
$$;

-- The same, and the account whose turn it is first; none that has no room: whose slow sends hold nearly all slots, where others have written lately.
-- Locks: none. Called by: claim_send.
create function lanes_in_turn() returns table (
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

-- Counts a send against a limit: one probe at a time while it is closed (the next one only after p_stale seconds, if nobody ends this
-- one), else its rate; what was left unused in the last quarter of a second may be used at once.
-- Locks: the limit. Called by: claim_send.
create function use_limit(p_limit uuid, p_stale double precision) returns void language sql as $$
    update send_limits set until = case state
        when 'rising' then greatest(until, now() - interval '250 milliseconds') + make_interval(secs => 1 / per_s)
        when 'suspect' then until
        else now() + make_interval(secs => p_stale) end
    where id = p_limit
$$;

-- The platform took or finally refused the message m (p_accepted says which) in an attempt that began at p_began: it works. A limit opens
-- at one message per second, and then doubles once a second; at more than 64 it is gone. A refusal proves the end of an outage, but not
-- that of a throttle. An attempt from before the limit closed proves nothing about it.
-- Locks: the limits. Called by: end_attempt, accept_message, within the contact's own rows.
create function ease_limits(m outbox, p_began timestamptz, p_accepted boolean) returns void language plpgsql as $$
declare
    l send_limits;
    id_now uuid;
begin
    for id_now in
        select x.id from accounts a join send_limits x on x.scope = 'app' and x.app_id = a.app_id
        where a.tenant_id = m.tenant_id and a.id = m.account_id
        union all
        select x.id from send_limits x where x.scope = 'account' and x.account_id = m.account_id
        union all
        select x.id from send_limits x where x.scope = 'person' and x.account_id = m.account_id and x.contact_id = m.contact_id
    loop
        select * into l from send_limits where id = id_now for update;
        continue when not found;
        if l.state = 'suspect' then
            delete from send_limits where id = l.id;
        elsif l.state = 'rising' then
            if not p_accepted or l.risen_at > now() - interval '1 second' then
                continue;
            end if;
            if l.per_s >= 64 and l.healed_at is null then
                delete from send_limits where id = l.id;
            else
                update send_limits set per_s = least(per_s * 2, 64), risen_at = now() where id = l.id;
            end if;
        elsif p_began < l.closed_at then
            continue;
        elsif p_accepted or l.state in ('outage', 'probing') then
            update send_limits set state = 'rising', per_s = 1, risen_at = now(), until = now() + interval '1 second', level = l.level / 2,
                failing = '{}', healed_at = case when l.state = 'outage' then now() else l.healed_at end
            where id = l.id;
        else
            -- The probe said nothing about the throttle: the next one goes at once.
            update send_limits set until = now() where id = l.id;
        end if;
    end loop;
end
$$;

-- The platform did not take the message m in an attempt that began at p_began. A throttle (rejected for now, with a scope above message)
-- closes the limit of that scope for p_retry_after seconds or a growing pause. Anything else counts towards an outage of the account:
-- after p_outage_after conversations that failed alike, none accepted between, or when a probe failed. A failure of our own (p_scope null)
-- counts for nothing. Returns the state of the limit that it concerns and until when it is closed.
-- Locks: the limit. Called by: end_attempt, within the contact's own rows.
create function limit_after(
    m outbox, p_began timestamptz, p_outcome text, p_scope text, p_retry_after double precision, p_outage_after integer,
    p_longest double precision, out state_now text, out until_now timestamptz
) language plpgsql as $$
declare
    l send_limits;
    app text;
    wide text := 'account';
    throttled boolean := p_outcome = 'rejected' and p_scope <> 'message';
begin
    if p_scope is null then
        return;
    end if;
    if throttled then
        select app_id into app from accounts where tenant_id = m.tenant_id and id = m.account_id;
        -- Without the app's id its limit is the account's.
        wide := case when p_scope = 'app' and app is null then 'account' else p_scope end;
    end if;
    insert into send_limits (tenant_id, scope, account_id, contact_id, app_id)
    values (m.tenant_id, wide, case when wide <> 'app' then m.account_id end, case when wide = 'person' then m.contact_id end,
        case when wide = 'app' then app end)
    on conflict do nothing;
    if wide = 'app' then
        select * into l from send_limits where scope = 'app' and app_id = app for update;
    elsif wide = 'account' then
        select * into l from send_limits where scope = 'account' and account_id = m.account_id for update;
    else
        select * into l from send_limits where scope = 'person' and account_id = m.account_id and contact_id = m.contact_id for update;
    end if;
    if l.state <> 'suspect' and p_began < l.closed_at then
        -- It was on its way when the limit closed. Only what the platform asks for counts.
        l.until := greatest(l.until, now() + make_interval(secs => coalesce(p_retry_after, 0)));
    elsif throttled or l.state <> 'suspect' then
        l.level := case when l.state = 'suspect' then 0 else l.level + 1 end;
        l.since := case when l.state = 'suspect' or (l.state = 'throttled') <> throttled then now() else l.since end;
        l.state := case when throttled then 'throttled' else 'outage' end;
        l.until := now() + coalesce(make_interval(secs => p_retry_after), probe_after(wide, l.level, p_longest));
        l.closed_at := now();
    else
        l.failing := array_remove(l.failing, m.conversation_id) || m.conversation_id;
        if cardinality(l.failing) >= p_outage_after then
            l.state := 'outage';
            l.since := now();
            l.until := now() + probe_after(wide, 0, p_longest);
            l.closed_at := now();
        end if;
    end if;
    update send_limits set state = l.state, until = l.until, level = l.level, since = l.since, closed_at = l.closed_at, failing = l.failing,
        message_id = m.id
    where id = l.id;
    state_now := l.state;
    until_now := l.until;
end
$$;

-- Records whether the platform answered a read of the account's health. If it did, an outage is over as far as can be seen: one message at
-- a time is tried until one is accepted, those whose sending is unknown only after their wait for reports. If not, the account is in outage.
-- Locks: the limit. Called by: crossing (workers), after claim_send asked for the read.
create function end_health_read(p_account uuid, p_answers boolean, p_longest double precision) returns text language plpgsql as $$
declare
    l send_limits;
begin
    select * into l from send_limits where scope = 'account' and account_id = p_account and state in ('suspect', 'outage') for update;
    if not found then
        return null;
    end if;
    if p_answers then
        -- Before an outage was seen, each message has had its wait already.
        update send_limits set state = 'probing', until = now(), closed_at = now(), healed_at = case when state = 'outage' then now() end
        where id = l.id;
        return 'probing';
    end if;
    l.level := case when l.state = 'suspect' then 0 else l.level + 1 end;
    update send_limits set state = 'outage', level = l.level, until = now() + probe_after('account', l.level, p_longest), closed_at = now(),
        since = case when l.state = 'suspect' then now() else since end
    where id = l.id;
    return 'outage';
end
$$;
