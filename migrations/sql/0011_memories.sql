create or replace function settle_memories(p_contact uuid, p_chains text[]) returns void language sql as $$
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

create or replace function ended_by(m inbox, p_ends jsonb) returns table (memory uuid, ended timestamptz) language sql stable as $$
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

create or replace function remember(p_contact uuid, p_turn uuid, p_facts jsonb, p_ends jsonb, p_by text) returns void language plpgsql as $$
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
