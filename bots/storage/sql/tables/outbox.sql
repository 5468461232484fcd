-- Messages on their way out, and every attempt to send one.

-- One part of an answer, waiting to be sent or on its way. status is queued, sending, unknown, accepted, sent, delivered, read or failed.
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
    -- Since when it needs an operator's attention: unknown or failed.
    attention_at timestamptz,
    status_at timestamptz not null default now(),
    reason text,
    created_at timestamptz not null default now(),
    constraint pk_outbox primary key (id, tenant_id),
    constraint fk_outbox_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id) on delete cascade,
    constraint uq_outbox_part unique (turn_id, part),
    constraint uq_outbox_external_id unique (account_id, external_id)
)
-- Free space in each page: a changed row then stays on its page, and no index has to be written.
with (fillfactor = 75);
create index ix_outbox_conversation on outbox (conversation_id, seq);
create index ix_outbox_due on outbox (not_before) where not_before is not null;
create index ix_outbox_attention on outbox (attention_at) where attention_at is not null;

-- One attempt to send a message, written down before the request leaves. An attempt without an end may have been sent.
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
