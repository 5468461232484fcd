-- Tokens and money: by day from what turns and items recorded, and what is spent against a budget. Days and months are those of UTC.

-- The attention page asks at each look whether a budget turned somebody away.
create index ix_turns_budget on turns (finished_at) where reason like 'budget%';

-- Calls of the model that were answered, with the bot that they were for: talk by the turn's end, batch by the item's.
create function calls_between(p_kind text, p_since timestamptz, p_until timestamptz) returns table (
    tenant_id uuid, at timestamptz, bot_id uuid, endpoint text, model text, tokens_in integer, tokens_cached integer, tokens_out integer,
    cost double precision
) language sql stable as $$
    select m.tenant_id, m.created_at, a.bot_id, m.endpoint, m.model, m.tokens_in, m.tokens_cached, m.tokens_out, m.cost
    from model_calls m join turns t on t.tenant_id = m.tenant_id and t.id = m.turn_id
    join conversations c on c.tenant_id = t.tenant_id and c.id = t.conversation_id
    join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
    where p_kind = 'talk' and m.created_at > p_since and m.created_at <= p_until
        and (m.tokens_in is not null or m.tokens_out is not null or m.cost is not null)
    union all
    select i.tenant_id, i.finished_at, b.bot_id, coalesce(i.endpoint, ''), coalesce(i.model, ''), i.tokens_in, i.tokens_cached, i.tokens_out, i.cost
    from batch_items i join batches b on b.tenant_id = i.tenant_id and b.id = i.batch_id
    where p_kind = 'batch' and i.finished_at > p_since and i.finished_at <= p_until
        and (i.tokens_in is not null or i.tokens_out is not null or i.cost is not null)
$$;

-- Adds what was called since the last time; true when there may be more to add at once.
--
-- A row bears the time at which its transaction began and shows when that commits. The mark may therefore pass a time only when no
-- transaction that began before it can still commit: p_margin is longer than such a transaction may take. Every writer is one
-- statement, so that a statement timeout below the margin ends them (workers.deps).
create function roll_usage(p_margin double precision, p_most double precision) returns boolean language plpgsql as $$
declare
    k text;
    since timestamptz;
    until timestamptz;
    is_behind boolean := false;
begin
    foreach k in array array['talk', 'batch'] loop
        -- Who comes second waits here, and then begins where the first one ended: mark and sums change together.
        select at into since from usage_until where kind = k for update;
        until := least(now() - make_interval(secs => p_margin), since + make_interval(secs => p_most));
        continue when until <= since;
        insert into usage_days as d (tenant_id, day, bot_id, kind, endpoint, model, calls, tokens_in, tokens_cached, tokens_out, cost)
        select x.tenant_id, (x.at at time zone 'UTC')::date, x.bot_id, k, x.endpoint, x.model, count(*), coalesce(sum(x.tokens_in), 0),
            coalesce(sum(x.tokens_cached), 0), coalesce(sum(x.tokens_out), 0), coalesce(sum(x.cost), 0)
        from calls_between(k, since, until) x group by 1, 2, 3, 5, 6
        on conflict on constraint pk_usage_days do update set calls = d.calls + excluded.calls, tokens_in = d.tokens_in + excluded.tokens_in,
            tokens_cached = d.tokens_cached + excluded.tokens_cached, tokens_out = d.tokens_out + excluded.tokens_out,
            cost = d.cost + excluded.cost;
        update usage_until set at = until where kind = k;
        is_behind := is_behind or until = since + make_interval(secs => p_most);
    end loop;
    return is_behind;
end
$$;

-- What a bot spent this month in USD, with what is not rolled up yet. Needs the crossing role.
create function spent_this_month(p_tenant uuid, p_bot uuid) returns double precision language sql stable as $$
    select coalesce((
            select sum(d.cost) from usage_days d
            where d.tenant_id = p_tenant and d.bot_id = p_bot and d.day >= (date_trunc('month', now() at time zone 'UTC'))::date), 0)
        + coalesce((
            select sum(x.cost) from usage_until u cross join lateral calls_between(u.kind, u.at, 'infinity') x
            where x.tenant_id = p_tenant and x.bot_id = p_bot and x.at >= date_trunc('month', now(), 'UTC')), 0)
$$;

-- What one contact's answers cost today in USD.
create function spent_today(p_contact uuid) returns double precision language plpgsql as $$
begin
    perform set_config('app.contact_id', p_contact::text, true);
    return (select coalesce(sum(cost), 0) from model_calls where contact_id = p_contact and created_at >= date_trunc('day', now(), 'UTC'));
end
$$;

-- Batches of a bot whose month is spent wait for the next one, or for a larger budget: looked at again each time.
create function hold_spent_batches(p_hold double precision) returns integer language plpgsql as $$
declare
    held integer;
begin
    update batches set hold_until = now() + make_interval(secs => p_hold)
    where state = 'running' and (hold_until is null or hold_until < now() + make_interval(secs => p_hold / 2)) and exists (
        select from bots b where b.tenant_id = batches.tenant_id and b.id = batches.bot_id and b.budget_month is not null
            and spent_this_month(b.tenant_id, b.id) >= b.budget_month);
    get diagnostics held = row_count;
    return held;
end
$$;
