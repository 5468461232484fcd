-- Turns as they can be recalled later (docs/decisions/0038). No text is in here: what is shown of a turn is read from the turns themselves.

create extension if not exists vector;

-- The embedding models that made vectors. Recall uses those of the present one only, so that old and new ones may lie side by side.
create table embedders (
    id smallint not null generated always as identity,
    model text not null,
    constraint pk_embedders primary key (id),
    constraint uq_embedders_model unique (model)
);

-- Turns whose rows still lie as they came, between those of other contacts. A contact has few of them: settle_episodes moves them.
create table fresh_episodes (
    tenant_id uuid not null,
    contact_id uuid not null,
    turn_id uuid not null,
    bot_id uuid not null,
    conversation_id uuid not null,
    said_at timestamptz not null,
    number integer not null,
    -- Whose words there are: 1 the contact's, 2 the answer's, 3 both.
    sides smallint not null,
    time_words smallint not null,
    asks boolean not null,
    first_person boolean not null,
    -- The embedder that made the vector; null: not embedded.
    embedder smallint,
    -- The text search configuration that its words were read with.
    config text not null,
    -- A number for each stem (word_numbers); the lowest bit: 0 the contact said it, 1 the answer.
    words integer[] not null,
    vector halfvec,
    constraint pk_fresh_episodes primary key (contact_id, said_at, turn_id),
    constraint fk_fresh_episodes_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);

-- The others. A contact's rows are written in runs, so that they lie together: eight or more at once, and four runs of a size become one of the
-- next. Reading all that a contact has then takes few pages. A row never changes; it is deleted and written again. Columns are in an order without
-- gaps between them: eight rows fit a page.
create table episodes (
    tenant_id uuid not null,
    contact_id uuid not null,
    turn_id uuid not null,
    bot_id uuid not null,
    conversation_id uuid not null,
    said_at timestamptz not null,
    number integer not null,
    sides smallint not null,
    time_words smallint not null,
    asks boolean not null,
    first_person boolean not null,
    embedder smallint,
    -- 0, 1, 2: its run had at least eight rows, or 32, or 128.
    run smallint not null default 0,
    config text not null,
    words integer[] not null,
    vector halfvec,
    constraint pk_episodes primary key (contact_id, said_at, turn_id),
    constraint fk_episodes_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
-- A vector lies in its row: kept apart, each would cost a page of its own. So does a long list of words, until a row fills a quarter of a page.
alter table episodes alter column vector set storage main, alter column words set storage main;
alter table fresh_episodes alter column vector set storage main, alter column words set storage main;
-- Rows that moved leave dead ones behind, which a recall has to step over until they are vacuumed.
alter table episodes set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
alter table fresh_episodes set (autovacuum_vacuum_scale_factor = 0.05);
