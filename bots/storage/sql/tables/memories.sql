-- What is remembered about a contact, and which turn used it.

-- A fact that a contact stated, with the message it came from. A newer one ends it (valid_to); a forgotten one has no successor.
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
