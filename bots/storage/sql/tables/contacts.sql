-- The people who chat, and the handles by which platforms know them.

-- A person who chats with a tenant's bots. The identities below say by which handles.
create table contacts (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    name text,
    stopped_at timestamptz,
    created_at timestamptz not null default now(),
    constraint pk_contacts primary key (id, tenant_id)
);

-- A handle of a contact, such as a phone number. Scope is the account's id, since a platform's handles may differ by account.
create table contact_identities (
    tenant_id uuid not null,
    scope text not null,
    kind text not null,
    value text not null,
    contact_id uuid not null,
    created_at timestamptz not null default now(),
    constraint pk_contact_identities primary key (tenant_id, scope, kind, value),
    constraint fk_contact_identities_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index ix_contact_identities_contact on contact_identities (tenant_id, contact_id);
