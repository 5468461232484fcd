create or replace function text_config(p_name text) returns regconfig language plpgsql stable as $$
begin
    return coalesce((select oid from pg_ts_config where cfgname = p_name and pg_ts_config_is_visible(oid)), 'simple'::regconfig)::regconfig;
end
$$;

create or replace function word_numbers(p_config text, p_text text, p_side integer) returns integer[] language plpgsql stable as $$
begin
    return array(select (hashtext(lexeme) & -2) | p_side from unnest(tsvector_to_array(to_tsvector(text_config(p_config), p_text))) lexeme);
end
$$;

create or replace function remember_episodes(p_turns jsonb) returns void language plpgsql as $$
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

create or replace function remember_episode(p_turn uuid, p_episode jsonb) returns void language plpgsql as $$
begin
    perform remember_episodes(jsonb_build_array(jsonb_build_object('tenant', t.tenant_id, 'contact', t.contact_id, 'account', c.account_id,
            'conversation', c.id, 'turn', t.id, 'number', t.number, 'at', t.opened_at, 'episode', p_episode)))
    from turns t join conversations c on c.id = t.conversation_id where t.id = p_turn;
    update conversations set settle_at = now() + interval '1 minute'
    where id = (select conversation_id from turns where id = p_turn) and settle_at is null;
end
$$;
