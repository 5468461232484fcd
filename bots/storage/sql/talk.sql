-- Conversations that a person takes over: the bot is silent until they are given back. And the notice to chat pages.

-- Notifies the chat pages that watch a conversation that something changed: pg_notify on chinwag_talk, with ids and no text. It arrives
-- when the transaction commits. Does nothing where nobody watches.
-- Locks: none. Called by: the functions that change what a page shows.
create function tell_page(p_conversation uuid, p_contact uuid) returns void language plpgsql as $$
begin
    if exists (select from watchers where conversation_id = p_conversation and until > now()) then
        perform pg_notify('chinwag_talk',
            jsonb_build_object('kind', 'changed', 'conversation', p_conversation, 'contact', p_contact)::text);
    end if;
end
$$;

-- Gives a conversation to a person (p_by), for p_seconds or, with null, until it is given back. A running turn is fenced, queued messages
-- of the bot are withdrawn, unanswered messages wait for the person. Returns false where the conversation is closed or unknown.
-- Locks: the conversation, then its open turn and queued messages. Called by: crossing (the web), and answered_elsewhere.
create function take_over(p_conversation uuid, p_by text, p_seconds double precision) returns boolean language plpgsql as $$
declare
    c conversations;
begin
    select * into c from conversations where id = p_conversation and closed_at is null for update;
    if not found then
        return false;
    end if;
    update inbox set turn_id = null where turn_id in (select id from turns where conversation_id = c.id and state = 'open');
    update turns set state = 'skipped', reason = 'taken_over', finished_at = now() where conversation_id = c.id and state = 'open';
    update outbox set status = 'failed', reason = 'taken_over', not_before = null, status_at = now()
    where conversation_id = c.id and status = 'queued'
        and turn_id in (select id from turns where conversation_id = c.id and answered_by is null);
    update conversations set taken_by = p_by, taken_at = case when taken_by = p_by then taken_at else now() end,
        taken_until = case when p_seconds is not null then now() + make_interval(secs => p_seconds) end,
        -- A running turn had set it to null. A conversation that a person opened has no newest message, and is listed nevertheless.
        waiting_since = (select min(received_at) from inbox where conversation_id = c.id and turn_id is null and kind = 'message'),
        newest_at = coalesce(newest_at, now()),
        lease_token = lease_token + 1, leased_by = null, leased_until = null, ready_at = null, hold_until = null
    where id = c.id;
    perform tell_page(c.id, c.contact_id);
    return true;
end
$$;

-- Gives a conversation back to the bot, which starts with the unanswered messages. Returns false where nobody has taken it over.
-- Locks: the conversation. Called by: crossing (the web), and keep_house, which holds the lock already.
create function give_back(p_conversation uuid) returns boolean language plpgsql as $$
declare
    c conversations;
    since timestamptz;
begin
    select * into c from conversations where id = p_conversation and taken_by is not null for update;
    if not found then
        return false;
    end if;
    select min(received_at) into since from inbox where conversation_id = c.id and turn_id is null and kind = 'message';
    update conversations set taken_by = null, taken_at = null, taken_until = null, waiting_since = since,
        ready_at = case when since is not null and closed_at is null then now() end
    where id = c.id;
    perform tell_page(c.id, c.contact_id);
    return true;
end
$$;

-- Records a person's answer as a turn of its own (its id is p_key) that covers all unanswered messages, and queues its parts. Returns the
-- turn's id, or null where the conversation is closed or not taken over. The same p_key again changes nothing and returns the same id.
-- Locks: the conversation. Called by: crossing (the web), which has checked that it was p_by who took the conversation over.
create function answer_by_hand(p_conversation uuid, p_by text, p_text text, p_parts text[], p_key uuid) returns uuid language plpgsql as $$
declare
    c conversations;
    t turns;
begin
    select * into c from conversations where id = p_conversation and taken_by is not null and closed_at is null for update;
    if not found then
        return null;
    end if;
    -- A form that is submitted twice is one answer.
    perform from turns where id = p_key and conversation_id = c.id;
    if found then
        return p_key;
    end if;
    insert into turns (tenant_id, id, conversation_id, contact_id, number, state, token, asked, answer, answered_by, claimed_at, finished_at)
    select c.tenant_id, p_key, c.id, c.contact_id, (select coalesce(max(number), 0) + 1 from turns where conversation_id = c.id), 'answered',
        c.lease_token, unanswered(c.id), p_text, p_by, now(), now()
    returning * into t;
    update inbox set turn_id = t.id where conversation_id = c.id and turn_id is null and kind = 'message';
    update conversations set waiting_since = null where id = c.id;
    insert into outbox (tenant_id, turn_id, part, account_id, contact_id, conversation_id, body, not_before)
    select c.tenant_id, t.id, n, c.account_id, c.contact_id, c.id, x, now() from unnest(p_parts) with ordinality as p(x, n);
    perform tell_page(c.id, c.contact_id);
    return t.id;
end
$$;

-- Whether something that left the account, and not through us, was sent by itself: a greeting, an away line, another app's answer, or one text
-- for many. p_app is the app that wrote it, where the platform says so. Nobody reads and answers within p_within seconds of a contact's
-- message, or of opening the chat. But who has written already in the minute before, and got nothing automatic then, may be getting the
-- answer to that. More than a word or two that went to two other contacts within a day, too, was not written to this one.
-- Locks: none. Called by: accept_events, release_greeted.
create function is_automatic(p_account uuid, p_conversation uuid, p_app text, p_text text, p_at timestamptz, p_within double precision)
returns boolean language sql stable as $$
    with near as (
        select kind <> 'echo' as asks, reason = 'automatic' as is_automatic, p_at - coalesce(occurred_at, received_at) as before
        from inbox
        where conversation_id = p_conversation and kind in ('message', 'unsent', 'standby', 'system', 'echo')
        order by arrival desc limit 20
    )
    select (exists (select from near where asks and before < make_interval(secs => p_within) and before > interval '-1 second')
        and (not exists (select from near where asks and before >= make_interval(secs => p_within) and before < interval '1 minute')
            or exists (select from near where is_automatic and before < interval '1 minute')
            -- Neither of the platform's two inboxes, where both people and the platform itself write.
            or coalesce(p_app, '263902037430900') not in ('263902037430900', '1217981644879628')))
    or (length(btrim(p_text)) >= 12 and 2 <= (
        select count(distinct contact_id) from (select contact_id from inbox
            where kind = 'echo' and received_at > now() - interval '1 day' and conversation_id <> p_conversation
                and md5(account_id::text || lower(regexp_replace(btrim(text), '\s+', ' ', 'g')))
                    = md5(p_account::text || lower(regexp_replace(btrim(p_text), '\s+', ' ', 'g')))
            limit 100) same))
$$;

-- Somebody answered in the platform's own inbox with p_echo: the bot is silent for p_seconds, and the unanswered messages count as answered by
-- its text. A takeover without a time limit stays as it is.
-- Locks: the conversation. Called by: accept_events.
create function answered_elsewhere(p_conversation uuid, p_echo uuid, p_text text, p_seconds double precision) returns void language plpgsql as $$
declare
    c conversations;
    t uuid;
begin
    select * into c from conversations where id = p_conversation for update;
    -- Whoever took the conversation over without a time limit keeps it.
    if c.taken_by is null or c.taken_until is not null then
        perform take_over(c.id, 'the platform''s inbox', p_seconds);
    end if;
    if not exists (select from inbox where conversation_id = c.id and turn_id is null and kind = 'message') then
        return;
    end if;
    insert into turns (tenant_id, conversation_id, contact_id, number, state, reason, token, asked, answer, answered_by, claimed_at, finished_at)
    select c.tenant_id, c.id, c.contact_id, (select coalesce(max(number), 0) + 1 from turns where conversation_id = c.id), 'answered',
        'elsewhere', c.lease_token, unanswered(c.id), p_text, 'the platform''s inbox', now(), now()
    returning id into t;
    update inbox set turn_id = t where conversation_id = c.id and turn_id is null and kind = 'message';
    -- The answer is known by its turn, too, since it may be changed later.
    update inbox set turn_id = t where id = p_echo;
    update conversations set waiting_since = null where id = c.id;
end
$$;

-- Gives a conversation back to the bot where nothing holds it but echoes that turn out to be automatic, now that the message has come to which
-- they were the reply: webhooks arrive in any order.
-- Locks: the conversation; the caller holds it. Called by: accept_events.
create function release_greeted(p_conversation uuid, p_within double precision) returns void language plpgsql as $$
declare
    since timestamptz;
begin
    select taken_at into since from conversations where id = p_conversation and taken_until is not null;
    update inbox i set reason = 'automatic'
    where i.conversation_id = p_conversation and i.kind = 'echo' and i.turn_id is null and i.received_at >= since
        and i.reason is distinct from 'automatic'
        and is_automatic(i.account_id, i.conversation_id, null, i.text, coalesce(i.occurred_at, i.received_at), p_within);
    if found and not exists (select from inbox where conversation_id = p_conversation and kind = 'echo' and received_at >= since
            and reason is distinct from 'automatic') then
        perform give_back(p_conversation);
    end if;
end
$$;
