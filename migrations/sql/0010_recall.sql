create or replace function recall_turns(p_contact uuid, p_conversation uuid, p_from integer, p_bot uuid, p_ask jsonb, p_limit integer, p_neighbours integer)
returns jsonb language plpgsql
-- The planner expects few turns to have a word; in a nested loop the time would grow with the square of those that do.
set enable_nestloop = off set jit = off as $$
declare
    wanted integer[];
    -- The same, whoever said them.
    either integer[];
    about halfvec := (p_ask->>'vector')::halfvec;
    made_by smallint := (select id from embedders where model = p_ask->>'model');
    side integer := (p_ask->>'side')::integer;
    is_when boolean := (p_ask->>'when')::boolean;
    months integer[] := array(select jsonb_array_elements_text(p_ask->'months')::integer);
    in_year integer := (p_ask->>'year')::integer;
    on_day integer := (p_ask->>'day')::integer;
    -- Its days and months are the contact's.
    zone text := coalesce(p_ask->>'zone', 'UTC');
    day_from timestamptz;
    day_to timestamptz;
    -- Older ones are not read: the time grows with each.
    most_read constant integer := 3000;
    result jsonb;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    begin
        day_from := (p_ask->>'since')::timestamp at time zone zone;
        day_to := (p_ask->>'until')::timestamp at time zone zone;
        perform now() at time zone zone;
    exception when invalid_parameter_value then
        -- A zone that this Postgres does not know.
        zone := 'UTC';
        day_from := (p_ask->>'since')::timestamp at time zone zone;
        day_to := (p_ask->>'until')::timestamp at time zone zone;
    end;
    select array_agg(distinct n) into wanted
    from jsonb_array_elements_text(p_ask->'configs') c, unnest(word_numbers(c, p_ask->>'words', 0)) n;
    either := wanted || array(select w | 1 from unnest(wanted) w);
    with base as (
        (select turn_id, said_at, conversation_id, number, words, sides, asks, first_person, time_words,
            case when embedder = made_by and vector_dims(vector) = vector_dims(about) then 1 - (vector <=> about) end as near
        from episodes where contact_id = p_contact and bot_id = p_bot order by said_at desc limit most_read)
        union all
        select turn_id, said_at, conversation_id, number, words, sides, asks, first_person, time_words,
            case when embedder = made_by and vector_dims(vector) = vector_dims(about) then 1 - (vector <=> about) end
        from fresh_episodes where contact_id = p_contact and bot_id = p_bot
    ), timed as (
        select *, (row_number() over o)::integer as i, (said_at > lag(said_at) over o + interval '1 hour')::integer as breaks, cardinality(words) as size
        from base window o as (order by said_at, number)
    ), mine as materialized (
        select *, coalesce(sum(breaks) over (order by said_at, number rows unbounded preceding), 0)::integer as talk,
            conversation_id <> p_conversation or number < p_from as is_left,
            -- 1: it asks for what is asked now; 2: and its answer has no other words.
            case when asks and words && wanted then (
                select case when count(*) filter (where w = any(wanted)) < .75 * count(*) filter (where w & 1 = 0) then 0
                    when count(*) filter (where w = any(either)) < .75 * count(*) then 1 else 2 end from unnest(words) w) else 0 end as repeats
        from timed
    ), hit as materialized (
        -- What the other side said counts less.
        select i, talk, is_left, w & -2 as w, case when (w & 1) <> side then .7::float else 1 end as x
        from (select i, talk, is_left, repeats, unnest(words) as w from mine where words && either) stems
        where (w & -2) = any(wanted) and repeats <= (w & 1)
    ), spread as (
        select i, w, sum(x) as tf, bool_or(is_near) as is_near
        from (select h.i + o.d as i, h.talk, h.w, h.x * o.x as x, h.is_left and abs(o.d) <= 2 as is_near
            from hit h cross join (select d, exp(-abs(d) / 4.0::float) as x from generate_series(-6, 6) d) o offset 0) h
        join mine using (i, talk)
        group by i, w
    ), wide as (
        select *, sum(size) over (talks rows between 6 preceding and 6 following) as around,
            .6 * avg(near) over (talks rows between 2 preceding and 2 following)
                + .4 * coalesce(near, avg(near) over (talks rows between 2 preceding and 2 following)) as meant
        from (select turn_id, said_at, said_at at time zone zone as at, conversation_id, number, i, talk, size, is_left, sides, asks, first_person, time_words,
            case when repeats = 0 then near end as near from mine) mine window talks as (partition by talk order by i)
    ), scale as materialized (
        select count(*)::float as n, avg(around)::float as around, avg(meant) as meant, max(meant) as meant_most from wide
    ), bm as materialized (
        -- rare counts a word by the turns that have it themselves, since in a short talk every turn has the words of its neighbours; and only near
        -- one that the prompt does not repeat.
        select s.i, sum(ln(1 + (n - d + .5) / (d + .5)) * weight) as x, sum(ln(1 + (n - own + .5) / (own + .5)) * weight) filter (where is_near) as rare
        from (select i, w, n, is_near, tf * 2.2 / (tf + 1.2 * (.25 + .75 * m.around / scale.around)) as weight from spread join wide m using (i), scale) s
        join (select w, count(*)::float as d from spread group by w) df using (w)
        join (select w, count(distinct i)::float as own from hit group by w) had using (w) group by s.i
    ), parts as (
        select m.turn_id, m.said_at, m.conversation_id, m.number, m.near, bm.x as bm,
            bm.rare >= .45 * ln(1 + (scale.n - .5) / 1.5) as is_rare,
            bm.x / most.x as share,
            case when scale.meant is null then 6 else 4 end * coalesce(bm.x / most.x, 0) as words,
            5.5 * coalesce((m.meant - scale.meant) / nullif(scale.meant_most - scale.meant, 0), 0) as meaning,
            case when side is null or (m.sides >> side) & 1 = 0 then 0::float when m.first_person then 2.3 else 1.8 end as said_by,
            case
                when m.said_at >= day_from and m.said_at < day_to then 5::float
                when cardinality(months) = 0 or date_part('month', m.at) <> all(months) or date_part('year', m.at) <> in_year then 0
                when on_day is null then 5
                else 5 * greatest(.2, 1 - abs(date_part('day', m.at) - on_day) / 10) end as date,
            case when is_when then least(m.time_words, 2)::float else 0 end as time,
            case when m.asks then -1::float else 0 end + .5 * ln(1 + m.size) as small
        from wide m left join bm using (i), scale, (select max(x) as x from bm) most where m.is_left
    ), best as (
        select *, row_number() over (order by score desc, said_at desc) as rank
        from (select *, words + meaning + said_by + date + time + small as score from parts) scored
        order by score desc, said_at desc limit p_limit
    ), wanted_turns as (
        -- By conversation, so that the index is read once for all turns of one, which lie together there.
        select conversation_id, array_agg(number) as numbers
        from (select conversation_id, number from best union select conversation_id, number + 1 from best where rank <= p_neighbours) x
        group by conversation_id
    ), told as materialized (
        select t.id, t.conversation_id, t.number, t.opened_at, t.asked, t.answer
        from wanted_turns w cross join lateral (
            select * from turns where conversation_id = w.conversation_id and number = any(w.numbers) and in_history and state = 'answered' offset 0) t
    ), shown as (
        select t.*, b.score, b.near, b.bm, b.rank, array_remove(array[case when b.share > .3 and b.is_rare then 'words' end, case when b.meaning > 2 then 'meaning' end,
            case when b.date > 0 then 'date' end, case when b.time > 0 then 'time' end, case when b.said_by > 0 then 'speaker' end], null) as signals,
            null::uuid as beside,
            jsonb_build_object('words', b.words, 'meaning', b.meaning, 'speaker', b.said_by, 'date', b.date, 'time', b.time, 'small', b.small) as parts
        from best b join told t on t.id = b.turn_id order by b.rank limit p_limit
    ), neighbours as (
        select t.*, s.score, null::float, null::float, s.rank, array['neighbour'], s.id, '{}'::jsonb
        from shown s join told t on t.conversation_id = s.conversation_id and t.number = s.number + 1
        where s.rank <= p_neighbours and t.id not in (select id from shown) and (t.conversation_id <> p_conversation or t.number < p_from)
    )
    select coalesce(jsonb_agg(jsonb_build_object('turn', id, 'conversation', conversation_id, 'said_at', opened_at, 'asked', coalesce(asked, ''), 'answer', coalesce(answer, ''),
        'signals', signals, 'score', score, 'words', coalesce(bm, 0), 'meaning', near, 'beside', beside, 'parts', parts) order by rank, beside nulls first), '[]') into result
    from (select * from shown union all select * from neighbours) x;
    return result;
end
$$;
