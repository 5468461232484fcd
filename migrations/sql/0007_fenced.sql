-- What a turn cost whose lease had passed on, or that a person took over: paid for all the same, so it counts. Its words stay away, for the
-- contact may have wanted them forgotten meanwhile. A statement that is repeated pays once: a call's id is made of whose it was.
create function pay_fenced(p_contact uuid, p_turn uuid, p_token bigint, p_calls jsonb) returns bigint language plpgsql as $$
declare
    t turns;
    paid bigint;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    -- Whoever has the turn now numbers its calls under the same lock.
    select * into t from turns where id = p_turn for update;
    insert into model_calls (tenant_id, id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, tokens_cached, tokens_out,
        first_token_ms, total_ms, outcome, cost)
    select t.tenant_id, md5(concat_ws(':', t.id, p_token, n))::uuid, t.id, p_contact,
        n + coalesce((select max(attempt) from model_calls m where m.turn_id = t.id), 0), x->>'endpoint', x->>'model', '[]',
        (x->>'tokens_in')::integer, (x->>'tokens_cached')::integer, (x->>'tokens_out')::integer, (x->>'first_token_ms')::double precision,
        (x->>'total_ms')::double precision, x->>'outcome', (x->>'cost')::double precision
    from jsonb_array_elements(p_calls) with ordinality as calls(x, n)
    where t.id is not null and coalesce(x->>'tokens_in', x->>'tokens_out', x->>'cost') is not null
    on conflict on constraint pk_model_calls do nothing;
    get diagnostics paid = row_count;
    return paid;
end
$$;
