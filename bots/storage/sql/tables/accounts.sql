-- Tenants, their bots, and the accounts on platforms that the bots answer.

-- An id that begins with the time (uuidv7 of Postgres 18, for older ones, too): rows that come one after the other lie together in an index.
-- Locks: none. Called by: defaults of columns, accept_events.
create function new_id() returns uuid language sql volatile as $$
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- A customer of this installation. Everything else belongs to one; `chinwag migrate` makes the first.
create table tenants (
    tenant_id uuid not null default gen_random_uuid(),
    name text not null,
    created_at timestamptz not null default now(),
    -- Its share of the slots beside other tenants, where there are not enough for all (shares.sql).
    weight double precision not null default 1 constraint ck_tenants_weight check (weight > 0 and weight <= 1000),
    constraint pk_tenants primary key (tenant_id),
    constraint uq_tenants_name unique (name)
);

-- A bot: its model profile, its fixed texts, what it may spend. Its persona is stored in versions.
create table bots (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    name text not null,
    profile text not null default 'default',
    fallback_text text not null,
    apology_text text,
    memory_on boolean not null default true,
    persona_version integer not null default 1,
    created_at timestamptz not null default now(),
    language text,
    first_contact text,
    -- Whether its conversations may go to an endpoint with leaves_house, and what it may spend, in USD.
    data_may_leave boolean not null default false,
    budget_contact_day double precision,
    budget_month double precision,
    -- Which kinds of facts it does not remember, and whether it remembers what is sensitive (bots/kinds.toml).
    kinds_off text[] not null default '{}',
    sensitive_on boolean not null default true,
    -- Whether forgetting a memory keeps the messages that it came from: some must be kept by law.
    keeps_messages boolean not null default false,
    -- An IANA name; null: that of the installation. Contacts with a phone number have their own.
    time_zone text,
    constraint pk_bots primary key (id, tenant_id),
    constraint uq_bots_name unique (tenant_id, name)
);

-- Every version of a bot's persona, the system text of its prompts. Versions are added, never changed.
create table personas (
    tenant_id uuid not null,
    bot_id uuid not null,
    version integer not null,
    text text not null,
    created_at timestamptz not null default now(),
    created_by text,
    constraint pk_personas primary key (tenant_id, bot_id, version),
    constraint fk_personas_bot foreign key (tenant_id, bot_id) references bots (tenant_id, id) on delete cascade
);

-- A bot's account on a platform, such as a WhatsApp number or a Facebook page. Secrets are sealed by bots.crypto.
create table accounts (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    bot_id uuid not null,
    channel text not null,
    name text not null,
    external_id text not null,
    state text not null default 'active' constraint ck_accounts_state check (state in ('active', 'paused', 'needs_attention')),
    state_reason text,
    app_secret bytea,
    -- The secret before the last rotation; webhooks signed with it are still accepted.
    app_secret_before bytea,
    verify_token bytea,
    access_token bytea,
    unknown_send text not null default 'resend_once' constraint ck_accounts_unknown_send check (unknown_send in ('resend_once', 'never')),
    created_at timestamptz not null default now(),
    -- Which version of the persona answers: null is the bot's published one; an editor's trial account names its draft.
    persona_version integer,
    -- Instagram can be connected in two ways: through a Facebook page, or by its own login.
    door text not null default 'page' constraint ck_accounts_door check (door in ('page', 'login')),
    app_id text,
    -- WhatsApp: the business account above the number; Instagram through a page: the page.
    parent_id text,
    public_url text,
    handshake_at timestamptz,
    first_webhook_at timestamptz,
    last_webhook_at timestamptz,
    refused_at timestamptz,
    -- Why the last refused webhook was refused: codes, no bodies.
    refusal text,
    -- What the platform said when it was last asked: quality, limits, token expiry, the webhook address it has.
    health jsonb,
    health_at timestamptz,
    -- When it was last made active again.
    resumed_at timestamptz,
    -- The platform slows it down: nothing is sent before this time, and why.
    slow_until timestamptz,
    slow_reason text,
    -- Its share beside the tenant's other accounts.
    weight double precision not null default 1 constraint ck_accounts_weight check (weight > 0 and weight <= 1000),
    -- Whether the bot answers in groups, where it is spoken to.
    answers_groups boolean not null default false,
    constraint pk_accounts primary key (id, tenant_id),
    constraint fk_accounts_bot foreign key (tenant_id, bot_id) references bots (tenant_id, id),
    constraint uq_accounts_name unique (channel, name),
    constraint uq_accounts_external_id unique (channel, external_id)
);

-- What the platform reported about an account: the newest notice of each topic, in the platform's own names.
create table account_notices (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    account_id uuid not null,
    topic text not null,
    reason text not null,
    -- How often in a row it said the same.
    times integer not null default 1,
    -- The platform's time, where it names one: an older notice that arrives later changes nothing.
    occurred_at timestamptz,
    received_at timestamptz not null default now(),
    -- Since when it waits to be seen by an operator.
    attention_at timestamptz,
    constraint pk_account_notices primary key (id, tenant_id),
    constraint fk_account_notices_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade,
    constraint uq_account_notices_topic unique (account_id, topic)
);
create index ix_account_notices_attention on account_notices (attention_at) where attention_at is not null;

-- A run of refusals that are alike, for which the account may be the cause; it ends with the next message that the platform accepts.
create table refusals (
    tenant_id uuid not null,
    account_id uuid not null,
    reason text not null,
    -- Whom it hit, as hashes: they only tell one person from another.
    people bigint[] not null,
    constraint pk_refusals primary key (account_id),
    constraint fk_refusals_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade
);
