-- As before, and: what a person answered stays in the history where a picture or a voice message had no words: a mark stands for it.

-- What is unanswered, as later prompts tell it. Null where nothing is.
create function unanswered(p_conversation uuid) returns text language sql stable as $$
    select string_agg(words, E'\n' order by at, arrival) from (
        select coalesce(i.occurred_at, i.received_at) as at, i.arrival, coalesce(nullif(concat_ws(E'\n',
                (select string_agg('(picture)', E'\n') from media m where m.inbox_id = i.id), nullif(btrim(i.text), '')), ''),
            '(' || i.content_type || ')') as words
        from inbox i where i.conversation_id = p_conversation and i.turn_id is null and i.kind = 'message') told
$$;

create or replace function answer_by_hand(p_conversation uuid, p_by text, p_text text, p_parts text[], p_key uuid) returns uuid language plpgsql as $$
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

create or replace function answered_elsewhere(p_conversation uuid, p_text text, p_seconds double precision) returns void language plpgsql as $$
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
        'elsewhere', c.lease_token, unanswered(c.id), p_text, 'the platform''s inbox', now(), now()
    returning id into t;
    update inbox set turn_id = t where conversation_id = c.id and turn_id is null and kind = 'message';
    update conversations set waiting_since = null where id = c.id;
end
$$;
