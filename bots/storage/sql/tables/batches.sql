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
create index ix_batch_items_state on batch_items (batch_id, state);
create index ix_batch_items_finished on batch_items (batch_id, finished_at) where finished_at is not null;
create index ix_batch_items_leased on batch_items (leased_by) where leased_by is not null;
-- For reading the usage of a period.
create index ix_batch_items_ended on batch_items (finished_at) where finished_at is not null;
