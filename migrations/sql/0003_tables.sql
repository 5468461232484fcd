-- Operators and their ways in, conversations that a person has taken over, what an account's set-up is known to be, batches.

create table operators (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    name text not null,
    password_hash text,
    role text not null constraint ck_operators_role check (role in ('viewer', 'agent', 'operator', 'owner')),
    created_at timestamptz not null default now(),
    last_in_at timestamptz,
    disabled_at timestamptz,
    constraint pk_operators primary key (id, tenant_id),
    constraint uq_operators_name unique (tenant_id, name)
);

create table operator_sessions (
    tenant_id uuid not null,
    token_sha256 bytea not null,
    operator_id uuid not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint pk_operator_sessions primary key (token_sha256),
    constraint fk_operator_sessions_operator foreign key (tenant_id, operator_id) references operators (tenant_id, id) on delete cascade
);
create index ix_operator_sessions_operator on operator_sessions (operator_id);

create table api_tokens (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    operator_id uuid not null,
    name text not null,
    -- The first characters, to tell tokens apart; the token itself is shown once and kept as a hash.
    prefix text not null,
    token_sha256 bytea not null,
    role text not null constraint ck_api_tokens_role check (role in ('viewer', 'agent', 'operator', 'owner')),
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at timestamptz,
    constraint pk_api_tokens primary key (id, tenant_id),
    constraint uq_api_tokens_hash unique (token_sha256),
    constraint fk_api_tokens_operator foreign key (tenant_id, operator_id) references operators (tenant_id, id) on delete cascade
);

-- What a one-time link lets in: null for the first owner, else the operator who is to choose a password.
alter table admin_links add column operator_id uuid;
alter table audit add column detail jsonb;
create index ix_audit_at on audit (tenant_id, at);

alter table bots add column language text;
alter table bots add column first_contact text;
alter table personas add column created_by text;

-- Which version answers: null is the bot's published one; the account of an editor's trial names its draft.
alter table accounts add column persona_version integer;
-- Instagram has two doors: through a Facebook page, or its own login.
alter table accounts add column door text not null default 'page' constraint ck_accounts_door check (door in ('page', 'login'));
alter table accounts add column app_id text;
-- WhatsApp: the business account above the number; Instagram through a page: the page.
alter table accounts add column parent_id text;
alter table accounts add column public_url text;
alter table accounts add column handshake_at timestamptz;
alter table accounts add column first_webhook_at timestamptz;
alter table accounts add column last_webhook_at timestamptz;
alter table accounts add column refused_at timestamptz;
-- The signature doctor's word on the last refused webhook: codes, no bodies.
alter table accounts add column refusal text;
-- The last look at the platform: quality, limits, token expiry, actual webhook address.
alter table accounts add column health jsonb;
alter table accounts add column health_at timestamptz;

-- A person answers instead of the bot: who, and until when where it ends by itself.
alter table conversations add column taken_by text;
alter table conversations add column taken_at timestamptz;
alter table conversations add column taken_until timestamptz;
create index ix_conversations_taken on conversations (taken_until) where taken_by is not null;
create index ix_conversations_newest on conversations (newest_at);
alter table turns add column answered_by text;
create index ix_turns_finished_at on turns (finished_at);
create index ix_inbox_received_at on inbox (received_at);

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
    -- Of a check that is still going on: its last sign of life.
    touched_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    -- The model is away: nothing of this batch before this time.
    hold_until timestamptz,
    constraint pk_batches primary key (id, tenant_id),
    constraint fk_batches_bot foreign key (tenant_id, bot_id) references bots (tenant_id, id),
    constraint uq_batches_idempotency_key unique (tenant_id, idempotency_key)
);
create index ix_batches_running on batches (queue, created_at) where state = 'running';

create table batch_items (
    tenant_id uuid not null,
    batch_id uuid not null,
    -- The line's number in the file, from 1.
    n bigint not null,
    custom_id text not null,
    -- The line as it came, in one of two forms: {"text"} or {"method", "url", "body"}.
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
    constraint pk_batch_items primary key (batch_id, n),
    constraint uq_batch_items_custom_id unique (batch_id, custom_id),
    constraint fk_batch_items_batch foreign key (tenant_id, batch_id) references batches (tenant_id, id) on delete cascade
);
create index ix_batch_items_due on batch_items (batch_id, ready_at, n) where ready_at is not null;
create index ix_batch_items_state on batch_items (batch_id, state);

grant select on operators, operator_sessions, api_tokens, audit, admin_links to chinwag_web, chinwag_crossing;
grant insert, update, delete on operators, operator_sessions, api_tokens to chinwag_web;
grant insert on audit to chinwag_crossing;
grant select on batches, batch_items to chinwag_web, chinwag_worker, chinwag_crossing;
grant insert, update, delete on batches, batch_items to chinwag_web;
grant update on batches, batch_items to chinwag_worker;
grant update, delete on batches, batch_items to chinwag_crossing;
-- Hops of an account's set-up are noted where webhooks come in.
grant update (handshake_at, first_webhook_at, last_webhook_at, refused_at, refusal, health, health_at, state, state_reason)
    on accounts to chinwag_crossing;
grant delete on accounts to chinwag_crossing;
-- The dispatcher keeps house, by the crossing role.
grant delete on operator_sessions, admin_links to chinwag_crossing;
