create or replace function roll_usage(p_margin double precision, p_most double precision) returns boolean language plpgsql
set plan_cache_mode = force_custom_plan as $$
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
