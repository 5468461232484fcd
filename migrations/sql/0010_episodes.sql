create or replace function text_config(p_name text) returns regconfig language sql stable as $$
    select coalesce((select oid from pg_ts_config where cfgname = p_name and pg_ts_config_is_visible(oid)), 'simple'::regconfig)::regconfig
$$;

create or replace function word_numbers(p_config text, p_text text, p_side integer) returns integer[] language sql stable as $$
    select coalesce(array_agg((hashtext(lexeme) & -2) | p_side), '{}') from unnest(to_tsvector(text_config(p_config), p_text))
$$;

create or replace function pair_code(p_pair text) returns text language sql immutable as $$
    select 'x' || string_agg(lpad(code, greatest(4, length(code)), '0'), '' order by n)
    from regexp_split_to_table(p_pair, '') with ordinality as l(letter, n), lateral (select to_hex(ascii(letter)) as code) c
$$;

create or replace function indexed(p_text text) returns text language sql immutable as $$
    select case
        when octet_length(p_text) = length(p_text) then p_text
        when normalize(p_text, nfc) ~ '[ăơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹĂƠƯẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸ]' then (
            select concat_ws(' ', string_agg(word, ' ' order by n), string_agg(pair_code(word || next), ' ' order by n)) from (
                select word, n, lead(word) over (order by n) as next
                from regexp_split_to_table(lower(normalize(p_text, nfc)), '[\s!-/:-@\[-`{-~\u0080-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u3004\u3008-\u3020\uff00-\uff0f\U0001f000-\U0001faff]+')
                    with ordinality as s(word, n) where word <> '') syllables)
        else (
            select string_agg(case when parts[1] is null then parts[2] else ' ' || (
                select string_agg(pair_code(substr(parts[1], at, 2)), ' ' order by at) from generate_series(1, greatest(length(parts[1]) - 1, 1)) at) || ' ' end, '' order by n)
            from regexp_matches(p_text, '([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0002fa1f]+)|([^\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0002fa1f]+)', 'g') with ordinality as m(parts, n)) end
$$;

create or replace function embedder_of(p_model text) returns smallint language plpgsql as $$
declare
    found smallint := (select id from embedders where model = p_model);
begin
    if found is null and p_model is not null then
        insert into embedders (model) values (p_model) on conflict do nothing;
        found := (select id from embedders where model = p_model);
    end if;
    return found;
end
$$;

create or replace function remember_episode(p_turn uuid, p_episode jsonb) returns void language plpgsql as $$
declare
    said integer[] := word_numbers(p_episode->>'config', p_episode->>'asked', 0);
    told integer[] := word_numbers(p_episode->>'config', p_episode->>'answered', 1);
begin
    insert into fresh_episodes (tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person,
        time_words)
    select t.tenant_id, t.contact_id, t.id, a.bot_id, t.conversation_id, t.number, t.opened_at, p_episode->>'config', said || told,
        case when btrim(p_episode->>'asked') <> '' then 1 else 0 end + case when btrim(p_episode->>'answered') <> '' then 2 else 0 end,
        (p_episode->>'asks')::boolean, (p_episode->>'first_person')::boolean, least((p_episode->>'time_words')::integer, 9)
    from turns t join conversations c on c.id = t.conversation_id join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
    where t.id = p_turn
    on conflict (contact_id, said_at, turn_id) do update set config = excluded.config, words = excluded.words, sides = excluded.sides, asks = excluded.asks,
        first_person = excluded.first_person, time_words = excluded.time_words, embedder = null, vector = null;
    update conversations set settle_at = now() + interval '1 minute'
    where id = (select conversation_id from turns where id = p_turn) and settle_at is null;
end
$$;

create or replace function reword_episode(p_turn uuid) returns void language plpgsql as $$
declare
    t turns;
    said text;
    numbers integer[];
begin
    select * into t from turns where id = p_turn;
    select config into said from fresh_episodes where contact_id = t.contact_id and turn_id = t.id;
    said := coalesce(said, (select config from episodes where contact_id = t.contact_id and turn_id = t.id));
    if said is null then
        return;
    end if;
    if not t.in_history or t.asked is null then
        perform forget_episodes(t.contact_id, array[t.id]);
        return;
    end if;
    numbers := word_numbers(said, indexed(t.asked), 0) || word_numbers(said, indexed(left(coalesce(t.answer, ''), 8000)), 1);
    -- It goes back to where it was at first, and the background does the rest. Whoever moves the row at this moment takes it away from under both
    -- statements, which wait for that and then see nothing: so they look again.
    for n in 1..10 loop
        with gone as (
            delete from episodes where contact_id = t.contact_id and turn_id = t.id returning *
        )
        insert into fresh_episodes (tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person,
            time_words)
        select tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person, time_words from gone;
        update fresh_episodes set words = numbers, embedder = null, vector = null where contact_id = t.contact_id and turn_id = t.id;
        exit when found;
    end loop;
    update conversations set settle_at = now() where id = t.conversation_id;
end
$$;

create or replace function forget_episodes(p_contact uuid, p_turns uuid[]) returns void language sql as $$
    delete from fresh_episodes where contact_id = p_contact and (p_turns is null or turn_id = any(p_turns));
    delete from episodes where contact_id = p_contact and (p_turns is null or turn_id = any(p_turns));
$$;

create or replace function move_episodes(p_from uuid, p_to uuid, p_turns uuid[]) returns void language sql as $$
    update fresh_episodes set contact_id = p_to where contact_id = p_from and (p_turns is null or turn_id = any(p_turns));
    update episodes set contact_id = p_to where contact_id = p_from and (p_turns is null or turn_id = any(p_turns));
$$;

create or replace function seen(t turns) returns text language sql immutable as $$
    select md5(jsonb_build_array(t.in_history, t.asked, t.answer)::text)
$$;

create or replace function unembedded(p_contact uuid, p_model text, p_limit integer) returns jsonb language sql as $$
    select coalesce(jsonb_agg(jsonb_build_object('turn', t.id, 'asked', coalesce(t.asked, ''), 'answer', coalesce(t.answer, ''), 'seen', seen(t))
        order by x.said_at, x.number), '[]')
    from embedder_of(p_model) made_by cross join lateral (
        select turn_id, conversation_id, number, said_at from fresh_episodes where contact_id = p_contact and embedder is distinct from made_by
        union all
        select turn_id, conversation_id, number, said_at from episodes
        where contact_id = p_contact and embedder is distinct from made_by and p_model is not null
        order by said_at, number limit p_limit
    ) x
    join turns t on t.id = x.turn_id
$$;

create or replace function claim_episodes(p_queue text, p_model text, p_limit integer, p_lease double precision) returns jsonb language plpgsql as $$
declare
    c conversations;
begin
    select * into c from conversations
    where settle_at <= now() and profile_queue(queue) = 'reply.' || substr(p_queue, 7)
    order by settle_at limit 1 for update skip locked;
    if not found then
        return null;
    end if;
    update conversations set settle_at = now() + make_interval(secs => p_lease) where id = c.id returning * into c;
    return jsonb_build_object('contact', c.contact_id, 'conversation', c.id, 'token', c.settle_at,
        'may_leave', (select b.data_may_leave from accounts a join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id
            where a.tenant_id = c.tenant_id and a.id = c.account_id),
        'turns', unembedded(c.contact_id, p_model, p_limit));
end
$$;

create or replace function settle_episodes(p_contact uuid, p_conversation uuid, p_token timestamptz, p_model text, p_turns uuid[], p_seen text[],
    p_vectors text[]) returns boolean language plpgsql as $$
declare
    made_by smallint := embedder_of(p_model);
begin
    perform set_config('app.contact_id', p_contact::text, true);
    perform from conversations where id = p_conversation and contact_id = p_contact and settle_at = p_token for update;
    if not found then
        return false;
    end if;
    perform lay_episodes(p_contact, p_model, p_turns, p_seen, p_vectors);
    update conversations set settle_at = case when made_by is not null and exists (select from fresh_episodes where contact_id = p_contact and embedder is distinct from made_by)
        then now() + case when cardinality(p_turns) > 0 then interval '0' else interval '1 minute' end end
    where id = p_conversation;
    return true;
end
$$;

create or replace function put_off_episodes(p_contact uuid, p_conversation uuid, p_token timestamptz, p_after double precision) returns void
language plpgsql as $$
begin
    perform set_config('app.contact_id', p_contact::text, true);
    update conversations set settle_at = now() + make_interval(secs => p_after) where id = p_conversation and settle_at = p_token;
end
$$;

create or replace function lay_episodes(p_contact uuid, p_model text, p_turns uuid[], p_seen text[], p_vectors text[]) returns void language plpgsql as $$
declare
    made_by smallint := embedder_of(p_model);
    moves boolean;
begin
    select coalesce(array_agg(x.turn), '{}'), coalesce(array_agg(x.vector), '{}') into p_turns, p_vectors
    from unnest(p_turns, p_seen, p_vectors) x(turn, seen, vector)
    cross join lateral (select from turns t where t.id = x.turn and seen(t) = x.seen for share skip locked) unchanged;
    moves := (select count(*) >= 8 from fresh_episodes
        where contact_id = p_contact and (turn_id = any(p_turns) or embedder is not distinct from made_by));
    with v as (
        select x.turn, x.vector::halfvec as vector from unnest(p_turns, p_vectors) x(turn, vector)
    ), fresh as (
        delete from fresh_episodes where moves and contact_id = p_contact and (turn_id = any(p_turns) or embedder is not distinct from made_by)
        returning tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person, time_words, embedder, vector
    ), again as (
        delete from episodes where contact_id = p_contact and turn_id = any(p_turns)
        returning tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person, time_words, embedder, vector
    )
    insert into episodes (tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person, time_words,
        embedder, vector)
    select x.tenant_id, x.contact_id, x.turn_id, x.bot_id, x.conversation_id, x.number, x.said_at, x.config, x.words, x.sides, x.asks, x.first_person,
        x.time_words, case when v.turn is null then x.embedder else made_by end, case when v.turn is null then x.vector else v.vector end
    from (select * from fresh union all select * from again) x left join v on v.turn = x.turn_id
    order by x.said_at, x.number;
    if not moves then
        update fresh_episodes e set embedder = made_by, vector = x.vector::halfvec
        from unnest(p_turns, p_vectors) x(turn, vector) where e.contact_id = p_contact and e.turn_id = x.turn;
    end if;
    for r in 0..1 loop
        if (select count(*) >= 32 * power(4, r) from episodes where contact_id = p_contact and run = r) then
            with gone as (
                delete from episodes where contact_id = p_contact and run = r
                returning tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person, time_words,
                    embedder, vector
            )
            insert into episodes (tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person,
                time_words, embedder, run, vector)
            select tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person, time_words,
                embedder, r + 1, vector from gone order by said_at, number;
        end if;
    end loop;
end
$$;

create or replace function stale_episodes(p_after uuid, p_model text, p_limit integer) returns jsonb language plpgsql as $$
declare
    k uuid;
    found jsonb;
begin
    for k in select id from contacts where id > p_after order by id limit 1000 loop
        found := unembedded(k, p_model, p_limit);
        if jsonb_array_length(found) > 0 then
            return jsonb_build_object('contact', k, 'turns', found);
        end if;
    end loop;
    return case when k is not null then jsonb_build_object('contact', k, 'turns', '[]'::jsonb) end;
end
$$;

create or replace function embed_again(p_contact uuid, p_model text, p_turns uuid[], p_seen text[], p_vectors text[]) returns void language sql as $$
    select lay_episodes(p_contact, p_model, p_turns, p_seen, p_vectors)
$$;

create or replace function claim_unindexed(p_limit integer, p_lease double precision) returns jsonb language plpgsql as $$
declare
    c conversations;
begin
    select * into c from conversations where index_to > 0 and (settle_at is null or settle_at <= now())
    order by newest_at desc limit 1 for update skip locked;
    if not found then
        return null;
    end if;
    update conversations set settle_at = now() + make_interval(secs => p_lease) where id = c.id returning * into c;
    return (
        select jsonb_build_object('contact', c.contact_id, 'conversation', c.id, 'token', c.settle_at,
            'index_to', case when count(*) < p_limit then 0 else min(t.number) - 1 end,
            'turns', coalesce(jsonb_agg(jsonb_build_object('turn', t.id, 'asked', t.asked, 'answer', coalesce(t.answer, ''), 'seen', seen(t))
                order by t.number), '[]'))
        from (
            select * from turns where conversation_id = c.id and number <= c.index_to and state = 'answered' and in_history and asked <> ''
                and answered_by is null
                and not exists (select from fresh_episodes e where e.contact_id = c.contact_id and e.said_at = opened_at and e.turn_id = turns.id)
                and not exists (select from episodes e where e.contact_id = c.contact_id and e.said_at = opened_at and e.turn_id = turns.id)
                and exists (
                    select from contacts p, accounts a join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id
                    where p.tenant_id = c.tenant_id and p.id = c.contact_id and p.stopped_at is null and p.memory_off_at is null
                        and a.tenant_id = c.tenant_id and a.id = c.account_id and b.memory_on)
            order by number desc limit p_limit
        ) t);
end
$$;

create or replace function index_turns(p_contact uuid, p_conversation uuid, p_token timestamptz, p_to integer, p_episodes jsonb) returns boolean
language plpgsql as $$
begin
    perform set_config('app.contact_id', p_contact::text, true);
    -- Whoever erases or changes words holds it, too.
    perform from conversations where id = p_conversation and contact_id = p_contact and settle_at = p_token for update;
    if not found then
        return false;
    end if;
    if exists (select from (select (x->>'turn')::uuid as turn, x->>'seen' as seen from jsonb_array_elements(p_episodes) x offset 0) e
            left join turns t on t.id = e.turn where seen(t) is distinct from e.seen) then
        update conversations set settle_at = now() where id = p_conversation;
        return false;
    end if;
    perform remember_episode((x->>'turn')::uuid, x->'episode') from jsonb_array_elements(p_episodes) x;
    update conversations set index_to = p_to, settle_at = now() where id = p_conversation;
    return true;
end
$$;
