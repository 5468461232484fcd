create or replace function bin_of(p_seconds double precision) returns integer language sql immutable as $$
    select least(399, floor(ln(greatest(p_seconds, 0.05) / 0.05) / ln(1.04)))::integer
$$;

create or replace function add_counts(p_one integer[], p_more integer[]) returns integer[] language sql immutable as $$
    select coalesce(array_agg(coalesce(one, 0) + coalesce(more, 0) order by n), '{}') from unnest(p_one, p_more) with ordinality as u(one, more, n)
$$;

create or replace function counted_between(p_since timestamptz, p_until timestamptz, p_tenant uuid default null) returns table (
    tenant_id uuid, at timestamptz, messages bigint, answers bigint, by_hand bigint, tokens_in bigint, tokens_cached bigint, tokens_out bigint,
    calls_estimated bigint, took integer[]
) language sql stable as $$
    with happened as materialized (
        select z.tenant_id, date_trunc('hour', x.at, 'UTC') as hour, x.* from tenants z cross join lateral (
            select i.received_at as at, 1 as messages, 0 as answers, 0 as by_hand, null::integer as bin, 0 as tokens_in, 0 as tokens_cached,
                0 as tokens_out, 0 as calls_estimated
            from inbox i where i.tenant_id = z.tenant_id and i.received_at > p_since and i.received_at <= p_until and i.kind = 'message'
            union all
            select t.finished_at, 0, (t.answered_by is null)::integer, (t.answered_by is not null)::integer,
                case when t.answered_by is null then bin_of((select extract(epoch from t.finished_at - max(i.received_at))::double precision
                    from inbox i where i.turn_id = t.id and i.kind = 'message')) end, 0, 0, 0, 0
            from turns t where t.tenant_id = z.tenant_id and t.finished_at > p_since and t.finished_at <= p_until and t.state = 'answered'
            union all
            select m.created_at, 0, 0, 0, null, coalesce(m.tokens_in, 0), coalesce(m.tokens_cached, 0), coalesce(m.tokens_out, 0), m.estimated::integer
            from model_calls m where m.tenant_id = z.tenant_id and m.created_at > p_since and m.created_at <= p_until
        ) x
        where p_tenant is null or z.tenant_id = p_tenant
    ), bins as (
        select h.tenant_id, h.hour, h.bin, count(*)::integer as n from happened h where h.bin is not null group by 1, 2, 3
    ), took as (
        select l.tenant_id, l.hour, array_agg(coalesce(b.n, 0) order by g) as took
        from (select tenant_id, hour, max(bin) as last from bins group by 1, 2) l cross join generate_series(0, l.last) g
        left join bins b on b.tenant_id = l.tenant_id and b.hour = l.hour and b.bin = g group by 1, 2
    )
    select h.tenant_id, h.hour, sum(h.messages), sum(h.answers), sum(h.by_hand), sum(h.tokens_in), sum(h.tokens_cached), sum(h.tokens_out),
        sum(h.calls_estimated), coalesce((select t.took from took t where t.tenant_id = h.tenant_id and t.hour = h.hour), '{}')
    from happened h group by 1, 2
$$;

create or replace function failures_between(p_since timestamptz, p_until timestamptz, p_tenant uuid default null) returns table (
    tenant_id uuid, at timestamptz, what text, code text, n bigint
) language sql stable as $$
    select z.tenant_id, date_trunc('hour', x.at, 'UTC'), x.what, x.code, count(*) from tenants z cross join lateral (
        select t.finished_at as at, 'turn' as what, regexp_replace(coalesce(t.reason, '?'), '^((dismissed|replayed):)*(error:)?', '') as code
        from turns t where t.tenant_id = z.tenant_id and t.finished_at > p_since and t.finished_at <= p_until
            and (t.state = 'dead' or (t.state = 'skipped' and (t.reason like 'dismissed:%' or t.reason like 'replayed:%')))
        union all
        select m.created_at, 'model', m.outcome
        from model_calls m where m.tenant_id = z.tenant_id and m.created_at > p_since and m.created_at <= p_until
    ) x
    where p_tenant is null or z.tenant_id = p_tenant group by 1, 2, 3, 4
$$;

create or replace function count_failed_sends(p_hour timestamptz) returns void language sql as $$
    delete from figure_failures where at = p_hour and what = 'send' and tenant_id in (select tenant_id from tenants);
    insert into figure_failures (tenant_id, at, what, code, n)
    select o.tenant_id, p_hour, 'send', case when o.status = 'unknown' then 'unknown' else regexp_replace(o.reason, '^(code|platform):', '') end, count(*)
    from outbox o
    where o.reason is not null and o.created_at >= p_hour and o.created_at < p_hour + interval '1 hour' and o.reason not in ('taken_over', 'unsent')
        and (o.status = 'failed' or (o.status = 'unknown' and o.not_before is null))
    group by 1, 4
$$;

create or replace function count_figures(p_margin double precision, p_most double precision) returns boolean language plpgsql as $$
declare
    f figures_until;
    now_hour timestamptz := date_trunc('hour', now(), 'UTC');
    oldest timestamptz := date_trunc('day', now(), 'UTC') - interval '7 days';
    ends timestamptz := now() - make_interval(secs => p_margin);
    until timestamptz;
begin
    select * into f from figures_until for update;
    if f.sends_at < now() - interval '1 minute' then
        f.sends_hour := case when f.sends_hour <= oldest then now_hour - interval '2 hours' else f.sends_hour - interval '4 hours' end;
        perform count_failed_sends(now_hour - n * interval '1 hour') from generate_series(0, 1) n;
        perform count_failed_sends(f.sends_hour - n * interval '1 hour') from generate_series(0, 3) n;
        update figures_until set sends_hour = f.sends_hour, sends_at = now();
    end if;
    -- Older than what is shown; and where nothing happened there is nothing to add.
    f.at := greatest(f.at, oldest);
    f.at := greatest(f.at, least(ends, (select min(x.at) - interval '1 microsecond' from tenants z cross join lateral (
        (select i.received_at as at from inbox i where i.tenant_id = z.tenant_id and i.received_at > f.at order by i.received_at limit 1)
        union all (select t.finished_at from turns t where t.tenant_id = z.tenant_id and t.finished_at > f.at order by t.finished_at limit 1)
        union all (select m.created_at from model_calls m where m.tenant_id = z.tenant_id and m.created_at > f.at order by m.created_at limit 1)) x)));
    -- Within one hour, so that each tenant has one row of it.
    until := least(ends, f.at + make_interval(secs => p_most),
        date_trunc('hour', f.at + interval '1 microsecond', 'UTC') + interval '1 hour' - interval '1 microsecond');
    if until <= f.at then
        -- Nothing has happened: that is written down once a minute.
        update figures_until set at = f.at where at < f.at - interval '1 minute';
        return false;
    end if;
    insert into figures as d (tenant_id, step, at, messages, answers, by_hand, tokens_in, tokens_cached, tokens_out, calls_estimated, took)
    select x.tenant_id, s.step, date_trunc(s.step, x.at, 'UTC'), x.messages, x.answers, x.by_hand, x.tokens_in, x.tokens_cached, x.tokens_out,
        x.calls_estimated, x.took
    from counted_between(f.at, until) x cross join (values ('hour'), ('day')) s(step)
    order by 1, 2, 3
    on conflict on constraint pk_figures do update set messages = d.messages + excluded.messages, answers = d.answers + excluded.answers,
        by_hand = d.by_hand + excluded.by_hand, tokens_in = d.tokens_in + excluded.tokens_in, tokens_cached = d.tokens_cached + excluded.tokens_cached,
        tokens_out = d.tokens_out + excluded.tokens_out, calls_estimated = d.calls_estimated + excluded.calls_estimated,
        took = add_counts(d.took, excluded.took);
    insert into figure_failures as d (tenant_id, at, what, code, n)
    select x.tenant_id, x.at, x.what, x.code, x.n from failures_between(f.at, until) x
    on conflict on constraint pk_figure_failures do update set n = d.n + excluded.n;
    update figures_until set at = until;
    return until < ends;
end
$$;
