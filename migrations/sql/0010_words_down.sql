CREATE OR REPLACE FUNCTION public.quoted_words(p_account uuid, p_contact uuid, p_quoted text)
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$
    select left(words, 500) from (
        select coalesce(nullif(btrim(text), ''), '(' || content_type || ')') as words from inbox
        where account_id = p_account and event_key = any(array[p_quoted, 'echo:' || p_quoted]) and contact_id = p_contact
            and kind in ('message', 'echo') and content_type <> 'unsent'
        union all
        select body from outbox where account_id = p_account and external_id = p_quoted and contact_id = p_contact
            and not exists (select from inbox where account_id = p_account and target = 'echo:' || p_quoted and kind = 'revoke')) told
    limit 1
$function$;

drop function is_command(text);

CREATE OR REPLACE FUNCTION public.retell(p_turn uuid)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
    told text;
begin
    select left(string_agg(said(i), E'\n' order by coalesce(i.occurred_at, i.received_at), i.arrival), 8000) into told
    from inbox i
    where i.turn_id = p_turn and i.kind = 'message'
        and coalesce(i.text, '') !~* '^\s*/(help|reset|stop|start|memory|forget|why)\y';
    update turns set asked = told, in_history = in_history and told is not null where id = p_turn and asked is not null;
    if not exists (select from inbox where turn_id = p_turn and kind = 'message') then
        update outbox set status = 'failed', reason = 'unsent', not_before = null, status_at = now()
        where turn_id = p_turn and (status = 'queued' or (status = 'failed' and reason in ('part_refused', 'part_unknown')))
            and (select answered_by is null from turns where id = p_turn);
        update turns set answer = null where id = p_turn and answered_by is null;
    end if;
end
$function$;
