CREATE OR REPLACE FUNCTION public.change_message(p_change inbox, p_read jsonb, p_quiet interval, OUT p_emptied uuid[])
 RETURNS uuid[]
 LANGUAGE plpgsql
AS $function$
declare
    m inbox;
    c conversations;
    t turns;
    copies uuid[];
    moment timestamptz := coalesce(p_change.occurred_at, p_change.received_at);
    gone boolean := p_change.kind = 'revoke';
    facts jsonb;
    -- A running turn has read it: as its question, in the history, in a quotation, or as a memory.
    stale boolean := gone;
begin
    select * into m from inbox
    where account_id = p_change.account_id and event_key = any(array[p_change.target, 'standby:' || p_change.target])
        and contact_id = p_change.contact_id and kind in ('message', 'echo', 'standby', 'unknown', 'unsent')
    -- It may have come in standby, too; the one that can be answered counts.
    order by content_type = 'unsent', starts_with(event_key, 'standby:') limit 1;
    if not found then
        if starts_with(p_change.target, 'echo:') then
            perform change_answer(p_change.account_id, p_change.contact_id, substr(p_change.target, 6));
            p_emptied := case when is_forgotten_answer(p_change.account_id, substr(p_change.target, 6)) then array[p_change.envelope_id] end;
        end if;
        return;
    end if;
    if (m.kind = 'echo') <> starts_with(p_change.target, 'echo:') then
        return;
    end if;
    if (p_read->>'unsaid')::boolean then
        -- Before the memories, as in finish_turn.
        perform from conversations where contact_id = m.contact_id order by id for update;
    end if;
    select * into c from conversations where id = m.conversation_id for update;
    select * into m from inbox where id = m.id;
    if not gone then
        -- Where it came in standby, too, one of the two may have the new words already.
        p_change.text := coalesce(p_change.text, (select text from inbox
            where account_id = m.account_id and event_key = any(array[p_change.target, 'standby:' || p_change.target])
                and contact_id = m.contact_id and edited_at = moment limit 1));
    end if;
    -- From now on the words are in the message alone.
    update inbox set text = null where id = p_change.id;
    if not gone and (m.content_type = 'unsent' or m.forgotten_at is not null) then
        -- The body that it came in has the new words.
        p_emptied := array[p_change.envelope_id];
        if m.content_type not in ('unsent', 'erased') then
            update inbox set text = p_change.text, edited_at = moment where id = m.id and coalesce(edited_at <= moment, true) and btrim(p_change.text) <> '';
        end if;
        return;
    end if;
    if m.content_type = 'unsent' or (not gone and (m.edited_at > moment or coalesce(btrim(p_change.text), '') = '')) then
        return;
    end if;
    select * into t from turns where id = m.turn_id;
    if gone then
        copies := array(select id from inbox where account_id = m.account_id and contact_id = m.contact_id
            and event_key = any(array[p_change.target, 'standby:' || p_change.target]));
        update inbox set kind = case kind when 'echo' then kind else 'unsent' end,
            turn_id = case when id = m.id and t.state = 'open' then null else turn_id end
        where id = any(copies);
        perform empty_messages(copies, 'unsent');
        -- Two lookups: one with "or" would read every message of the account.
        p_emptied := array(
            select envelope_id from inbox where account_id = m.account_id and event_key = any(array[p_change.target, 'standby:' || p_change.target])
            union
            select envelope_id from inbox where account_id = m.account_id and target = p_change.target and kind in ('edit', 'revoke'));
        perform empty_prompts(m.contact_id, m.received_at);
    else
        update inbox set text = p_change.text, edited_at = moment, supported = supported or kind = 'message',
            reason = case when kind = 'message' then case when t.state <> 'open' and (p_read->>'untold')::boolean then 'untold' end else reason end
        where id = m.id or (account_id = m.account_id and event_key = 'standby:' || p_change.target and contact_id = m.contact_id);
        if m.text is not distinct from p_change.text then
            return;
        end if;
    end if;

    if m.kind = 'echo' then
        update turns set answer = case when not gone then p_change.text end where id = m.turn_id;
    elsif gone or t.state <> 'open' then
        -- What a person answered has no facts for us.
        facts := unlearn(m, case when gone or t.answered_by is not null then '[]' else coalesce(p_read->'facts', '[]') end);
        perform remember(m.contact_id, t.id, from_message(m.id, facts),
            from_message(m.id, case when gone or t.answered_by is not null then '[]' else coalesce(p_read->'ends', '[]') end), 'rules-3');
        if (p_read->>'stops')::boolean and not gone and t.id is not null then
            update contacts set stopped_at = coalesce(stopped_at, now()) where tenant_id = m.tenant_id and id = m.contact_id;
        end if;
        if (p_read->>'unsaid')::boolean and not gone and t.id is not null then
            -- A message that is nothing but the wish is about those before it in its turn, too.
            perform erase(m.contact_id, case when (p_read->>'untold')::boolean then jsonb_build_object('turns', array[t.id])
                else jsonb_build_object('messages', array[m.id]) end);
            p_emptied := array[p_change.envelope_id];
        end if;
    end if;

    -- The turn of the message, and those of the messages that quote it.
    for t in
        select * from turns where id = m.turn_id or id = any(turns_with(m.contact_id, array[m.id]))
    loop
        if t.state <> 'open' then
            perform retell(t.id);
            perform renew_summary(t.conversation_id, t.number);
        elsif not exists (select from inbox where turn_id = t.id) then
            update turns set state = 'skipped', reason = 'unsent', finished_at = now() where id = t.id;
        end if;
        stale := stale or t.state = 'open';
    end loop;
    if stale then
        update conversations set lease_token = lease_token + 1, leased_by = null, leased_until = null,
            ready_at = case when taken_by is null and closed_at is null then now() + p_quiet end
        where id in (c.id, p_change.conversation_id) and leased_by is not null;
    end if;
    update conversations set
        waiting_since = (select min(received_at) from inbox where conversation_id = c.id and turn_id is null and kind = 'message')
    where id = c.id and waiting_since is not null;
    perform tell_page(c.id, m.contact_id);
end
$function$;
