-- The people who chat, and the handles by which platforms know them.

-- A person who chats with a tenant's bots. The identities below say by which handles.
create table contacts (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    name text,
    stopped_at timestamptz,
    created_at timestamptz not null default now(),
    -- The name as it is searched for: no accents, case or marks, and plain letters for those that only look accented. bots/storage/search.py does
    -- the same to what is typed.
    folded text generated always as (
        translate(regexp_replace(replace(replace(replace(replace(lower(normalize(name, nfkd)),
        'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
        '[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff.,"''’‘ʼ`´]', '', 'g'),
        'øłđıðħŧŋəςیىکةٱ-_‐‒–—−', 'oldidhtneσييكها       ')) stored,
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
