create or replace function pay_item(p_batch uuid, p_n bigint, p_spent jsonb) returns void language sql as $$
    update batch_items set endpoint = coalesce(p_spent->>'endpoint', endpoint), model = coalesce(p_spent->>'model', model),
        tokens_in = least(coalesce(tokens_in + (p_spent->>'tokens_in')::bigint, (p_spent->>'tokens_in')::bigint, tokens_in), 2147483647),
        tokens_cached = least(coalesce(tokens_cached + (p_spent->>'tokens_cached')::bigint, (p_spent->>'tokens_cached')::bigint, tokens_cached), 2147483647),
        tokens_out = least(coalesce(tokens_out + (p_spent->>'tokens_out')::bigint, (p_spent->>'tokens_out')::bigint, tokens_out), 2147483647),
        cost = coalesce(cost + (p_spent->>'cost')::double precision, (p_spent->>'cost')::double precision, cost),
        estimated = estimated or coalesce((p_spent->>'estimated')::boolean, false)
    where batch_id = p_batch and n = p_n
$$;
