-- Batches: files of questions that are answered when there is room.

-- A file of questions for a bot. Its items are claimed while it is running.
create table batches (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    bot_id uuid not null,
    name text not null,
    queue text not null,
    state text not null default 'checking'
        constraint ck_batches_state check (state in ('checking', 'running', 'paused', 'cancelled', 'done')),
    idempotency_key text,
    file_sha256 bytea,
    total bigint not null default 0,
    created_by text not null,
    created_at timestamptz not null default now(),
    -- While the file is being checked: when the check last made progress.
    touched_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    -- The model is unavailable, or the budget is spent: no item is claimed before this time.
    hold_until timestamptz,
    constraint pk_batches primary key (id, tenant_id),
    constraint fk_batches_bot foreign key (tenant_id, bot_id) references bots (tenant_id, id),
    constraint uq_batches_idempotency_key unique (tenant_id, idempotency_key)
);
create index ix_batches_newest on batches (tenant_id, created_at);
create index ix_batches_open on batches (touched_at) where state in ('checking', 'running', 'paused');
create index ix_batches_running on batches (queue, created_at) where state = 'running';

-- One line of a batch's file, and its answer. Claimed with a lease and a fencing token, as conversations are.
create table batch_items (
    tenant_id uuid not null,
    batch_id uuid not null,
    -- The line's number in the file, from 1.
    n bigint not null,
    custom_id text not null,
    -- The line as received, in one of two forms: {"text"} or {"method", "url", "body"}.
    request jsonb not null,
    state text not null default 'waiting'
        constraint ck_batch_items_state check (state in ('waiting', 'running', 'done', 'failed', 'cancelled')),
    -- Null: nothing to do. Else when it may be claimed; while it is leased, the lease's end.
    ready_at timestamptz,
    token bigint not null default 0,
    leased_by uuid,
    tries integer not null default 0,
    answer text,
    reason text,
    model text,
    tokens_in integer,
    tokens_cached integer,
    tokens_out integer,
    finished_at timestamptz,
    endpoint text,
    cost double precision,
    -- Whether any of the tokens were counted or estimated here, since the server did not count them.
    estimated boolean not null default false,
    constraint pk_batch_items primary key (batch_id, n),
    constraint uq_batch_items_custom_id unique (batch_id, custom_id),
    constraint fk_batch_items_batch foreign key (tenant_id, batch_id) references batches (tenant_id, id) on delete cascade
);
create index ix_batch_items_due on batch_items (batch_id, ready_at, n) where ready_at is not null;
create index ix_batch_items_state on batch_items (batch_id, state, n);
create index ix_batch_items_finished on batch_items (batch_id, finished_at) where finished_at is not null;
create index ix_batch_items_leased on batch_items (leased_by) where leased_by is not null;
-- For reading the usage of a period.
create index ix_batch_items_ended on batch_items (finished_at) where finished_at is not null;

-- How many items of a batch are in each state, and what their calls took: the sum of the rows of a state. There are several, so that workers who end
-- items at the same moment do not wait for one another. Kept by the triggers below, whoever changes an item.
create table batch_counts (
    tenant_id uuid not null,
    batch_id uuid not null,
    state text not null,
    part uuid not null default gen_random_uuid(),
    n bigint not null,
    tokens_in bigint not null,
    tokens_cached bigint not null,
    tokens_out bigint not null,
    cost double precision not null,
    -- Items that have a cost, and items with tokens that were counted or estimated here.
    priced bigint not null,
    estimated bigint not null,
    constraint pk_batch_counts primary key (batch_id, state, part),
    constraint fk_batch_counts_batch foreign key (tenant_id, batch_id) references batches (tenant_id, id) on delete cascade
)
with (fillfactor = 50);

-- Adds to the counts of a state, in a row that nobody holds, or a new one: so it waits for nobody.
-- Locks: one row of batch_counts. Called by: count_new_items, count_gone_items, count_changed_items.
create function add_items(
    p_tenant uuid, p_batch uuid, p_state text, p_n bigint, p_in bigint, p_cached bigint, p_out bigint, p_cost double precision, p_priced bigint, p_estimated bigint
) returns void language plpgsql as $$
declare
    free uuid;
begin
    select part into free from batch_counts where batch_id = p_batch and state = p_state limit 1 for update skip locked;
    if found then
        update batch_counts set n = n + p_n, tokens_in = tokens_in + p_in, tokens_cached = tokens_cached + p_cached, tokens_out = tokens_out + p_out,
            cost = cost + p_cost, priced = priced + p_priced, estimated = estimated + p_estimated
        where batch_id = p_batch and state = p_state and part = free;
    else
        -- Not for a batch that is just being deleted.
        insert into batch_counts (tenant_id, batch_id, state, n, tokens_in, tokens_cached, tokens_out, cost, priced, estimated)
        select p_tenant, p_batch, p_state, p_n, p_in, p_cached, p_out, p_cost, p_priced, p_estimated
        where exists (select from batches where tenant_id = p_tenant and id = p_batch);
    end if;
end
$$;

-- Counts items that came, once for each statement.
-- Locks: those of add_items. Called by: a trigger of batch_items.
create function count_new_items() returns trigger language plpgsql as $$
begin
    perform add_items(tenant_id, batch_id, state, count(*), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_cached), 0), coalesce(sum(tokens_out), 0),
        coalesce(sum(cost), 0), count(cost), count(*) filter (where estimated))
    from fresh group by tenant_id, batch_id, state;
    return null;
end
$$;

-- Counts items that went, in the same way.
-- Locks: those of add_items. Called by: a trigger of batch_items.
create function count_gone_items() returns trigger language plpgsql as $$
begin
    perform add_items(tenant_id, batch_id, state, -count(*), -coalesce(sum(tokens_in), 0), -coalesce(sum(tokens_cached), 0), -coalesce(sum(tokens_out), 0),
        -coalesce(sum(cost), 0), -count(cost), -count(*) filter (where estimated))
    from gone group by tenant_id, batch_id, state;
    return null;
end
$$;

-- Counts items that changed, in the same way.
-- Locks: those of add_items. Called by: a trigger of batch_items.
create function count_changed_items() returns trigger language plpgsql as $$
begin
    perform add_items(tenant_id, batch_id, state, n, tokens_in, tokens_cached, tokens_out, cost, priced, estimated) from (
        select tenant_id, batch_id, state, sum(sign) as n, coalesce(sum(sign * tokens_in), 0) as tokens_in, coalesce(sum(sign * tokens_cached), 0) as tokens_cached,
            coalesce(sum(sign * tokens_out), 0) as tokens_out, coalesce(sum(sign * cost), 0) as cost,
            coalesce(sum(sign) filter (where cost is not null), 0) as priced, coalesce(sum(sign) filter (where estimated), 0) as estimated
        from (select 1 as sign, * from fresh union all select -1, * from gone) x group by tenant_id, batch_id, state) d
    -- Taking one up again changes nothing here.
    where (n, tokens_in, tokens_cached, tokens_out, cost, priced, estimated) <> (0, 0, 0, 0, 0, 0, 0);
    return null;
end
$$;

create trigger items_came after insert on batch_items referencing new table as fresh for each statement execute function count_new_items();
create trigger items_went after delete on batch_items referencing old table as gone for each statement execute function count_gone_items();
create trigger items_changed after update on batch_items referencing old table as gone new table as fresh
    for each statement execute function count_changed_items();
