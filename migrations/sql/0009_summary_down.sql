CREATE OR REPLACE FUNCTION public.pay_summary(c conversations, p_until integer, p_calls jsonb, p_stored boolean)
 RETURNS void
 LANGUAGE sql
AS $function$
    insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, tokens_cached, tokens_out,
        first_token_ms, total_ms, outcome, cost)
    select t.tenant_id, t.id, t.contact_id, n + coalesce((select max(attempt) from model_calls m where m.turn_id = t.id), 0), x->>'endpoint',
        x->>'model', case when p_stored then x->'prompt' else '[]' end, (x->>'tokens_in')::integer, (x->>'tokens_cached')::integer, (x->>'tokens_out')::integer,
        (x->>'first_token_ms')::double precision, (x->>'total_ms')::double precision,
        case x->>'outcome' when 'ok' then 'summary' else 'summary:' || (x->>'outcome') end, (x->>'cost')::double precision
    from jsonb_array_elements(p_calls) with ordinality as calls(x, n)
    join turns t on t.conversation_id = c.id and t.number = p_until
    where not exists (select from model_calls m where m.turn_id = t.id and m.outcome like 'summary%' and m.endpoint = x->>'endpoint'
        and m.total_ms is not distinct from (x->>'total_ms')::double precision and m.prompt in (x->'prompt', '[]'))
$function$;
