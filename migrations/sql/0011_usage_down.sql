CREATE OR REPLACE FUNCTION public.calls_between(p_kind text, p_since timestamp with time zone, p_until timestamp with time zone)
 RETURNS TABLE(tenant_id uuid, at timestamp with time zone, bot_id uuid, endpoint text, model text, tokens_in integer, tokens_cached integer, tokens_out integer, cost double precision, estimated boolean)
 LANGUAGE sql
 STABLE
AS $function$
    select m.tenant_id, m.created_at, a.bot_id, m.endpoint, m.model, m.tokens_in, m.tokens_cached, m.tokens_out, m.cost, m.estimated
    from model_calls m join turns t on t.tenant_id = m.tenant_id and t.id = m.turn_id
    join conversations c on c.tenant_id = t.tenant_id and c.id = t.conversation_id
    join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
    where p_kind = 'talk' and m.created_at > p_since and m.created_at <= p_until
        and (m.tokens_in is not null or m.tokens_out is not null or m.cost is not null)
    union all
    select i.tenant_id, i.finished_at, b.bot_id, coalesce(i.endpoint, ''), coalesce(i.model, ''), i.tokens_in, i.tokens_cached, i.tokens_out, i.cost,
        i.estimated
    from batch_items i join batches b on b.tenant_id = i.tenant_id and b.id = i.batch_id
    where p_kind = 'batch' and i.finished_at > p_since and i.finished_at <= p_until
        and (i.tokens_in is not null or i.tokens_out is not null or i.cost is not null)
$function$;
