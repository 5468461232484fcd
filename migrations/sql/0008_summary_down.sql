drop function pay_summary(conversations,integer,jsonb,boolean);

CREATE OR REPLACE FUNCTION public.finish_summary(p_contact uuid, p_conversation uuid, p_token timestamp with time zone, p_summary text, p_until integer, p_calls jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
declare
    c conversations;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    select * into c from conversations where id = p_conversation for update;
    perform pay_summary(c, p_until, p_calls);
    update conversations set summary = p_summary, summary_until = p_until, summarise_tries = 0,
        summarise_at = case when summarise_to > p_until then now() end,
        summarise_to = case when summarise_to > p_until then summarise_to end
    where id = c.id and summarise_at = p_token;
    return found;
end
$function$;

CREATE OR REPLACE FUNCTION public.put_off_summary(p_contact uuid, p_conversation uuid, p_token timestamp with time zone, p_after double precision, p_until integer, p_calls jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
declare
    c conversations;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    select * into c from conversations where id = p_conversation for update;
    perform pay_summary(c, p_until, p_calls);
    update conversations set
        summarise_at = case when p_after is not null then now() + make_interval(secs => p_after)
            when summarise_tries < 2 then now() + interval '1 minute' * (1 + 9 * summarise_tries) end,
        summarise_tries = summarise_tries + case when p_after is null then 1 else 0 end
    where id = c.id and summarise_at = p_token;
    return found;
end
$function$;
