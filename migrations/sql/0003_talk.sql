-- A person may take a conversation over; the bot is silent until it is given back. Echoes and watermarks of page messaging.

-- Take a conversation over: a turn that runs is fenced, what waits to be sent is withdrawn, what is unanswered waits for the person.
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
        -- A running turn had taken it away; a talk that a person opened has none yet and is listed all the same.
        waiting_since = (select min(received_at) from inbox where conversation_id = c.id and turn_id is null and kind = 'message'),
        newest_at = coalesce(newest_at, now()),
        lease_token = lease_token + 1, leased_by = null, leased_until = null, ready_at = null, hold_until = null
    where id = c.id;
    perform tell_page(c.id, c.contact_id);
    return true;
end
$$;

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

-- A person's answer: a turn of its own that covers what is unanswered. Null where the conversation is not taken over.
create function answer_by_hand(p_conversation uuid, p_by text, p_text text, p_parts text[], p_key uuid) returns uuid language plpgsql as $$
declare
    c conversations;
    t turns;
begin
    select * into c from conversations where id = p_conversation and taken_by is not null and closed_at is null for update;
    if not found then
        return null;
    end if;
    -- The same form sent twice is one answer.
    perform from turns where id = p_key and conversation_id = c.id;
    if found then
        return p_key;
    end if;
    insert into turns (tenant_id, id, conversation_id, contact_id, number, state, token, asked, answer, answered_by, claimed_at, finished_at)
    select c.tenant_id, p_key, c.id, c.contact_id, (select coalesce(max(number), 0) + 1 from turns where conversation_id = c.id), 'answered',
        c.lease_token, (select string_agg(text, E'\n' order by coalesce(occurred_at, received_at), arrival) from inbox
            where conversation_id = c.id and turn_id is null and kind = 'message' and text is not null),
        p_text, p_by, now(), now()
    returning * into t;
    update inbox set turn_id = t.id where conversation_id = c.id and turn_id is null and kind = 'message';
    update conversations set waiting_since = null where id = c.id;
    insert into outbox (tenant_id, turn_id, part, account_id, contact_id, conversation_id, body, not_before)
    select c.tenant_id, t.id, n, c.account_id, c.contact_id, c.id, x, now() from unnest(p_parts) with ordinality as p(x, n);
    perform tell_page(c.id, c.contact_id);
    return t.id;
end
$$;

-- Somebody answered in the platform's own inbox: the bot is silent for a while, and what was unanswered is answered.
create function answered_elsewhere(p_conversation uuid, p_text text, p_seconds double precision) returns void language plpgsql as $$
declare
    c conversations;
    t uuid;
begin
    select * into c from conversations where id = p_conversation for update;
    -- Whoever took the conversation over without an end keeps it.
    if c.taken_by is null or c.taken_until is not null then
        perform take_over(c.id, 'the platform''s inbox', p_seconds);
    end if;
    if not exists (select from inbox where conversation_id = c.id and turn_id is null and kind = 'message') then
        return;
    end if;
    insert into turns (tenant_id, conversation_id, contact_id, number, state, reason, token, asked, answer, answered_by, claimed_at, finished_at)
    select c.tenant_id, c.id, c.contact_id, (select coalesce(max(number), 0) + 1 from turns where conversation_id = c.id), 'answered',
        'elsewhere', c.lease_token, (select string_agg(text, E'\n' order by coalesce(occurred_at, received_at), arrival) from inbox
            where conversation_id = c.id and turn_id is null and kind = 'message' and text is not null),
        p_text, 'the platform''s inbox', now(), now()
    returning id into t;
    update inbox set turn_id = t where conversation_id = c.id and turn_id is null and kind = 'message';
    update conversations set waiting_since = null where id = c.id;
end
$$;

-- Whether an echo is a message of ours. One that overtakes our own 200 is known by its words while their send is open.
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

-- Delivered or read up to a time: all that was taken before climbs.
create function apply_watermark(p_tenant uuid, p_account uuid, p_scope text, p_identities jsonb, p_status text, p_until timestamptz)
returns void language plpgsql as $$
declare
    m uuid;
begin
    -- In one order: a delivery and a read that come together must not wait for each other.
    for m in
        select o.id from outbox o
        where o.account_id = p_account and o.external_id is not null and o.created_at <= p_until
            and o.created_at > p_until - interval '7 days' and o.status in ('accepted', 'sent', 'delivered')
            and o.conversation_id in (select id from conversations v where v.tenant_id = p_tenant and v.account_id = p_account
                and v.contact_id in (select x.contact_id from jsonb_array_elements(p_identities) i join contact_identities x
                    on x.tenant_id = p_tenant and x.scope = p_scope and x.kind = i->>'kind' and x.value = i->>'value'))
        order by o.seq
    loop
        perform climb(m, p_status, null);
    end loop;
end
$$;
