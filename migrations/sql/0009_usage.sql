drop function calls_between(text,timestamp with time zone,timestamp with time zone);

create or replace function calls_between(p_kind text, p_since timestamptz, p_until timestamptz) returns table (
    tenant_id uuid, at timestamptz, bot_id uuid, endpoint text, model text, tokens_in integer, tokens_cached integer, tokens_out integer,
    cost double precision, estimated boolean
) language sql stable as $$
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
$$;

create or replace function roll_usage(p_margin double precision, p_most double precision) returns boolean language plpgsql as $$
declare
    k text;
    since timestamptz;
    until timestamptz;
    is_behind boolean := false;
begin
    foreach k in array array['talk', 'batch'] loop
        -- Whoever comes second waits here, and then goes on where the first one ended: usage_until and usage_days change together.
        select at into since from usage_until where kind = k for update;
        until := least(now() - make_interval(secs => p_margin), since + make_interval(secs => p_most));
        continue when until <= since;
        insert into usage_days as d (tenant_id, day, bot_id, kind, endpoint, model, calls, tokens_in, tokens_cached, tokens_out, cost,
            calls_estimated)
        select x.tenant_id, (x.at at time zone 'UTC')::date, x.bot_id, k, x.endpoint, x.model, count(*), coalesce(sum(x.tokens_in), 0),
            coalesce(sum(x.tokens_cached), 0), coalesce(sum(x.tokens_out), 0), coalesce(sum(x.cost), 0),
            count(*) filter (where x.estimated)
        from calls_between(k, since, until) x group by 1, 2, 3, 5, 6
        on conflict on constraint pk_usage_days do update set calls = d.calls + excluded.calls, tokens_in = d.tokens_in + excluded.tokens_in,
            tokens_cached = d.tokens_cached + excluded.tokens_cached, tokens_out = d.tokens_out + excluded.tokens_out,
            cost = d.cost + excluded.cost, calls_estimated = d.calls_estimated + excluded.calls_estimated;
        update usage_until set at = until where kind = k;
        is_behind := is_behind or until = since + make_interval(secs => p_most);
    end loop;
    return is_behind;
end
$$;
