-- Operators, their ways to sign in, and the audit log.

-- A person who runs the service, with a password and a role.
create table operators (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    name text not null,
    password_hash text,
    role text not null constraint ck_operators_role check (role in ('viewer', 'agent', 'operator', 'owner')),
    created_at timestamptz not null default now(),
    last_in_at timestamptz,
    disabled_at timestamptz,
    constraint pk_operators primary key (id, tenant_id),
    constraint uq_operators_name unique (tenant_id, name)
);

-- A signed-in browser, by the hash of its cookie.
create table operator_sessions (
    tenant_id uuid not null,
    token_sha256 bytea not null,
    operator_id uuid not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint pk_operator_sessions primary key (token_sha256),
    constraint fk_operator_sessions_operator foreign key (tenant_id, operator_id) references operators (tenant_id, id) on delete cascade
);
create index ix_operator_sessions_expires on operator_sessions (expires_at);
create index ix_operator_sessions_operator on operator_sessions (operator_id);

-- A token of the admin API, by its hash. It has a role of its own, and ends with its operator.
create table api_tokens (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    operator_id uuid not null,
    name text not null,
    -- The first characters, by which tokens can be distinguished; the token itself is shown once and stored as a hash.
    prefix text not null,
    token_sha256 bytea not null,
    role text not null constraint ck_api_tokens_role check (role in ('viewer', 'agent', 'operator', 'owner')),
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at timestamptz,
    constraint pk_api_tokens primary key (id, tenant_id),
    constraint uq_api_tokens_hash unique (token_sha256),
    constraint fk_api_tokens_operator foreign key (tenant_id, operator_id) references operators (tenant_id, id) on delete cascade
);

-- A one-time link that lets somebody sign in, by its hash.
create table admin_links (
    token_sha256 bytea not null,
    kind text not null constraint ck_admin_links_kind check (kind in ('link', 'session')),
    expires_at timestamptz not null,
    used_at timestamptz,
    -- Whom it lets in: null for the first owner, else the operator who is to choose a password.
    operator_id uuid,
    constraint pk_admin_links primary key (token_sha256)
);

-- What operators did. Rows are added, never changed; nobody has the right to delete one.
create table audit (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    subject text not null,
    detail jsonb,
    constraint pk_audit primary key (id, tenant_id)
);
create index ix_audit_at on audit (tenant_id, at);
create index ix_audit_actor on audit (tenant_id, actor, at);
