-- Model servers, the profiles made of them, and what they cost.

-- A model server that answers: one of ours, or a hosted one.
create table endpoints (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    name text not null,
    url text not null,
    model text not null,
    api_key bytea,
    -- Whether messages sent to it leave the operator's own network.
    leaves_house boolean not null default true,
    -- USD for a million tokens; null: not known, counted as zero.
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

-- How well models find facts in what people write (workers/trial.py): the last trial of each model at its address. Only those that passed are asked.
create table model_trials (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    url text not null,
    model text not null,
    -- Which messages and questions it was: after a change of these it is tried anew.
    version text not null,
    passed boolean not null,
    -- Precision and recall: of the rules, of the model, and of its proposals after the checks.
    figures jsonb not null,
    tried_at timestamptz not null default now(),
    constraint pk_model_trials primary key (tenant_id, url, model),
    constraint uq_model_trials_id unique (id, tenant_id)
);

-- The last trial of each profile's models that was asked for: a worker of the profile asks them talk by talk, and writes here how far it is.
create table trial_runs (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    profile text not null,
    asked_by text not null,
    asked_at timestamptz not null default now(),
    -- To go on from this time; null: it has ended. While a worker asks, the end of its claim.
    due_at timestamptz default now(),
    -- Rises with each claim, and when somebody starts or stops it.
    token bigint not null default 0,
    -- How often in a row the model did not answer.
    tries integer not null default 0,
    -- Which messages and questions it is; those of another version begin anew.
    version text not null default '',
    -- The models in order, each with how far it is and the counts so far (bots.storage.trial_runs.Tried).
    models jsonb not null default '[]',
    -- Why it does not go on, or has ended without a result; empty: nothing is wrong.
    said text not null default '',
    constraint pk_trial_runs primary key (tenant_id, profile),
    constraint uq_trial_runs_id unique (id, tenant_id)
);
create index ix_trial_runs_due on trial_runs (due_at) where due_at is not null;

-- Endpoints that refuse calls, or whose account is empty: from the first refusal until they answer again. By name, since the endpoint of
-- the workers' settings has no row.
create table model_refusals (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    endpoint text not null,
    kind text not null constraint ck_model_refusals_kind check (kind in ('refused', 'quota')),
    -- The HTTP status; 0: it came without one.
    status integer not null,
    -- The server's own words, on one line, without the prompt.
    said text not null,
    times bigint not null,
    since timestamptz not null default now(),
    last_at timestamptz not null default now(),
    -- When it began to need attention; null: it was dismissed.
    attention_at timestamptz default now(),
    constraint pk_model_refusals primary key (tenant_id, endpoint),
    constraint uq_model_refusals_id unique (id, tenant_id)
);

-- Tokens and money by day, written by roll_usage from what turns and items recorded.
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
    -- How many of the calls have tokens that were counted or estimated here.
    calls_estimated bigint not null default 0,
    constraint pk_usage_days primary key (tenant_id, day, bot_id, kind, endpoint, model)
);

-- Up to which time usage_days is complete, by kind. One row each for talk and batch.
create table usage_until (
    kind text not null,
    at timestamptz not null,
    constraint pk_usage_until primary key (kind)
);
insert into usage_until values ('talk', now()), ('batch', now());
