drop function cut(text,integer);

CREATE OR REPLACE FUNCTION public.said(i inbox)
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$
    select coalesce(nullif(concat_ws(E'\n',
        case when i.quoted is not null then '(in reply to: ' || to_json(quoted_words(i.account_id, i.contact_id, i.quoted)) || ')' end,
        (select string_agg(line, E'\n' order by n) filter (where size <= 2000) from (
            select line, n, sum(length(line)) over (order by n) as size
            from jsonb_array_elements(coalesce(i.refers, '[]')) with ordinality as r(x, n),
                lateral (select '(refers to ' || to_json(x->>'name') || ': ' || to_json(left(x->>'text', 500)) || ')' as line) as l) as sized),
        (select string_agg('(picture)', E'\n') from media m where m.inbox_id = i.id),
        case when btrim(i.text) <> '' and i.content_type in ('document', 'video', 'audio', 'voice', 'file', 'reel', 'ig_reel', 'order')
                and not exists (select from media m where m.inbox_id = i.id)
            then '(attached, but you cannot open it and need not mention it: ' || i.content_type || ')' end,
        nullif(btrim(i.text), '')), ''), '(' || i.content_type || ')')
$function$;
