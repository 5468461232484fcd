-- What is remembered: which facts may be, what takes the place of what, and what is no longer so.

-- The kinds that are about health, as in bots/kinds.toml.
-- Locks: none. Called by: admitted, claim_turns.
create function sensitive_kinds() returns text[] language sql immutable as $$
    select array['allergy', 'medication', 'condition', 'diet']
$$;

-- When a message was said, by the platform's time, but never later than it came: what claims to be from the future would hold for ever.
-- Locks: none. Called by: remember, said_later.
create function said_at(m inbox) returns timestamptz language sql immutable as $$
    select least(m.occurred_at, m.received_at)
$$;

-- Whether the words of a message are somebody else's, whom the contact passes on (bots.domain.FORWARDED).
-- Locks: none. Called by: admitted, claim_remembering, said_later.
create function is_forwarded(m inbox) returns boolean language sql immutable as $$
    select m.refers is not null and exists (select from jsonb_array_elements(m.refers) r where r->>'name' = 'forwarded')
$$;

-- Which facts ([{kind, text, ...}]) of a message may be remembered: the one place that knows what its bot and its contact have switched off, so
-- that no caller can forget to ask. Processes of the version before say single instead of a topic.
-- Locks: none. Called by: remember, unlearn.
create function admitted(m inbox, p_facts jsonb) returns jsonb language sql stable as $$
    select coalesce(jsonb_agg(case x->>'single' when 'true' then x || '{"topic": ""}' else x end order by n), '[]')
    from contacts p, accounts a join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id, jsonb_array_elements(p_facts) with ordinality as f(x, n)
    where p.tenant_id = m.tenant_id and p.id = m.contact_id and a.tenant_id = m.tenant_id and a.id = m.account_id
        and m.forgotten_at is null and not is_forwarded(m) and p.stopped_at is null and p.memory_off_at is null and b.memory_on
        and x->>'kind' <> all (b.kinds_off)
        and (x->>'kind' <> all (sensitive_kinds()) or (b.sensitive_on and p.sensitive_off_at is null))
$$;

-- Says anew which memory of a contact took the place of which, in these chains (null: all): a newer message's fact replaces the older one of the same
-- chain. What counts is when it was said, not when it was read, and facts of one message never replace each other. What ended in another way,
-- or was replaced by hand, stays as it is.
-- Locks: the memories that it changes. Called by: whatever adds, moves or takes away memories.
create function settle_memories(p_contact uuid, p_chains text[]) returns void language sql as $$
    with mine as (
        select m.id, m.chain, m.said_at, m.valid_from, m.valid_to, m.superseded_by, coalesce(i.arrival, 9223372036854775807) as arrival
        from memories m left join lateral (
            select arrival from inbox x where x.tenant_id = m.tenant_id and x.id = m.source_inbox_id limit 1) i on true
        where m.contact_id = p_contact and (p_chains is null or m.chain = any (p_chains))
    ), followed as (
        -- Those of one message are peers, and a peer is not among what follows.
        select mine.*, first_value(id) over later as next, first_value(coalesce(valid_from, said_at)) over later as until
        from mine window later as (partition by chain order by said_at, arrival groups between 1 following and unbounded following)
    )
    update memories m set superseded_by = f.next, valid_to = f.until, ended_at = case when f.next is not null then now() end
    from followed f left join memories by_hand on by_hand.id = f.superseded_by and by_hand.contact_id = p_contact and by_hand.chain <> f.chain
    where m.id = f.id and m.superseded_by is distinct from f.next and (f.valid_to is null or f.superseded_by is not null)
        and by_hand.id is null
$$;

-- Which living memories of a contact the ends ([{kind, text, source, on, but, every}]) of a message end: what was said before it and has their words,
-- whole and one behind the other; without words, all of a kind. Words of but mean something else: a mother-in-law is no mother. Of a plan, on is the
-- day that it must be for. An animal, a relation and a plan are one each: an end that fits several of them ends none, unless it says every; nor does
-- it end those that are counted or named together ("dogs Rex and Max").
-- Locks: none. Called by: remember.
create function ended_by(m inbox, p_ends jsonb) returns table (memory uuid, ended timestamptz) language sql stable as $$
    with ends as (
        -- Folded once, not for each memory.
        select n, x->>'kind' as kind, case when x->>'text' is not null then words_of(x->>'text') end as folded, (x->>'on')::timestamp at time zone 'UTC' as ended,
            x->>'kind' in ('family', 'pet', 'plan') and not coalesce((x->>'every')::boolean, false) and x->>'text' is not null as is_one,
            (select ' (?:' || string_agg(btrim(words_of(b)), '|' order by length(b) desc) || ') ' from jsonb_array_elements_text(x->'but') b) as others
        from jsonb_array_elements(p_ends) with ordinality as e(x, n)
        where (x->>'source')::uuid = m.id and (x->>'text' is null or words_of(x->>'text') <> '')
        offset 0
    ), fitting as (
        -- Those with no words beside the end's are the same being as one that is named.
        select e.n, e.is_one, k.id, case when e.kind = 'plan' then said_at(m) else coalesce(e.ended, said_at(m)) end as ended, case when k.words <> e.folded or k.day is not null then k.words || coalesce(k.day::text, '') end as being
        from ends e join memories k on k.contact_id = m.contact_id and k.kind = e.kind and k.valid_to is null
        where k.source_inbox_id is distinct from m.id and k.said_at <= said_at(m)
            -- With a limit, so that it is looked up by its key.
            and (select 1 from inbox i where i.id = k.source_inbox_id and k.said_at = said_at(m) and i.arrival > m.arrival limit 1) is null
            and (e.folded is null or position(e.folded in case when e.others is null then k.words else regexp_replace(k.words, e.others, '  ', 'g') end) > 0
                -- "The dentist" is the "appointment with the dentist", and the other way round.
                or (k.kind = 'plan' and (string_to_array(k.words, ' ') <@ string_to_array(e.folded, ' ') or string_to_array(e.folded, ' ') <@ string_to_array(k.words, ' '))))
            and (not e.is_one or k.kind = 'plan' or k.topic is null)
            and (k.kind <> 'plan' or coalesce(k.last_day, k.day) >= said_at(m)::date - 1)
            and (k.kind <> 'plan' or e.ended is null or (e.ended at time zone 'UTC')::date between k.day and coalesce(k.last_day, k.day))
    ), counted as (
        select id, ended, is_one, min(being) over same as first, max(being) over same as last from fitting window same as (partition by n)
    )
    select distinct on (id) id, ended from counted where not is_one or first is not distinct from last order by id, ended
$$;

-- What a contact has said after p_since that is answered already, the newest fifty messages, as claim_remembering has them: words that came late may be
-- about what these have ended. Nothing of what was forgotten, or answered by a person.
-- Locks: none. Called by: worker, within the contact's own rows (it sets app.contact_id).
create function said_later(p_contact uuid, p_since timestamptz) returns jsonb language plpgsql as $$
begin
    perform set_config('app.contact_id', p_contact::text, true);
    return (
        select coalesce(jsonb_agg(jsonb_build_object('id', x.id, 'turn', x.number, 'text', left(x.text, 2000), 'at', x.at) order by x.at, x.arrival), '[]')
        from (
            select i.id, h.number, i.text, said_at(i) as at, i.arrival
            from contacts p join conversations v on v.tenant_id = p.tenant_id and v.contact_id = p.id
                join turns h on h.conversation_id = v.id join inbox i on i.turn_id = h.id
            where p.id = p_contact and h.state in ('answered', 'skipped') and h.finished_at > p_since and h.answered_by is null
                and h.reason is distinct from 'filtered' and i.kind = 'message' and i.supported and i.forgotten_at is null and not is_forwarded(i)
                and said_at(i) > p_since and btrim(i.text) <> ''
            order by at desc, i.arrival desc limit 50
        ) x);
end
$$;

-- Adds what messages state, facts ([{kind, text, source, topic, day, last_day, since}]) and ends (as ended_by has them), to what is remembered about
-- their contact. What is known already changes nothing, nor does the same message again.
-- Locks: the memories that it changes. Called by: end_turn, change_message, finish_remembering.
create function remember(p_contact uuid, p_turn uuid, p_facts jsonb, p_ends jsonb, p_by text) returns void language plpgsql as $$
declare
    m inbox;
    facts jsonb;
    x jsonb;
    folded text;
    made text;
    chains text[];
begin
    for m in
        -- An array is looked up in the index; a join might read all messages of everybody.
        select * from inbox
        where contact_id = p_contact and id = any (array(select (e->>'source')::uuid from jsonb_array_elements(p_facts || p_ends) e))
        order by said_at(inbox), arrival
    loop
        chains := '{}';
        facts := admitted(m, p_facts);
        for n in 0 .. jsonb_array_length(facts) - 1 loop
            x := facts->n;
            continue when (x->>'source')::uuid is distinct from m.id;
            folded := words_of(x->>'text');
            continue when (select 1 from memories k where k.contact_id = p_contact and k.kind = x->>'kind' and k.words = folded
                and (k.source_inbox_id = m.id or (k.valid_to is null and k.day is not distinct from (x->>'day')::date)) limit 1) is not null;
            insert into memories (tenant_id, contact_id, kind, text, topic, day, last_day, source_inbox_id, source_turn_id, created_by, said_at,
                valid_from)
            values (m.tenant_id, p_contact, x->>'kind', x->>'text', x->>'topic', (x->>'day')::date, (x->>'last_day')::date, m.id, p_turn, p_by,
                said_at(m), (x->>'since')::timestamp at time zone 'UTC')
            returning chain into made;
            chains := chains || made;
        end loop;
        -- Mostly there is nothing yet of which it could take the place.
        if (select 1 from memories k where k.contact_id = p_contact and k.chain = any (chains) and k.source_inbox_id is distinct from m.id limit 1) is not null then
            perform settle_memories(p_contact, chains);
        end if;
        if jsonb_array_length(p_ends) > 0 then
            update memories k set valid_to = e.ended, ended_at = now(), ended_by_inbox_id = m.id from ended_by(m, p_ends) e where k.id = e.memory;
        end if;
    end loop;
end
$$;

-- Facts or ends with the message that they come from, as remember reads them.
-- Locks: none. Called by: change_message.
create function from_message(p_message uuid, p_statements jsonb) returns jsonb language sql immutable as $$
    select coalesce(jsonb_agg(x || jsonb_build_object('source', p_message)), '[]') from jsonb_array_elements(p_statements) x
$$;

-- Takes back what was remembered from a message, and what it had ended or replaced holds again. Where p_facts (the facts in its new words) have
-- the same, or another value of the same kind and topic, that takes the old one's place. Returns the facts that are still to be remembered.
-- Locks: the memories that it changes. Called by: change_message, forget_memories.
create function unlearn(p_message inbox, p_facts jsonb) returns jsonb language plpgsql as $$
declare
    g memories;
    newer jsonb;
    place bigint;
begin
    p_facts := admitted(p_message, p_facts);
    update memories set valid_to = null, ended_at = null, ended_by_inbox_id = null
    where contact_id = p_message.contact_id and ended_by_inbox_id = p_message.id;
    for g in select * from memories where source_inbox_id = p_message.id loop
        select x, n - 1 into newer, place from jsonb_array_elements(p_facts) with ordinality as f(x, n)
        where x->>'kind' = g.kind and (words_of(x->>'text') = g.words or x->>'topic' = g.topic)
        order by words_of(x->>'text') = g.words desc, n limit 1;
        if found then
            update memories set text = newer->>'text', topic = newer->>'topic', day = (newer->>'day')::date, last_day = (newer->>'last_day')::date,
                valid_from = (newer->>'since')::timestamp at time zone 'UTC'
            where id = g.id;
            p_facts := p_facts - place::integer;
        else
            delete from memories where id = g.id;
        end if;
    end loop;
    perform settle_memories(p_message.contact_id, null);
    return p_facts;
end
$$;
