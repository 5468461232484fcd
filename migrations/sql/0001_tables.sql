create table tenants (
    tenant_id uuid not null default gen_random_uuid(),
    name text not null,
    created_at timestamptz not null default now(),
    constraint pk_tenants primary key (tenant_id),
    constraint uq_tenants_name unique (name)
);

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
    constraint pk_bots primary key (id, tenant_id),
    constraint uq_bots_name unique (tenant_id, name)
);

create table personas (
    tenant_id uuid not null,
    bot_id uuid not null,
    version integer not null,
    text text not null,
    created_at timestamptz not null default now(),
    constraint pk_personas primary key (tenant_id, bot_id, version),
    constraint fk_personas_bot foreign key (tenant_id, bot_id) references bots (tenant_id, id) on delete cascade
);

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
    app_secret_before bytea,
    verify_token bytea,
    access_token bytea,
    unknown_send text not null default 'resend_once' constraint ck_accounts_unknown_send check (unknown_send in ('resend_once', 'never')),
    created_at timestamptz not null default now(),
    constraint pk_accounts primary key (id, tenant_id),
    constraint fk_accounts_bot foreign key (tenant_id, bot_id) references bots (tenant_id, id),
    constraint uq_accounts_name unique (channel, name),
    constraint uq_accounts_external_id unique (channel, external_id)
);

create table envelopes (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    account_id uuid not null,
    body bytea,
    state text not null constraint ck_envelopes_state check (state in ('parsed', 'quarantined', 'dismissed')),
    reason text,
    received_at timestamptz not null default now(),
    constraint pk_envelopes primary key (id, tenant_id),
    constraint fk_envelopes_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade
);
create index ix_envelopes_received_at on envelopes (received_at) where body is not null;
create index ix_envelopes_account on envelopes (account_id);
create index ix_envelopes_quarantined on envelopes (received_at) where state = 'quarantined';

create table contacts (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    name text,
    stopped_at timestamptz,
    created_at timestamptz not null default now(),
    constraint pk_contacts primary key (id, tenant_id)
);

create table contact_identities (
    tenant_id uuid not null,
    scope text not null,
    kind text not null,
    value text not null,
    contact_id uuid not null,
    created_at timestamptz not null default now(),
    constraint pk_contact_identities primary key (tenant_id, scope, kind, value),
    constraint fk_contact_identities_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index ix_contact_identities_contact on contact_identities (tenant_id, contact_id);

create table envelope_contacts (
    tenant_id uuid not null,
    envelope_id uuid not null,
    contact_id uuid not null,
    constraint pk_envelope_contacts primary key (tenant_id, envelope_id, contact_id),
    constraint fk_envelope_contacts_envelope foreign key (tenant_id, envelope_id) references envelopes (tenant_id, id) on delete cascade,
    constraint fk_envelope_contacts_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index ix_envelope_contacts_contact on envelope_contacts (contact_id);

create table conversations (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    account_id uuid not null,
    contact_id uuid not null,
    thread text not null default '',
    queue text not null,
    created_at timestamptz not null default now(),
    closed_at timestamptz,
    -- Null: nothing is due. Everything that makes work sets it; the claim reads it.
    ready_at timestamptz,
    -- The oldest and the newest message without an answer: debounce cap and order of the claim.
    waiting_since timestamptz,
    newest_at timestamptz,
    -- After a failure: however much is written meanwhile, not before this time.
    hold_until timestamptz,
    -- The prompt is append-only within a session of talk: history starts at this turn, memories are those older than this time.
    history_from integer not null default 1,
    session_at timestamptz not null default now(),
    lease_token bigint not null default 0,
    leased_by uuid,
    leased_until timestamptz,
    constraint pk_conversations primary key (id, tenant_id),
    constraint fk_conversations_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade,
    constraint fk_conversations_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create unique index uq_conversations_open on conversations (account_id, contact_id, thread) where closed_at is null;
create index ix_conversations_due on conversations (queue, ready_at) where ready_at is not null;
create index ix_conversations_leased on conversations (leased_by) where leased_by is not null;
create index ix_conversations_account on conversations (account_id);
create index ix_conversations_contact on conversations (tenant_id, contact_id);

create table turns (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    conversation_id uuid not null,
    contact_id uuid not null,
    number integer not null,
    state text not null default 'open' constraint ck_turns_state check (state in ('open', 'answered', 'skipped', 'dead')),
    reason text,
    -- Errors of our own; a model that is down does not count.
    tries integer not null default 0,
    token bigint not null default 0,
    opened_at timestamptz not null default now(),
    claimed_at timestamptz,
    -- What the model was asked and what it wrote, in Markdown: what later prompts tell of this turn.
    asked text,
    answer text,
    -- Whether later prompts tell of this turn at all: commands and apologies are no part of the talk.
    in_history boolean not null default true,
    finished_at timestamptz,
    apologised_at timestamptz,
    constraint pk_turns primary key (id, tenant_id),
    constraint fk_turns_conversation foreign key (tenant_id, conversation_id) references conversations (tenant_id, id) on delete cascade,
    constraint uq_turns_number unique (conversation_id, number)
);
create unique index uq_turns_open on turns (conversation_id) where state = 'open';
create index ix_turns_dead on turns (finished_at) where state = 'dead';

create table inbox_keys (
    tenant_id uuid not null,
    account_id uuid not null,
    event_key text not null,
    constraint pk_inbox_keys primary key (account_id, event_key)
) partition by hash (account_id, event_key);
create table inbox_keys_0 partition of inbox_keys for values with (modulus 4, remainder 0);
create table inbox_keys_1 partition of inbox_keys for values with (modulus 4, remainder 1);
create table inbox_keys_2 partition of inbox_keys for values with (modulus 4, remainder 2);
create table inbox_keys_3 partition of inbox_keys for values with (modulus 4, remainder 3);

create table inbox (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    arrival bigint generated always as identity,
    account_id uuid not null,
    event_key text not null,
    kind text not null,
    contact_id uuid,
    conversation_id uuid,
    envelope_id uuid,
    text text,
    content_type text not null,
    supported boolean not null,
    reason text,
    occurred_at timestamptz,
    received_at timestamptz not null default now(),
    turn_id uuid,
    constraint pk_inbox primary key (id, tenant_id),
    constraint fk_inbox_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade,
    constraint fk_inbox_conversation foreign key (tenant_id, conversation_id) references conversations (tenant_id, id) on delete cascade,
    constraint fk_inbox_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id),
    constraint uq_inbox_event_key unique (account_id, event_key)
);
create index ix_inbox_conversation on inbox (conversation_id, arrival);
create index ix_inbox_unanswered on inbox (conversation_id) where turn_id is null and kind = 'message';
create index ix_inbox_turn on inbox (turn_id);

create table memories (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    contact_id uuid not null,
    kind text not null,
    text text not null,
    single boolean not null default false,
    source_inbox_id uuid not null,
    source_turn_id uuid not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    valid_to timestamptz,
    superseded_by uuid,
    constraint pk_memories primary key (id, tenant_id),
    constraint fk_memories_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade,
    constraint fk_memories_source_inbox foreign key (tenant_id, source_inbox_id) references inbox (tenant_id, id) on delete cascade
);
create index ix_memories_contact on memories (contact_id, created_at);
create index ix_memories_source_inbox on memories (source_inbox_id);

create table model_calls (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    turn_id uuid not null,
    contact_id uuid not null,
    attempt integer not null,
    endpoint text not null,
    model text not null,
    prompt jsonb not null,
    tokens_in integer,
    tokens_cached integer,
    tokens_out integer,
    first_token_ms double precision,
    total_ms double precision,
    outcome text not null,
    created_at timestamptz not null default now(),
    constraint pk_model_calls primary key (id, tenant_id),
    constraint uq_model_calls_attempt unique (turn_id, attempt),
    constraint fk_model_calls_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id) on delete cascade
);
create index ix_model_calls_created_at on model_calls (created_at);

create table recalls (
    tenant_id uuid not null,
    turn_id uuid not null,
    memory_id uuid not null,
    contact_id uuid not null,
    rank integer not null,
    reason text not null,
    constraint pk_recalls primary key (tenant_id, turn_id, memory_id),
    constraint fk_recalls_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id) on delete cascade,
    constraint fk_recalls_memory foreign key (tenant_id, memory_id) references memories (tenant_id, id) on delete cascade
);
create index ix_recalls_memory on recalls (memory_id);

create table outbox (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    seq bigint generated always as identity,
    turn_id uuid not null,
    part integer not null,
    account_id uuid not null,
    contact_id uuid not null,
    conversation_id uuid not null,
    -- What the contact sees, in the platform's dialect.
    body text not null,
    status text not null default 'queued',
    external_id text,
    -- Null: nothing to do. Else the time from which it may be sent, reconciled or resent.
    not_before timestamptz,
    sends integer not null default 0,
    -- Since when an operator should look: unknown or failed.
    attention_at timestamptz,
    status_at timestamptz not null default now(),
    reason text,
    created_at timestamptz not null default now(),
    constraint pk_outbox primary key (id, tenant_id),
    constraint fk_outbox_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id) on delete cascade,
    constraint uq_outbox_part unique (turn_id, part),
    constraint uq_outbox_external_id unique (account_id, external_id)
)
-- Room for the climbs of a status beside the row: no index has to follow them.
with (fillfactor = 75);
create index ix_outbox_conversation on outbox (conversation_id, seq);
create index ix_outbox_due on outbox (not_before) where not_before is not null;
create index ix_outbox_attention on outbox (attention_at) where attention_at is not null;

create table send_attempts (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    message_id uuid not null,
    contact_id uuid not null,
    n integer not null,
    boot_id uuid not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    outcome text,
    http_status integer,
    error_code integer,
    trace_id text,
    constraint pk_send_attempts primary key (id, tenant_id),
    constraint fk_send_attempts_message foreign key (tenant_id, message_id) references outbox (tenant_id, id) on delete cascade,
    constraint uq_send_attempts_n unique (message_id, n)
);
create index ix_send_attempts_open on send_attempts (started_at) where finished_at is null;

create table statuses (
    tenant_id uuid not null,
    account_id uuid not null,
    external_id text not null,
    status text not null,
    occurred_at timestamptz,
    correlation text,
    error_code integer,
    received_at timestamptz not null default now(),
    constraint pk_statuses primary key (account_id, external_id, status),
    constraint fk_statuses_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade
);
create index ix_statuses_correlation on statuses (correlation) where correlation is not null;

create table worker_heartbeats (
    name text not null,
    boot_id uuid not null,
    queues text[] not null,
    slots integer not null,
    busy integer not null default 0,
    at timestamptz not null default now(),
    constraint pk_worker_heartbeats primary key (name)
);

-- Which conversations a chat page watches: partial texts are notified for these alone.
create unlogged table watchers (
    conversation_id uuid not null,
    until timestamptz not null,
    constraint pk_watchers primary key (conversation_id)
);

create table admin_links (
    token_sha256 bytea not null,
    kind text not null constraint ck_admin_links_kind check (kind in ('link', 'session')),
    expires_at timestamptz not null,
    used_at timestamptz,
    constraint pk_admin_links primary key (token_sha256)
);

create table audit (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    subject text not null,
    constraint pk_audit primary key (id, tenant_id)
);
