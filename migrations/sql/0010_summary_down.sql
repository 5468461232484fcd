CREATE OR REPLACE FUNCTION public.claim_summary(p_queue text, p_lease double precision)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
declare
    c conversations;
    reply text := 'reply.' || substr(p_queue, 7);
begin
    select * into c from conversations
    where summarise_at <= now() and profile_queue(queue) = reply
    order by summarise_at limit 1 for update skip locked;
    if not found then
        return null;
    end if;
    update conversations set summarise_at = now() + make_interval(secs => p_lease) where id = c.id returning * into c;
    return jsonb_build_object('tenant', c.tenant_id, 'conversation', c.id, 'contact', c.contact_id, 'account', c.account_id,
        'token', c.summarise_at, 'until', c.summarise_to, 'summary', c.summary,
        'turns', (select coalesce(jsonb_agg(jsonb_build_object('number', h.number, 'asked', h.asked, 'answer', h.answer) order by h.number), '[]')
            from turns h where h.conversation_id = c.id and h.state = 'answered' and h.in_history and h.asked is not null and h.answer is not null
                and h.number > c.summary_until and h.number <= c.summarise_to));
end
$function$;

drop function pay_background(conversations,text,integer,jsonb,boolean);

CREATE OR REPLACE FUNCTION public.finish_summary(p_contact uuid, p_conversation uuid, p_token timestamp with time zone, p_summary text, p_until integer, p_calls jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
declare
    c conversations;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    select * into c from conversations where id = p_conversation for update;
    perform pay_summary(c, p_until, p_calls, c.summarise_at is not distinct from p_token);
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
    perform pay_summary(c, p_until, p_calls, c.summarise_at is not distinct from p_token);
    update conversations set
        summarise_at = case when p_after is not null then now() + make_interval(secs => p_after)
            when summarise_tries < 2 then now() + interval '1 minute' * (1 + 9 * summarise_tries) end,
        summarise_tries = summarise_tries + case when p_after is null then 1 else 0 end
    where id = c.id and summarise_at = p_token;
    return found;
end
$function$;
