-- Tokens and money: by day from what turns and items recorded, and what is spent against a budget. Days and months are those of UTC.

-- Calls that took tokens or money after p_since and up to p_until, with the bot they were for. p_kind is talk (model calls of turns) or
-- batch (items, by when they ended).
-- Locks: none. Called by: roll_usage, spent_this_month.
create function calls_between(p_kind text, p_since timestamptz, p_until timestamptz) returns table (
    tenant_id uuid, at timestamptz, bot_id uuid, endpoint text, model text, tokens_in integer, tokens_cached integer, tokens_out integer,
    cost double precision, estimated boolean
) language sql stable as $$
    select m.tenant_id, m.created_at, a.bot_id, m.endpoint, m.model, m.tokens_in, m.tokens_cached, m.tokens_out, m.cost, m.estimated
    -- By tenant, as the index begins with it.
    from tenants z join model_calls m on m.tenant_id = z.tenant_id join turns t on t.tenant_id = m.tenant_id and t.id = m.turn_id
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

-- Adds the calls since the last time to usage_days, at most those of p_most seconds; true where there may be more to add at once.
--
-- A row has the time at which its transaction began, and is visible once that commits. So usage_until may pass a time only when no
-- transaction that began before it can still commit: p_margin must be longer than such a transaction may take. Every writer is one
-- statement, so a statement timeout below the margin ends them (see workers.deps).
-- Locks: the row of usage_until; whoever comes second waits, and continues where the first ended. Called by: crossing (the dispatcher). Not
-- repeated after a lost connection: the next tick continues. Planned each time, since it runs every few seconds at most: a plan that was made for
-- empty tables took a second for the calls of five.
create function roll_usage(p_margin double precision, p_most double precision) returns boolean language plpgsql
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

-- What a bot spent this month in USD, including what is not in usage_days yet.
-- Locks: none. Called by: crossing (workers), and hold_spent_batches.
create function spent_this_month(p_tenant uuid, p_bot uuid) returns double precision language sql stable as $$
    select coalesce((
            select sum(d.cost) from usage_days d
            where d.tenant_id = p_tenant and d.bot_id = p_bot and d.day >= (date_trunc('month', now() at time zone 'UTC'))::date), 0)
        + coalesce((
            select sum(x.cost) from usage_until u cross join lateral calls_between(u.kind, u.at, 'infinity') x
            where x.tenant_id = p_tenant and x.bot_id = p_bot and x.at >= date_trunc('month', now(), 'UTC')), 0)
$$;

-- What one contact's answers cost today in USD, over all bots. Needed by processes of the version before revision 0005.
-- Locks: none. Called by: nobody at this version. Sets app.contact_id.
create function spent_today(p_contact uuid) returns double precision language plpgsql as $$
begin
    perform set_config('app.contact_id', p_contact::text, true);
    return (select coalesce(sum(cost), 0) from model_calls where contact_id = p_contact and created_at >= date_trunc('day', now(), 'UTC'));
end
$$;

-- What one bot's answers to a contact cost today in USD.
-- Locks: none. Called by: worker, within the contact's own rows (it sets app.contact_id).
create function spent_today(p_contact uuid, p_bot uuid) returns double precision language plpgsql as $$
begin
    perform set_config('app.contact_id', p_contact::text, true);
    return (select coalesce(sum(m.cost), 0) from model_calls m join turns t on t.tenant_id = m.tenant_id and t.id = m.turn_id
        join conversations c on c.tenant_id = t.tenant_id and c.id = t.conversation_id
        join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
        where m.contact_id = p_contact and m.created_at >= date_trunc('day', now(), 'UTC') and a.bot_id = p_bot);
end
$$;

-- Batches of bots whose budget for the month is spent wait p_hold seconds, and are checked again then: the month may be over, or the
-- budget larger. A bot's month is added up once, however many batches it has. Returns how many batches it held.
-- Locks: the batches that it holds. Called by: crossing (the dispatcher).
create function hold_spent_batches(p_hold double precision) returns integer language plpgsql as $$
declare
    held integer;
begin
    with running as materialized (
        select distinct tenant_id, bot_id from batches
        where state = 'running' and (hold_until is null or hold_until < now() + make_interval(secs => p_hold / 2))
    ), months as materialized (
        select r.tenant_id, r.bot_id, b.budget_month, spent_this_month(r.tenant_id, r.bot_id) as spent
        from running r join bots b on b.tenant_id = r.tenant_id and b.id = r.bot_id and b.budget_month is not null
    )
    update batches set hold_until = now() + make_interval(secs => p_hold) from months m
    where batches.tenant_id = m.tenant_id and batches.bot_id = m.bot_id and m.spent >= m.budget_month
        and state = 'running' and (hold_until is null or hold_until < now() + make_interval(secs => p_hold / 2));
    get diagnostics held = row_count;
    return held;
end
$$;
