CREATE OR REPLACE FUNCTION public.text_config(p_name text)
 RETURNS regconfig
 LANGUAGE sql
 STABLE
AS $function$
    select coalesce((select oid from pg_ts_config where cfgname = p_name and pg_ts_config_is_visible(oid)), 'simple'::regconfig)::regconfig
$function$;

CREATE OR REPLACE FUNCTION public.word_numbers(p_config text, p_text text, p_side integer)
 RETURNS integer[]
 LANGUAGE sql
 STABLE
AS $function$
    select coalesce(array_agg((hashtext(lexeme) & -2) | p_side), '{}') from unnest(to_tsvector(text_config(p_config), p_text))
$function$;

drop function remember_episodes(jsonb);

CREATE OR REPLACE FUNCTION public.remember_episode(p_turn uuid, p_episode jsonb)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
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
$function$;
