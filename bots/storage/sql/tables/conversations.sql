-- Conversations, their turns, and the model calls of each turn.

-- One exchange between a contact and an account. It is also the job queue: ready_at says when it is due, the lease who works on it.
create table conversations (
    tenant_id uuid not null,
    id uuid not null default new_id(),
    account_id uuid not null,
    contact_id uuid not null,
    thread text not null default '',
    queue text not null,
    created_at timestamptz not null default now(),
    closed_at timestamptz,
    -- Null: nothing is due. Everything that creates work sets it; the claim reads it.
    ready_at timestamptz,
    -- The times of the oldest and the newest unanswered message, for the debounce cap and the order of claims.
    waiting_since timestamptz,
    newest_at timestamptz,
    -- After a failure: not due before this time, even if more messages arrive. A turn that waits for its model may wait longer than that.
    hold_until timestamptz,
    -- The prompt is append-only within a session: history starts at this turn, memories are those older than this time.
    history_from integer not null default 1,
    session_at timestamptz not null default now(),
    lease_token bigint not null default 0,
    leased_by uuid,
    leased_until timestamptz,
    -- A person answers instead of the bot: who, and until when if it ends by itself.
    taken_by text,
    taken_at timestamptz,
    taken_until timestamptz,
    -- What the turns up to summary_until were about: the prompt has it in place of those turns.
    summary text,
    summary_until integer not null default 0,
    -- Due to be summarised from this time; null: nothing to do. While it is claimed, the end of the claim.
    summarise_at timestamptz,
    summarise_to integer,
    summarise_tries integer not null default 0,
    -- Summaries never go back beyond this turn: the contact has asked to forget what was before, or has begun anew.
    summary_after integer not null default 0,
    -- Its newest turns are to be embedded and moved (episodes) from this time; null: nothing to do. While it is claimed, the end of the claim.
    settle_at timestamptz,
    -- Its turns up to this one are from before turns could be recalled, and are yet to be indexed: the newest first. 0: none.
    index_to integer not null default 0,
    -- A model is to read the contact's words from this time, for facts that the rules do not find; null: nothing to do. While it is claimed, the end
    -- of the claim. The token rises with each claim, and when something that is read is changed or forgotten.
    remember_at timestamptz,
    remember_token bigint not null default 0,
    remember_tries integer not null default 0,
    -- It has read the turns up to this one.
    remembered_until integer not null default 0,
    constraint pk_conversations primary key (id, tenant_id),
    constraint fk_conversations_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade,
    constraint fk_conversations_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
-- For turns, where several have work (shares.sql).
create sequence lots as integer cycle;

create unique index uq_conversations_open on conversations (account_id, contact_id, thread) where closed_at is null;
create index ix_conversations_due on conversations (queue, ready_at) where ready_at is not null;
-- Whose turn it is (due.sql): what waits, and what is leased. A lease that is over moves from the second to the first when it is seen.
create index ix_conversations_turns on conversations (queue, tenant_id, account_id, ready_at)
    where ready_at is not null and leased_until is null and closed_at is null and taken_by is null;
create index ix_conversations_running on conversations (queue, tenant_id, account_id) where leased_until is not null;
create index ix_conversations_leased on conversations (leased_by) where leased_by is not null;
-- The list of an account, and that of a tenant, the newest first.
create index ix_conversations_account on conversations (account_id, newest_at);
create index ix_conversations_contact on conversations (tenant_id, contact_id);
create index ix_conversations_taken on conversations (taken_until) where taken_by is not null;
create index ix_conversations_newest on conversations (tenant_id, newest_at);
create index ix_conversations_summarise on conversations (summarise_at) where summarise_at is not null;
create index ix_conversations_remember on conversations (remember_at) where remember_at is not null;
create index ix_conversations_settle on conversations (settle_at) where settle_at is not null;
create index ix_conversations_index on conversations (newest_at) where index_to > 0;

-- One answer in the making, or made: it covers the inbox rows that name it. A conversation has one open turn at most.
create table turns (
    tenant_id uuid not null,
    id uuid not null default new_id(),
    conversation_id uuid not null,
    contact_id uuid not null,
    number integer not null,
    state text not null default 'open' constraint ck_turns_state check (state in ('open', 'answered', 'skipped', 'dead')),
    reason text,
    -- How often it failed by an internal error; a model that is down does not count.
    tries integer not null default 0,
    token bigint not null default 0,
    opened_at timestamptz not null default now(),
    claimed_at timestamptz,
    -- What the model was asked and what it wrote, in Markdown: later prompts repeat it as history.
    asked text,
    answer text,
    -- Whether later prompts contain this turn at all: commands and apologies are not part of the conversation.
    in_history boolean not null default true,
    finished_at timestamptz,
    apologised_at timestamptz,
    -- The person who answered in place of the bot; null: the bot did.
    answered_by text,
    constraint pk_turns primary key (id, tenant_id),
    constraint fk_turns_conversation foreign key (tenant_id, conversation_id) references conversations (tenant_id, id) on delete cascade,
    constraint uq_turns_number unique (conversation_id, number)
);
create unique index uq_turns_open on turns (conversation_id) where state = 'open';
create index ix_turns_dead on turns (tenant_id, finished_at) where state = 'dead';
-- By tenant: one with few rows reads its own.
create index ix_turns_finished_at on turns (tenant_id, finished_at);
-- The attention page checks each time whether a budget ended a turn.
create index ix_turns_budget on turns (tenant_id, finished_at) where reason like 'budget%';
create index ix_turns_budget_seen on turns (tenant_id, finished_at) where reason = 'budget:seen';

-- One call of a model for a turn: what was asked, how it ended, what it cost.
create table model_calls (
    tenant_id uuid not null,
    id uuid not null default new_id(),
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
    cost double precision,
    -- Whether any of the tokens were counted or estimated here, since the server did not count them.
    estimated boolean not null default false,
    constraint pk_model_calls primary key (id, tenant_id),
    constraint uq_model_calls_attempt unique (turn_id, attempt),
    constraint fk_model_calls_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id) on delete cascade
);
create index ix_model_calls_created_at on model_calls (tenant_id, created_at);
-- For a contact's spending of today, for the budget.
create index ix_model_calls_contact on model_calls (contact_id, created_at);
