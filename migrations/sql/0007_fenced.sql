-- What a turn cost whose lease had passed on, or that a person took over: paid for all the same, so it counts. Its words stay away, for the
-- contact may have wanted them forgotten meanwhile. What is there already stays alone: of a statement that is repeated, or of the turn's own
-- commit, whose answer was lost on the way.
create function pay_fenced(p_contact uuid, p_turn uuid, p_calls jsonb) returns void language plpgsql as $$
begin
    perform set_config('app.contact_id', p_contact::text, true);
    -- Whoever records calls holds it: the turn's next try, or the summary.
    perform from conversations where id = (select conversation_id from turns where id = p_turn) for update;
    insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, tokens_cached, tokens_out,
        first_token_ms, total_ms, outcome, cost)
    select t.tenant_id, t.id, t.contact_id, n + coalesce((select max(attempt) from model_calls m where m.turn_id = t.id), 0), x->>'endpoint',
        x->>'model', '[]', (x->>'tokens_in')::integer, (x->>'tokens_cached')::integer, (x->>'tokens_out')::integer,
        (x->>'first_token_ms')::double precision, (x->>'total_ms')::double precision, x->>'outcome', (x->>'cost')::double precision
    from turns t, jsonb_array_elements(p_calls) with ordinality as calls(x, n)
    where t.id = p_turn and coalesce(x->>'tokens_in', x->>'tokens_out', x->>'cost') is not null
        and not exists (select from model_calls m where m.turn_id = t.id and m.endpoint = x->>'endpoint'
            and m.total_ms is not distinct from (x->>'total_ms')::double precision
            and m.tokens_in is not distinct from (x->>'tokens_in')::integer
            and m.tokens_out is not distinct from (x->>'tokens_out')::integer);
end
$$;
