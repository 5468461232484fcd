drop function quoted_words(uuid,uuid,text);

drop function said(inbox);

CREATE OR REPLACE FUNCTION public.unanswered(p_conversation uuid)
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$
    select string_agg(words, E'\n' order by at, arrival) from (
        select coalesce(i.occurred_at, i.received_at) as at, i.arrival, coalesce(nullif(concat_ws(E'\n',
                (select string_agg('(picture)', E'\n') from media m where m.inbox_id = i.id), nullif(btrim(i.text), '')), ''),
            '(' || i.content_type || ')') as words
        from inbox i where i.conversation_id = p_conversation and i.turn_id is null and i.kind = 'message') told
$function$;

drop function retell(uuid);
