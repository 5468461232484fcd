-- What webhooks brought: bodies, deduplication keys, messages, pictures, statuses.

-- One webhook request as received. It is deleted after some days; a quarantined one waits for an operator, after those days without its body.
create table envelopes (
    tenant_id uuid not null,
    id uuid not null default new_id(),
    account_id uuid not null,
    body bytea,
    state text not null constraint ck_envelopes_state check (state in ('parsed', 'quarantined', 'dismissed')),
    reason text,
    received_at timestamptz not null default now(),
    constraint pk_envelopes primary key (id, tenant_id),
    constraint fk_envelopes_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade
);
create index ix_envelopes_received_at on envelopes (received_at) where state <> 'quarantined';
create index ix_envelopes_account on envelopes (account_id);
create index ix_envelopes_quarantined on envelopes (tenant_id, received_at) where state = 'quarantined';
create index ix_envelopes_bodies on envelopes (received_at) where state = 'quarantined' and body is not null;

-- Which contacts a webhook request is about, so that erasing a contact finds the bodies that mention them.
create table envelope_contacts (
    tenant_id uuid not null,
    envelope_id uuid not null,
    contact_id uuid not null,
    constraint pk_envelope_contacts primary key (tenant_id, envelope_id, contact_id),
    constraint fk_envelope_contacts_envelope foreign key (tenant_id, envelope_id) references envelopes (tenant_id, id) on delete cascade,
    constraint fk_envelope_contacts_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index ix_envelope_contacts_contact on envelope_contacts (contact_id);

-- Keys of all events that were ever taken in: what makes a second delivery change nothing. Stored as long as the account.
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

-- One event from a contact: a message, or another kind that is only recorded. turn_id says which turn answers it.
create table inbox (
    tenant_id uuid not null,
    id uuid not null default new_id(),
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
    -- The platform's ids of the message that this event is about (an edit, an unsend, a reaction), and of the one that it replies to.
    target text,
    quoted text,
    -- What the message refers to besides its words: [{name, text}], such as the advertisement that the person came from.
    refers jsonb,
    -- When its writer last changed the words, by the platform's time. One that was taken back has the kind unsent, and no words.
    edited_at timestamptz,
    -- Since when its contact wants it forgotten: nothing of it is told or remembered again. Without its words the content_type is erased.
    forgotten_at timestamptz,
    constraint pk_inbox primary key (id, tenant_id),
    constraint fk_inbox_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade,
    constraint fk_inbox_conversation foreign key (tenant_id, conversation_id) references conversations (tenant_id, id) on delete cascade,
    constraint fk_inbox_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id),
    constraint uq_inbox_event_key unique (account_id, event_key)
);
create index ix_inbox_conversation on inbox (conversation_id, arrival);
create index ix_inbox_unanswered on inbox (conversation_id) where turn_id is null and kind = 'message';
create index ix_inbox_turn on inbox (turn_id);
create index ix_inbox_received_at on inbox (tenant_id, received_at);
-- What was changed or taken back, also before the message itself came.
create index ix_inbox_changes on inbox (account_id, target) where kind in ('edit', 'revoke');
-- To whom an account sent the same words from the platform's own inbox: by their hash, since they may be too long for an index. The account is
-- in the hash, so that no other index looks as good to the planner.
create index ix_inbox_echoed on inbox (md5(account_id::text || lower(regexp_replace(btrim(text), '\s+', ' ', 'g'))), received_at)
    where kind = 'echo';

-- Pictures and recordings that contacts sent: the platform's reference first, the bytes once a turn has fetched them. What is said in a recording
-- is the text of its message.
create table media (
    tenant_id uuid not null,
    id uuid not null default new_id(),
    contact_id uuid not null,
    inbox_id uuid not null,
    n integer not null,
    kind text not null,
    -- The platform's id or address of it.
    reference text not null,
    state text not null default 'named' constraint ck_media_state check (state in ('named', 'fetched', 'refused')),
    reason text,
    media_type text,
    width integer,
    height integer,
    data bytea,
    created_at timestamptz not null default now(),
    -- Of a recording: how long it is, the language that was heard in it, and how certain that and the words are, from 0 to 1.
    seconds real,
    language text,
    language_certainty real,
    certainty real,
    constraint pk_media primary key (id, tenant_id),
    constraint fk_media_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade,
    constraint fk_media_inbox foreign key (tenant_id, inbox_id) references inbox (tenant_id, id) on delete cascade,
    constraint uq_media_n unique (inbox_id, n)
);
create index ix_media_contact on media (contact_id);
create index ix_media_old on media (created_at) where data is not null;

-- Delivery statuses as the platform reported them, for messages that may not be known yet. They are deleted after some days.
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
create index ix_statuses_received_at on statuses (received_at);
