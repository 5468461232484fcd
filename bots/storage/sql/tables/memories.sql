-- What is remembered about a contact, and which turn used it.

-- A fact that a contact stated, or an operator added (created_by), with the message it came from. Two times are kept: when it was true
-- (valid_from, valid_to) and when we learned that (created_at, ended_at). What a contact asks to forget is deleted.
create table memories (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    contact_id uuid not null,
    -- One of bots/kinds.toml.
    kind text not null,
    text text not null,
    -- A newer fact of this kind and topic takes its place; null: it lives beside all others.
    topic text,
    -- The day of a plan, and its last day where it has several.
    day date,
    last_day date,
    -- Null: an operator added it.
    source_inbox_id uuid,
    source_turn_id uuid,
    -- The rules or the model that found it, or the operator.
    created_by text not null,
    -- When it was said: by the platform's time.
    said_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    valid_from timestamptz,
    -- Since when it is no longer true; null: it lives.
    valid_to timestamptz,
    ended_at timestamptz,
    -- The message that ended it, where no newer fact took its place.
    ended_by_inbox_id uuid,
    superseded_by uuid,
    constraint pk_memories primary key (id, tenant_id),
    constraint fk_memories_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade,
    constraint fk_memories_source_inbox foreign key (tenant_id, source_inbox_id) references inbox (tenant_id, id) on delete cascade
);
create index ix_memories_contact on memories (contact_id, created_at);
create index ix_memories_source_inbox on memories (source_inbox_id);

-- Which memories a turn's prompt contained, and why.
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

-- Which earlier turns a turn's prompt repeated because they were about its question, and which signals found them.
create table recalled_turns (
    tenant_id uuid not null,
    turn_id uuid not null,
    recalled_id uuid not null,
    contact_id uuid not null,
    rank integer not null,
    signals text[] not null,
    constraint pk_recalled_turns primary key (tenant_id, turn_id, recalled_id),
    constraint fk_recalled_turns_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id) on delete cascade,
    constraint fk_recalled_turns_recalled foreign key (tenant_id, recalled_id) references turns (tenant_id, id) on delete cascade
);
create index ix_recalled_turns_recalled on recalled_turns (recalled_id);
