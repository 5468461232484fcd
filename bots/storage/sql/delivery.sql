-- Delivery statuses: a message's status only moves up, in whatever order reports arrive.

-- The position of a delivery status on the way from queued to read. Null for failed, which is not on that way.
-- Locks: none. Called by: climb, accept_events, end_attempt.
create function status_rank(status text) returns integer language sql immutable as $$
    select array_position(array['queued', 'sending', 'unknown', 'accepted', 'sent', 'delivered', 'read'], status)
$$;

-- A part that was not sent ends its answer: the parts after it are not sent either, for that reason. Part 0 is an apology before the answer:
-- nothing depends on it.
-- Locks: the later parts. Called by: climb, claim_send, fail_old, end_attempt, lose_outcome.
create function stop_rest(m outbox, p_reason text) returns void language sql as $$
    update outbox set status = 'failed', status_at = now(), not_before = null, reason = p_reason
    where turn_id = m.turn_id and part > m.part and m.part > 0 and status = 'queued'
$$;

-- A part was sent after all, or an operator sends it again (p_asked): the parts after it that were stopped because of it are due again.
-- Without being asked not where a person has taken the conversation over from the bot, or has answered in it since.
-- Locks: the later parts. Called by: climb, accept_message, crossing (the web).
create function resume_rest(m outbox, p_asked boolean) returns void language sql as $$
    update outbox set status = 'queued', status_at = now(), not_before = now(), attention_at = null, reason = null,
        waits_since = case when p_asked then now() else waits_since end
    where turn_id = m.turn_id and part > m.part and m.part > 0 and status = 'failed' and reason in ('part_refused', 'part_unknown')
        and (p_asked or not exists (select from conversations c join turns t on t.id = m.turn_id
            where c.id = m.conversation_id and t.answered_by is null and (c.taken_by is not null or exists (
                select from turns x where x.conversation_id = c.id and x.number > t.number and x.answered_by is not null))))
$$;

-- Moves a message up to p_status; a lower status than it has changes nothing. failed is final, unless delivered or read is reported later.
-- p_code is the platform's error code. The next part of the answer becomes due once the platform has sent this one; if it failed, the answer
-- ends there.
-- Locks: the message, then its later parts. Called by: apply_status, apply_watermark, accept_message.
create function climb(p_message uuid, p_status text, p_code integer) returns void language plpgsql as $$
declare
    m outbox;
    stopped boolean;
begin
    select * into m from outbox where id = p_message for update;
    if not found then
        return;
    end if;
    stopped := m.status = 'failed' or (m.status = 'unknown' and m.not_before is null);
    if p_status = 'failed' then
        if m.status in ('delivered', 'read', 'failed') then
            return;
        end if;
    elsif m.status = 'failed' then
        if p_status not in ('delivered', 'read') then
            return;
        end if;
    elsif status_rank(p_status) <= status_rank(m.status) then
        return;
    end if;
    update outbox set status = p_status, status_at = now(), not_before = null, attention_at = case when p_status = 'failed' then now() end,
        reason = case when p_status = 'failed' then 'platform:' || coalesce(p_code::text, '?') end
    where id = p_message;
    if p_status = 'failed' then
        perform stop_rest(m, 'part_refused');
    elsif stopped then
        perform resume_rest(m, false);
    end if;
    -- The platform has sent it: the next part need not wait any longer.
    update outbox set not_before = now()
    where p_status not in ('accepted', 'failed') and turn_id = m.turn_id and part = m.part + 1 and status = 'queued' and not_before > now();
    perform tell_page(m.conversation_id, m.contact_id);
end
$$;

-- Applies a reported status to the message with this external id, or else to the one whose id the platform returns to us
-- (p_correlation). Does nothing where there is no such message: end_attempt applies the stored status later.
-- Locks: the message; where it is not known yet, the advisory lock on account and external id, and then the message. end_attempt takes
-- them in the same order. Called by: accept_events, settle_echo.
create function apply_status(p_account uuid, p_external_id text, p_status text, p_correlation uuid, p_code integer)
returns void language plpgsql as $$
declare
    m record;
begin
    for attempt in 1..2 loop
        select id, contact_id, external_id into m from outbox where account_id = p_account and external_id = p_external_id for update;
        if not found and p_correlation is not null then
            select id, contact_id, external_id into m from outbox where id = p_correlation and account_id = p_account for update;
        end if;
        exit when m.id is not null or attempt = 2;
        -- The answer to our request and this status may arrive at the same time: whoever comes second sees what the first wrote.
        perform pg_advisory_xact_lock(hashtext(p_account::text || p_external_id));
    end loop;
    if m.id is null then
        return;
    end if;
    if m.external_id is null then
        update outbox set external_id = p_external_id where id = m.id;
        perform change_answer(p_account, m.contact_id, p_external_id);
    end if;
    perform climb(m.id, p_status, p_code);
end
$$;

-- Applies a report that everything up to a time (p_until) was delivered or read: all messages to that contact that the platform accepted
-- before it move up to p_status. It covers the last seven days.
-- Locks: the messages, in the order of their seq. Called by: accept_events.
create function apply_watermark(p_tenant uuid, p_account uuid, p_scope text, p_identities jsonb, p_status text, p_until timestamptz)
returns void language plpgsql as $$
declare
    m uuid;
begin
    -- In one order, so that a delivery and a read that arrive together do not deadlock.
    for m in
        select o.id from outbox o
        where o.account_id = p_account and o.external_id is not null and o.created_at <= p_until
            and o.created_at > p_until - interval '7 days' and o.status in ('accepted', 'sent', 'delivered')
            and o.conversation_id in (select id from conversations v where v.tenant_id = p_tenant and v.account_id = p_account
                and v.contact_id in (select x.contact_id from jsonb_array_elements(p_identities) i join contact_identities x
                    on x.tenant_id = p_tenant and x.scope = p_scope and x.kind = i->>'kind' and x.norm = one_number(i->>'kind', i->>'value')))
        order by o.seq
    loop
        perform climb(m, p_status, null);
    end loop;
end
$$;

-- Whether an echo is of a message that we sent; if so, the message is marked as sent. An echo that arrives before our request is answered
-- is recognised by its text, while that send is open.
-- Locks: those of apply_status. Called by: accept_events.
create function settle_echo(p_account uuid, p_conversation uuid, p_external_id text, p_text text) returns boolean language plpgsql as $$
declare
    m outbox;
begin
    select * into m from outbox where account_id = p_account and external_id = p_external_id;
    if not found then
        select * into m from outbox
        where conversation_id = p_conversation and external_id is null and status in ('sending', 'unknown')
            -- The platform may have trimmed it.
            and regexp_replace(btrim(body), '\s+', ' ', 'g') = regexp_replace(btrim(p_text), '\s+', ' ', 'g')
        order by seq limit 1;
    end if;
    if not found then
        return false;
    end if;
    perform apply_status(p_account, p_external_id, 'sent', m.id, null);
    return true;
end
$$;
