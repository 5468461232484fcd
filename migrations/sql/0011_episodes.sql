create or replace function text_config(p_name text) returns regconfig language plpgsql stable as $$
begin
    return coalesce((select oid from pg_ts_config where cfgname = p_name and pg_ts_config_is_visible(oid)), 'simple'::regconfig)::regconfig;
end
$$;

create or replace function word_numbers(p_config text, p_text text, p_side integer) returns integer[] language plpgsql stable as $$
begin
    return array(select (hashtext(lexeme) & -2) | p_side from unnest(to_tsvector(text_config(p_config), p_text)));
end
$$;
