-- Messages on their way out, and every attempt to send one.

-- One part of an answer, waiting to be sent or on its way. status is queued, sending, unknown, accepted, sent, delivered, read or failed.
create table outbox (
    tenant_id uuid not null,
    id uuid not null default new_id(),
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
    -- Since when it is to be sent: since it was written, or since an operator asked for it once more.
    waits_since timestamptz not null default now(),
    -- Since when its contact wants it forgotten. Its words go once it is settled, unless the bot keeps messages.
    forgotten_at timestamptz,
    constraint pk_outbox primary key (id, tenant_id),
    constraint fk_outbox_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id) on delete cascade,
    constraint uq_outbox_part unique (turn_id, part),
    constraint uq_outbox_external_id unique (account_id, external_id)
)
-- Free space in each page: a changed row then stays on its page, and no index has to be written.
with (fillfactor = 75);
create index ix_outbox_conversation on outbox (conversation_id, seq);
-- What of a conversation is not settled, however long it is: only its first may leave.
create index ix_outbox_unsettled on outbox (conversation_id, seq) where not_before is not null;
-- By account: what one account cannot send now is not in the way of the others.
create index ix_outbox_due on outbox (account_id, not_before, seq) where not_before is not null;
create index ix_outbox_forgotten on outbox (account_id) where forgotten_at is not null and body <> '';
create index ix_outbox_attention on outbox (tenant_id, attention_at) where attention_at is not null;
-- What failed in an hour. Of a message that is sent as it should be, no column of it ever changes.
create index ix_outbox_failed on outbox (created_at) where reason is not null;

-- One attempt to send a message, written down before the request leaves. An attempt without an end may have been sent.
create table send_attempts (
    tenant_id uuid not null,
    id uuid not null default new_id(),
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

-- What limits sends (limits.sql). scope account: an outage of its platform, or a limit of the platform on the account; person: a limit on
-- one person over one account; app: a limit on all accounts of one Meta app. state suspect limits nothing yet: sends failed, too few to call
-- it an outage. outage, probing (the platform answers again) and throttled let one probe through at a time; rising lets per_s through.
create table send_limits (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    scope text not null constraint ck_send_limits_scope check (scope in ('person', 'account', 'app')),
    account_id uuid,
    contact_id uuid,
    app_id text,
    state text not null default 'suspect'
        constraint ck_send_limits_state check (state in ('suspect', 'outage', 'probing', 'throttled', 'rising')),
    -- Nothing is sent before.
    until timestamptz not null default now(),
    -- How many probes in a row failed.
    level integer not null default 0,
    per_s double precision not null default 1,
    risen_at timestamptz,
    -- The conversations whose sends failed since the last one that was accepted.
    failing uuid[] not null default '{}',
    -- Since when the account is in outage or throttled, and when the last attempt to send showed it.
    since timestamptz not null default now(),
    closed_at timestamptz,
    -- The message whose failure closed it last. If the platform reports that it took it, it was no failure.
    message_id uuid,
    -- When the platform answered again, until the messages whose sending is unknown have been given time for its reports.
    healed_at timestamptz,
    constraint pk_send_limits primary key (id, tenant_id),
    constraint fk_send_limits_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade,
    constraint fk_send_limits_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create unique index uq_send_limits_account on send_limits (account_id) where scope = 'account';
create unique index uq_send_limits_person on send_limits (account_id, contact_id) where scope = 'person';
create unique index uq_send_limits_app on send_limits (app_id) where scope = 'app';
-- Contacts are erased and joined.
create index ix_send_limits_until on send_limits (until);
create index ix_send_limits_contact on send_limits (contact_id) where contact_id is not null;
