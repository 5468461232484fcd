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
