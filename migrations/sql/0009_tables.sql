-- Constants as defaults: no row is written anew.
alter table model_calls add column estimated boolean not null default false;
alter table batch_items add column estimated boolean not null default false;
alter table usage_days add column calls_estimated bigint not null default 0;

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

grant select, insert, update, delete on model_refusals to chinwag_worker;
grant select, update, delete on model_refusals to chinwag_crossing;
grant select, delete on model_refusals to chinwag_web;
