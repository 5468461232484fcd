-- Turns that can be recalled: how a finished turn becomes one, how they are embedded and laid together in the background, how they go.

-- The text search configuration of a name; that of no language where this Postgres does not know it.
-- Locks: none. Called by: word_numbers, remember_episodes.
create function text_config(p_name text) returns regconfig language plpgsql stable as $$
begin
    return coalesce((select oid from pg_ts_config where cfgname = p_name and pg_ts_config_is_visible(oid)), 'simple'::regconfig)::regconfig;
end
$$;

-- A number for each stem of a text, with p_side (0 or 1) as its lowest bit. Numbers take a quarter of the room of a tsvector, and the table holds no
-- word of anybody. That two words of one contact have the same number is rarer than one in a million. hashtext stays what it is, also
-- through an upgrade: hash indexes rely on it.
-- Locks: none. Called by: remember_episodes, reword_episode, recall_turns.
create function word_numbers(p_config text, p_text text, p_side integer) returns integer[] language plpgsql stable as $$
begin
    return array(select (hashtext(lexeme) & -2) | p_side from unnest(tsvector_to_array(to_tsvector(text_config(p_config), p_text))) lexeme);
end
$$;

-- A pair of letters or of syllables as one word, as bots.recall.indexing writes it.
-- Locks: none. Called by: indexed.
create function pair_code(p_pair text) returns text language sql immutable as $$
    select 'x' || string_agg(lpad(code, greatest(4, length(code)), '0'), '' order by n)
    from regexp_split_to_table(p_pair, '') with ordinality as l(letter, n), lateral (select to_hex(ascii(letter)) as code) c
$$;

-- The words of a text to index, as bots.recall.indexing.indexed has them (a test compares both): the text itself, but pairs of letters where a script has
-- no spaces, and of syllables in Vietnamese.
-- Locks: none. Called by: reword_episode.
create function indexed(p_text text) returns text language sql immutable as $$
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

-- The number of an embedding model; a new one gets the next. Null for none.
-- Locks: none, or the new row. Called by: unembedded, settle_episodes, lay_episodes.
create function embedder_of(p_model text) returns smallint language plpgsql as $$
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

-- Makes turns ones that can be recalled ([{tenant, contact, account, conversation, turn, number, at, episode}], episode: bots.storage.turns.NewEpisode;
-- those without one stay as they are); the same again changes nothing else. When they are to be embedded says the caller.
-- Locks: none; the caller holds the conversations. Called by: write_ends, remember_episode; each row sets app.contact_id for itself.
create function remember_episodes(p_turns jsonb) returns void language plpgsql as $$
begin
    insert into fresh_episodes (tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person,
        time_words)
    select t.tenant, t.contact, t.turn, (select bot_id from accounts a where a.tenant_id = t.tenant and a.id = t.account limit 1), t.conversation, t.number,
        t.at, e.config,
        -- As word_numbers has them.
        array(select hashtext(w) & -2 from unnest(tsvector_to_array(to_tsvector(e.read_as, e.asked))) w)
            || array(select hashtext(w) | 1 from unnest(tsvector_to_array(to_tsvector(e.read_as, e.answered))) w),
        case when btrim(e.asked) <> '' then 1 else 0 end + case when btrim(e.answered) <> '' then 2 else 0 end,
        e.asks, e.first_person, least(e.time_words, 9)
    from jsonb_to_recordset(p_turns) as t(tenant uuid, contact uuid, account uuid, conversation uuid, turn uuid, number integer, at timestamptz, episode jsonb)
        cross join lateral (select *, text_config(config) as read_as
            from jsonb_to_record(t.episode) as x(config text, asked text, answered text, asks boolean, first_person boolean, time_words integer) offset 0) e
    where t.episode is not null and set_config('app.contact_id', t.contact::text, true) is not null
    on conflict (contact_id, said_at, turn_id) do update set config = excluded.config, words = excluded.words, sides = excluded.sides, asks = excluded.asks,
        first_person = excluded.first_person, time_words = excluded.time_words, embedder = null, vector = null;
end
$$;

-- The same for one turn. It is to be embedded within a minute.
-- Locks: the conversation, which the caller holds. Called by: index_turns.
create function remember_episode(p_turn uuid, p_episode jsonb) returns void language plpgsql as $$
begin
    perform remember_episodes(jsonb_build_array(jsonb_build_object('tenant', t.tenant_id, 'contact', t.contact_id, 'account', c.account_id,
            'conversation', c.id, 'turn', t.id, 'number', t.number, 'at', t.opened_at, 'episode', p_episode)))
    from turns t join conversations c on c.id = t.conversation_id where t.id = p_turn;
    update conversations set settle_at = now() + interval '1 minute'
    where id = (select conversation_id from turns where id = p_turn) and settle_at is null;
end
$$;

-- Reads the words of a turn again, which were changed, and has it embedded again; a turn of which nothing is left is no longer recalled.
-- Locks: the turn's row here; the caller holds the conversation. Called by: retell.
create function reword_episode(p_turn uuid) returns void language plpgsql as $$
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

-- No longer recalls these turns of a contact; null: none of their turns.
-- Locks: the rows that it deletes. Called by: reword_episode, and whatever erases words.
create function forget_episodes(p_contact uuid, p_turns uuid[]) returns void language sql as $$
    delete from fresh_episodes where contact_id = p_contact and (p_turns is null or turn_id = any(p_turns));
    delete from episodes where contact_id = p_contact and (p_turns is null or turn_id = any(p_turns));
$$;

-- Makes these turns of a contact, or all (null), those of another.
-- Locks: the rows that it changes. Called by: join_contacts, separate_contacts.
create function move_episodes(p_from uuid, p_to uuid, p_turns uuid[]) returns void language sql as $$
    update fresh_episodes set contact_id = p_to where contact_id = p_from and (p_turns is null or turn_id = any(p_turns));
    update episodes set contact_id = p_to where contact_id = p_from and (p_turns is null or turn_id = any(p_turns));
$$;

-- What shows whether the words of a turn have changed.
-- Locks: none. Called by: unembedded, lay_episodes, claim_unindexed, index_turns.
create function seen(t turns) returns text language sql immutable as $$
    select md5(jsonb_build_array(t.in_history, t.asked, t.answer)::text)
$$;

-- The oldest turns of a contact that have no vector of this model, at most p_limit, with their words.
-- Locks: none. Called by: claim_episodes, stale_episodes.
create function unembedded(p_contact uuid, p_model text, p_limit integer) returns jsonb language sql as $$
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

-- Claims a conversation, of the profile of a batch queue, whose contact has turns to embed (p_model; null: there is no embedder) or to move, for
-- p_lease seconds. Returns it with those turns (bots.storage.episodes.Unembedded); the end of the claim is its token. Null where nothing is due.
-- Locks: the conversation; locked ones are skipped. Called by: crossing (workers). Not repeated after a lost connection.
create function claim_episodes(p_queue text, p_model text, p_limit integer, p_lease double precision) returns jsonb language plpgsql as $$
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

-- Writes the vectors of these turns, and moves the contact's fresh rows where eight or more are there. What is still without a vector of this
-- model is due again. False, and nothing is changed, for whoever came too late.
-- Locks: the conversation, then the contact's rows here. Called by: worker, within the contact's own rows (it sets app.contact_id).
create function settle_episodes(p_contact uuid, p_conversation uuid, p_token timestamptz, p_model text, p_turns uuid[], p_seen text[],
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

-- Nothing could be embedded: due again after p_after seconds.
-- Locks: the conversation. Called by: worker, within the contact's own rows (it sets app.contact_id).
create function put_off_episodes(p_contact uuid, p_conversation uuid, p_token timestamptz, p_after double precision) returns void
language plpgsql as $$
begin
    perform set_config('app.contact_id', p_contact::text, true);
    update conversations set settle_at = now() + make_interval(secs => p_after) where id = p_conversation and settle_at = p_token;
end
$$;

-- Gives turns of a contact their vectors, and writes rows in runs: fresh ones once there are eight, those with a new vector, and four runs of a size
-- as one of the next size. A turn whose words are no longer those that were embedded (p_seen) gets none: they may be forgotten. No vector at all means
-- that the embedder does not take its words.
-- Locks: the turns, those that are being changed are skipped; then the contact's rows that it moves. Called by: settle_episodes, embed_again.
create function lay_episodes(p_contact uuid, p_model text, p_turns uuid[], p_seen text[], p_vectors text[]) returns void language plpgsql as $$
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

-- The next contact after p_after with turns that have no vector of this model, and those turns, as in claim_episodes; null where there is none
-- among the next thousand contacts: then 'contact' is the last of these, without turns; null at the end.
-- Locks: none. Called by: crossing (what operators do).
create function stale_episodes(p_after uuid, p_model text, p_limit integer) returns jsonb language plpgsql as $$
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

-- Writes the vectors of turns that stale_episodes gave.
-- Locks: the contact's rows that it moves. Called by: crossing (what operators do).
create function embed_again(p_contact uuid, p_model text, p_turns uuid[], p_seen text[], p_vectors text[]) returns void language sql as $$
    select lay_episodes(p_contact, p_model, p_turns, p_seen, p_vectors)
$$;

-- Claims, for p_lease seconds, the conversation in which something was said last among those with turns from before turns could be recalled.
-- Returns it with the newest p_limit of these turns (bots.storage.episodes.Unindexed), none where nothing may be remembered of the contact; the end
-- of the claim is its token. Null where all are indexed, or due to be embedded soon.
-- Locks: the conversation; locked ones are skipped. Called by: crossing (workers). Not repeated after a lost connection.
create function claim_unindexed(p_limit integer, p_lease double precision) returns jsonb language plpgsql as $$
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

-- Makes the turns that claim_unindexed gave ones that can be recalled (p_episodes: [{turn, seen, episode}]); those up to p_to are still to be indexed.
-- They are embedded at once. False, and nothing is changed, for whoever came too late, and where words have changed meanwhile: then they are claimed
-- again.
-- Locks: the conversation. Called by: worker, within the contact's own rows (it sets app.contact_id).
create function index_turns(p_contact uuid, p_conversation uuid, p_token timestamptz, p_to integer, p_episodes jsonb) returns boolean
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
