-- Endpoints and profiles, money, what contacts' pictures are, and what stands for the history that a prompt has no room for.

-- A model server that answers: one of ours, or a hosted one.
create table endpoints (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    name text not null,
    url text not null,
    model text not null,
    api_key bytea,
    -- Whether what people write leaves the house on the way to it.
    leaves_house boolean not null default true,
    -- USD for a million tokens; null: not known, counted as nothing.
    price_in double precision,
    price_cached double precision,
    price_out double precision,
    -- What the probe measured.
    traits jsonb not null default '{}',
    notes jsonb not null default '[]',
    probed_at timestamptz,
    -- To be probed from this time, by a worker; null: nothing to do.
    probe_at timestamptz default now(),
    created_at timestamptz not null default now(),
    constraint pk_endpoints primary key (id, tenant_id),
    constraint uq_endpoints_name unique (tenant_id, name)
);

-- A profile is its endpoints in order; those with the same position are replicas of one another.
create table profile_endpoints (
    tenant_id uuid not null,
    profile text not null,
    position integer not null,
    endpoint_id uuid not null,
    constraint pk_profile_endpoints primary key (tenant_id, profile, endpoint_id),
    constraint fk_profile_endpoints_endpoint foreign key (tenant_id, endpoint_id) references endpoints (tenant_id, id) on delete cascade
);
create index ix_profile_endpoints_endpoint on profile_endpoints (endpoint_id);

-- Whether a bot's conversations may go to an endpoint outside the house, and what it may spend, in USD.
alter table bots add column data_may_leave boolean not null default false;
alter table bots add column budget_contact_day double precision;
alter table bots add column budget_month double precision;

alter table model_calls add column cost double precision;
alter table batch_items add column endpoint text;
alter table batch_items add column cost double precision;
-- What the usage of a while is read by.
create index ix_batch_items_ended on batch_items (finished_at) where finished_at is not null;
-- A contact's calls of today, for the budget.
create index ix_model_calls_contact on model_calls (contact_id, created_at);

-- Tokens and money by day, written by housekeeping from what turns and items recorded.
create table usage_days (
    tenant_id uuid not null references tenants,
    day date not null,
    bot_id uuid not null,
    kind text not null constraint ck_usage_days_kind check (kind in ('talk', 'batch')),
    endpoint text not null,
    model text not null,
    calls bigint not null default 0,
    tokens_in bigint not null default 0,
    tokens_cached bigint not null default 0,
    tokens_out bigint not null default 0,
    cost double precision not null default 0,
    constraint pk_usage_days primary key (tenant_id, day, bot_id, kind, endpoint, model)
);
create table usage_until (
    kind text not null,
    at timestamptz not null,
    constraint pk_usage_until primary key (kind)
);
insert into usage_until values ('talk', now()), ('batch', now());

-- Pictures that contacts sent: the platform's reference first, the bytes once a turn has fetched them.
create table media (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
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
    constraint pk_media primary key (id, tenant_id),
    constraint fk_media_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade,
    constraint fk_media_inbox foreign key (tenant_id, inbox_id) references inbox (tenant_id, id) on delete cascade,
    constraint uq_media_n unique (inbox_id, n)
);
create index ix_media_contact on media (contact_id);
create index ix_media_old on media (created_at) where data is not null;
alter table media enable row level security;
alter table media force row level security;
create policy own_contact on media to chinwag_web, chinwag_worker
    using (contact_id = nullif(current_setting('app.contact_id', true), '')::uuid)
    with check (contact_id = nullif(current_setting('app.contact_id', true), '')::uuid);
create policy crossing on media to chinwag_crossing using (true) with check (true);

-- What was spoken about in the turns up to summary_until: it stands in the prompt for those that no longer do.
alter table conversations add column summary text;
alter table conversations add column summary_until integer not null default 0;
-- Due to be summarised from this time; null: nothing to do. While somebody is at it, the end of their time.
alter table conversations add column summarise_at timestamptz;
alter table conversations add column summarise_to integer;
create index ix_conversations_summarise on conversations (summarise_at) where summarise_at is not null;

grant select on endpoints, profile_endpoints, usage_days to chinwag_web, chinwag_worker, chinwag_crossing;
grant insert, update, delete on endpoints, profile_endpoints to chinwag_web;
grant update (traits, notes, probed_at, probe_at) on endpoints to chinwag_worker;
grant insert, update on usage_days to chinwag_crossing;
grant select, update on usage_until to chinwag_crossing;
grant select on media to chinwag_web, chinwag_worker, chinwag_crossing;
grant update on media to chinwag_worker;
grant insert, update, delete on media to chinwag_crossing;
