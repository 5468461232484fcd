-- Forgetting: what a contact asks to forget goes, and every copy of its words with it.

-- What shows that a text repeats a memory: lists of words, each as words_of has it, of which one list must be there in one sentence. One has
-- all words of the memory. For names of people and animals there are more, since they are used alone: each part of the contact's own name, and
-- what follows the first word of "daughter Amelie" or "cat Mr Pickles".
-- Locks: none. Called by: forget_memories.
create function telling(p_kind text, p_text text) returns jsonb language sql immutable as $$
    with parts as (
        select part, words_of(part) as words, n, count(*) over () as parts from regexp_split_to_table(btrim(p_text), '\s+') with ordinality as p(part, n)
    )
    select coalesce(jsonb_agg(needle), '[]') from (
        select jsonb_agg(' ' || word || ' ') as needle from regexp_split_to_table(btrim(words_of(p_text)), ' +') word where word <> ''
        union all
        select jsonb_build_array(words) from parts
        where parts > 1 and length(words) >= case when parts > 2 or p_kind in ('name', 'addressing') then 5 else 4 end
            and (p_kind in ('name', 'addressing') or (p_kind in ('family', 'pet') and n > 1 and (parts = 2
                -- A name among other words has a capital letter, or is in letters without capitals.
                or left(part, 1) <> lower(left(part, 1)) or (lower(part) = upper(part) and part !~ '\d'))))
    ) found where needle is not null
$$;

-- The same where one word is enough and the contact's talk is full of it: a name that is also a common word ("Will", "May") shows only where it has a
-- capital letter, and begins with ^ here. Else forgetting a name would erase half of what was said.
-- Locks: none. Called by: erase_words.
create function spare_common(p_talks uuid[], p_needles jsonb) returns jsonb language sql stable as $$
    with texts as materialized (
        select text from inbox where conversation_id = any(p_talks) and text <> ''
        union all
        select answer from turns where conversation_id = any(p_talks) and answer <> ''
    )
    select coalesce(jsonb_agg(case when uses >= 10 and uses * 20 >= (select count(*) from texts)
        then jsonb_build_array('^' || btrim(needle->>0)) else needle end), '[]')
    from jsonb_array_elements(p_needles) needle, lateral (
        select count(*) as uses from texts
        where jsonb_array_length(needle) = 1 and position(btrim(needle->>0) in text) > 0 and text ~ ('\m' || btrim(needle->>0) || '\M')) as counted
$$;

-- Whether a text repeats one of these memories (p_needles, as telling and spare_common have them).
-- Locks: none. Called by: erase_words.
create function repeats(p_text text, p_needles jsonb) returns boolean language sql immutable cost 10000 as $$
    select exists (
        select from (select words_of(p_text) as words offset 0) whole, jsonb_array_elements(p_needles) needle
        where case when starts_with(needle->>0, '^') then p_text ~ format('\m(%s|%s)\M', initcap(substr(needle->>0, 2)), upper(substr(needle->>0, 2)))
            else not exists (select from jsonb_array_elements_text(needle) one where position(one in whole.words) = 0)
                and (jsonb_array_length(needle) = 1 or exists (
                    select from regexp_split_to_table(p_text, '[!?;\n]|\.\s') part, lateral (select words_of(part) as words offset 0) sentence
                    where not exists (select from jsonb_array_elements_text(needle) one where position(one in sentence.words) = 0))) end)
$$;

-- A pattern for each of them that a text which repeats it is like (letters_of): its longest word. Much sooner known than repeats.
-- Locks: none. Called by: erase_words.
create function hints_of(p_needles jsonb) returns text[] language sql immutable as $$
    select array(select '%' || (select word from jsonb_array_elements_text(needle) one, regexp_split_to_table(btrim(one, ' ^'), ' +') word
        order by length(word) desc limit 1) || '%' from jsonb_array_elements(p_needles) needle)
$$;

-- Whether the bot of an account keeps messages and answers whose words were forgotten.
-- Locks: none. Called by: blank_messages, blank_answers, keep_house.
create function keeps_messages(p_tenant uuid, p_account uuid) returns boolean language sql stable as $$
    select b.keeps_messages from accounts a join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id
    where a.tenant_id = p_tenant and a.id = p_account
$$;

-- Whether a message of ours needs its words no more: it has left, or never will by itself.
-- Locks: none. Called by: blank_answers, keep_house.
create function is_settled(o outbox) returns boolean language sql immutable as $$
    select o.status not in ('queued', 'sending') and (o.status <> 'unknown' or o.not_before is null)
$$;

-- Takes the words out of messages, with their pictures and what waits to change them. p_as, unsent or erased, says in their place why.
-- Locks: the messages. Called by: change_message, blank_messages.
create function empty_messages(p_messages uuid[], p_as text) returns void language sql as $$
    delete from media where inbox_id = any(p_messages);
    update inbox c set text = null from inbox m
    where m.id = any(p_messages) and c.account_id = m.account_id and c.target = regexp_replace(m.event_key, '^standby:', '')
        and c.kind = 'edit' and c.text is not null;
    update inbox set content_type = p_as, text = null, quoted = null, refers = null where id = any(p_messages);
$$;

-- Erases the words of messages that are to be forgotten; a bot that keeps messages keeps them, and nothing tells them.
-- Locks: the messages. Called by: erase_words, finish_turn, accept_events.
create function blank_messages(p_messages uuid[]) returns void language sql as $$
    select empty_messages(array(select id from inbox where id = any(p_messages) and not keeps_messages(tenant_id, account_id)), 'erased')
$$;

-- The same for answers that are to be forgotten, once they are settled.
-- Locks: the answers. Called by: erase_words, end_attempt, keep_house.
create function blank_answers(p_answers uuid[]) returns void language sql as $$
    update outbox set body = '' where id = any(p_answers) and body <> '' and is_settled(outbox) and not keeps_messages(tenant_id, account_id)
$$;

-- Empties the stored prompts of a contact since a moment: any of them may repeat what was said or remembered then.
-- Locks: the calls. Called by: change_message, erase_words.
create function empty_prompts(p_contact uuid, p_since timestamptz) returns void language sql as $$
    update model_calls set prompt = '[]' where contact_id = p_contact and created_at >= p_since and prompt <> '[]'
$$;

-- The turns that repeat messages of a contact: their own, and those of the messages that quote them.
-- Locks: none. Called by: change_message, erase_words.
create function turns_with(p_contact uuid, p_messages uuid[]) returns uuid[] language sql stable as $$
    select array_agg(distinct turn_id) from (
        select turn_id from inbox where id = any(p_messages)
        union all
        -- Each side is read once, however many messages there are: the plan may be one that was made for a few.
        select q.turn_id from contacts p join conversations v on v.tenant_id = p.tenant_id and v.contact_id = p.id join inbox q on q.conversation_id = v.id
        where p.id = p_contact and q.quoted is not null
            and q.quoted in (select regexp_replace(event_key, '^(standby|echo):', '') from inbox where id = any(p_messages))
    ) as found where turn_id is not null
$$;

-- These memories of a contact with their history: what they took the place of, and ended ones of the same words.
-- Locks: none. Called by: forget_memories; worker, within the contact's own rows.
create function with_history(p_contact uuid, p_memories uuid[]) returns uuid[] language sql stable as $$
    with recursive found as (
        select id, kind, words from memories where contact_id = p_contact and id = any(p_memories)
        union
        select m.id, m.kind, m.words from found f join memories m on m.contact_id = p_contact and m.valid_to is not null
            and (m.superseded_by = f.id or (m.kind = f.kind and m.words = f.words))
    )
    select coalesce(array_agg(id), '{}') from found
$$;

-- Deletes what a contact asks to forget from what is remembered: p_erase {memories, turns, messages, everything} (bots.storage.turns.Erasure). With a
-- memory goes its history. What was remembered from these messages, and those of these turns, goes as if they had been taken back. Returns what
-- erase_words has to look for: {needles, messages, since}.
-- Locks: the memories. Called by: finish_turn, erase.
create function forget_memories(p_contact uuid, p_erase jsonb) returns jsonb language plpgsql as $$
declare
    everything boolean := coalesce((p_erase->>'everything')::boolean, false);
    turned uuid[] := array(select id from inbox where turn_id in (select x::uuid from jsonb_array_elements_text(p_erase->'turns') x) and contact_id = p_contact
        union select id from inbox where id in (select x::uuid from jsonb_array_elements_text(p_erase->'messages') x) and contact_id = p_contact);
    asked uuid[] := with_history(p_contact, array(select x::uuid from jsonb_array_elements_text(p_erase->'memories') x));
    gone uuid[];
    lost jsonb;
    m inbox;
begin
    select array_agg(k.id), jsonb_build_object('needles', coalesce(jsonb_agg(distinct n.needle) filter (where n.needle is not null), '[]'),
        'messages', coalesce(jsonb_agg(distinct k.source_inbox_id) filter (where k.source_inbox_id is not null), '[]'), 'since', min(k.created_at))
    into gone, lost
    from memories k left join lateral jsonb_array_elements(telling(k.kind, k.text)) as n(needle) on true
    where k.contact_id = p_contact and (everything or k.source_inbox_id = any(turned) or k.id = any(asked));
    if turned <> '{}' then
        for m in select * from inbox where id = any(turned) loop
            perform unlearn(m, '[]');
        end loop;
    end if;
    update memories set superseded_by = null where contact_id = p_contact and superseded_by = any(gone);
    delete from memories where contact_id = p_contact and id = any(gone);
    return lost;
end
$$;

-- Erases every copy of the words of what was forgotten (p_lost, from forget_memories): the messages that it came from or that repeat it, with
-- bodies and pictures, our answers that repeat it, stored prompts, the history, notes, and what can be recalled. p_turn is the turn that
-- asks for it, null for an operator: with everything, its messages that p_kept names were said after the wish. What still waits for an answer
-- is not touched, and another turn that runs is fenced.
-- Locks: the contact's conversations, then what it changes. Called by: finish_turn, erase.
create function erase_words(p_contact uuid, p_turn uuid, p_erase jsonb, p_lost jsonb, p_kept uuid[]) returns void language plpgsql as $$
declare
    everything boolean := coalesce((p_erase->>'everything')::boolean, false);
    needles jsonb := p_lost->'needles';
    hints text[] := hints_of(p_lost->'needles');
    whole uuid[] := array(select x::uuid from jsonb_array_elements_text(p_erase->'turns') x);
    unsaid uuid[] := array(select x::uuid from jsonb_array_elements_text(p_erase->'messages') x);
    talks uuid[];
    said uuid[];
    own uuid[];
    told uuid[];
    answers uuid[];
    since timestamptz;
    t turns;
begin
    perform from conversations where contact_id = p_contact order by id for update;
    talks := array(select id from conversations where contact_id = p_contact);
    if not everything then
        needles := spare_common(talks, needles);
    end if;
    select coalesce(array_agg(i.id), '{}'), min(i.received_at) into said, since
    from inbox i left join turns h on h.id = i.turn_id
    where i.conversation_id = any(talks) and i.content_type not in ('erased', 'unsent') and i.kind <> 'status' and i.id <> all (p_kept)
        and (i.kind <> 'message' or i.turn_id = p_turn or h.state <> 'open')
        and (everything or i.turn_id = any(whole) or i.id = any(unsaid) or i.id in (select x::uuid from jsonb_array_elements_text(p_lost->'messages') x)
            or (letters_of(i.text) like any (hints) and repeats(i.text, needles))
            or (i.refers is not null and repeats(i.refers::text, needles)));
    -- A message may have come twice, the second time in standby.
    said := said || array(select twin.id from inbox m join inbox twin on twin.account_id = m.account_id and twin.event_key = 'standby:' || m.event_key
        where m.id = any(said) and twin.contact_id = p_contact and twin.id <> all (said));
    own := array(select id from inbox where turn_id = p_turn and id = any(said));
    update inbox set forgotten_at = now() where id = any(said);
    -- While a turn waits for its model, its own messages still say what is to be answered: finish_turn blanks them at its end.
    perform blank_messages(case when (select state from turns where id = p_turn) = 'open'
        then array(select x from unnest(said) x where x <> all (own)) else said end);

    select coalesce(array_agg(h.id), '{}') into answers from turns h
    where h.conversation_id = any(talks) and h.state <> 'open' and (h.id = any(whole)
        -- The answer was to all messages of its turn, and may repeat each.
        or h.id in (select turn_id from inbox where id = any(unsaid)) or (everything and h.id is distinct from p_turn)
        or (letters_of(h.answer) like any (hints) and repeats(h.answer, needles))
        or exists (select from outbox o where o.turn_id = h.id and letters_of(o.body) like any (hints) and repeats(o.body, needles)));
    since := least(since, (select min(created_at) from outbox where turn_id = any(answers)), (p_lost->>'since')::timestamptz);
    update turns set answer = null where id = any(answers);
    update outbox set forgotten_at = now(),
        status = case when status = 'queued' and turn_id is distinct from p_turn then 'failed' else status end,
        reason = case when status = 'queued' and turn_id is distinct from p_turn then 'forgotten' else reason end,
        not_before = case when status = 'queued' and turn_id is distinct from p_turn then null else not_before end
    where turn_id = any(answers);
    perform blank_answers(array(select id from outbox where turn_id = any(answers)));
    -- What staff made of them in the platform's inbox.
    update inbox e set text = null from outbox o
    where o.turn_id = any(answers) and e.account_id = o.account_id and e.target = 'echo:' || o.external_id and e.kind = 'edit' and e.text is not null
        and not keeps_messages(e.tenant_id, e.account_id);

    told := coalesce(turns_with(p_contact, said), '{}') || answers;
    if everything then
        update turns set asked = null, in_history = false where id = any(told) and id is distinct from p_turn and state <> 'open';
        update conversations v set summary = null, summarise_at = null, summarise_to = null, summary_until = n.newest, summary_after = n.newest,
            remember_at = null, remember_token = remember_token + 1, remembered_until = n.newest
        from (select conversation_id, max(number) filter (where state <> 'open' or id = p_turn) as newest from turns
            where conversation_id = any(talks) group by conversation_id) n
        where v.id = n.conversation_id and n.newest is not null;
    end if;
    for t in select * from turns where id = any(told) and state <> 'open' and (not everything or id = p_turn) loop
        perform retell(t.id);
        perform renew_summary(t.conversation_id, t.number);
    end loop;
    perform renew_summary(id, 0) from conversations where id = any(talks) and repeats(summary, needles);
    perform empty_prompts(p_contact, case when everything then '-infinity' else since end);
    delete from recalled_turns where contact_id = p_contact and recalled_id = any(told);
    -- Where something is left of a turn, retell has it read again.
    perform forget_episodes(p_contact, array(select id from turns where id = any(told) and (asked is null or not in_history)));
    -- Each way of finding them through its own index: with both in one condition every body that is stored would be read.
    update envelopes set body = null
    where state = 'parsed' and id = any(array(select envelope_id from inbox where id = any(said)
        union select e.id from envelope_contacts x join envelopes e on e.id = x.envelope_id and e.tenant_id = x.tenant_id
            where x.contact_id = p_contact and e.received_at >= case when everything then '-infinity' else since end));
    update conversations set lease_token = lease_token + 1, leased_by = null, leased_until = null,
        ready_at = case when taken_by is null and closed_at is null then now() end
    where id = any(talks) and leased_by is not null and id is distinct from (select conversation_id from turns where id = p_turn);
    perform tell_page(x, p_contact) from unnest(talks) x;
end
$$;

-- Erases those messages of a turn that were to be forgotten while it was open.
-- Locks: the messages and the turn; the caller holds the conversation. Called by: finish_turn.
create function forget_own(p_turn uuid) returns void language plpgsql as $$
declare
    own uuid[] := array(select id from inbox where turn_id = p_turn and forgotten_at is not null);
begin
    if own <> '{}' then
        perform blank_messages(own);
        perform retell(p_turn);
    end if;
end
$$;

-- Forgets what an operator erases in a contact's name, words and all; p_erase as in forget_memories.
-- Locks: those of erase_words. Called by: change_message; crossing (what operators do).
create function erase(p_contact uuid, p_erase jsonb) returns void language plpgsql as $$
begin
    -- Before the memories, as in finish_turn.
    perform from conversations where contact_id = p_contact order by id for update;
    perform erase_words(p_contact, null, p_erase, forget_memories(p_contact, p_erase), '{}');
end
$$;
