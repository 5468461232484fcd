CREATE OR REPLACE FUNCTION public.pay_item(p_batch uuid, p_n bigint, p_spent jsonb)
 RETURNS void
 LANGUAGE sql
AS $function$
    update batch_items set endpoint = coalesce(p_spent->>'endpoint', endpoint), model = coalesce(p_spent->>'model', model),
        tokens_in = coalesce(tokens_in + (p_spent->>'tokens_in')::integer, (p_spent->>'tokens_in')::integer, tokens_in),
        tokens_cached = coalesce(tokens_cached + (p_spent->>'tokens_cached')::integer, (p_spent->>'tokens_cached')::integer, tokens_cached),
        tokens_out = coalesce(tokens_out + (p_spent->>'tokens_out')::integer, (p_spent->>'tokens_out')::integer, tokens_out),
        cost = coalesce(cost + (p_spent->>'cost')::double precision, (p_spent->>'cost')::double precision, cost)
    where batch_id = p_batch and n = p_n
$function$;
