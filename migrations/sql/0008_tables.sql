-- Accounts: when they are slowed down, what the platform reports about them, and runs of refusals.
alter table accounts add column resumed_at timestamptz, add column slow_until timestamptz, add column slow_reason text;

-- What the platform reported about an account: the newest notice of each topic, in the platform's own names.
create table account_notices (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    account_id uuid not null,
    topic text not null,
    reason text not null,
    -- How often in a row it said the same.
    times integer not null default 1,
    -- The platform's time, where it names one: an older notice that arrives later changes nothing.
    occurred_at timestamptz,
    received_at timestamptz not null default now(),
    -- Since when it waits to be seen by an operator.
    attention_at timestamptz,
    constraint pk_account_notices primary key (id, tenant_id),
    constraint fk_account_notices_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade,
    constraint uq_account_notices_topic unique (account_id, topic)
);
create index ix_account_notices_attention on account_notices (attention_at) where attention_at is not null;

-- A run of refusals that are alike, for which the account may be the cause; it ends with the next message that the platform accepts.
create table refusals (
    tenant_id uuid not null,
    account_id uuid not null,
    reason text not null,
    -- Whom it hit, as hashes: they only tell one person from another.
    people bigint[] not null,
    constraint pk_refusals primary key (account_id),
    constraint fk_refusals_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade
);

-- Contacts: names as they are searched for, and all spellings of one number. norm is filled in 0008_norm, after the function that makes it.
alter table contacts add column folded text generated always as (
        translate(regexp_replace(replace(replace(replace(replace(lower(normalize(name, nfkd)),
        'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
        '[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff.,"''’‘ʼ`´]', '', 'g'),
        'øłđıðħŧŋəςیىکةٱ-_‐‒–—−', 'oldidhtneσييكها       ')) stored;

alter table contact_identities add column norm text, add column retired_at timestamptz;

-- A number that went from one contact to another, where the platform did not say that they are one person. An operator says whether they are.
create table identity_cases (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    account_id uuid not null,
    -- Who had the number; no longer a contact once both are joined. And who has it now.
    former_id uuid not null,
    holder_id uuid not null,
    -- Why it went: message, notice, or spelling (two contacts from before spellings were known to be one number).
    reason text not null constraint ck_identity_cases_reason check (reason in ('message', 'notice', 'spelling')),
    state text not null default 'open' constraint ck_identity_cases_state check (state in ('open', 'same_person', 'two_people')),
    opened_at timestamptz not null default now(),
    settled_at timestamptz,
    -- While they are joined: what the former contact was, for separating them again.
    moved jsonb,
    constraint pk_identity_cases primary key (id, tenant_id),
    constraint fk_identity_cases_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade,
    constraint fk_identity_cases_holder foreign key (tenant_id, holder_id) references contacts (tenant_id, id) on delete cascade
);
-- One case for two contacts, whichever way the number goes.
create unique index uq_identity_cases_pair on identity_cases (tenant_id, least(former_id, holder_id), greatest(former_id, holder_id));
create index ix_identity_cases_account on identity_cases (account_id);
create index ix_identity_cases_former on identity_cases (former_id);
create index ix_identity_cases_holder on identity_cases (holder_id);
create index ix_identity_cases_opened on identity_cases (tenant_id, opened_at);

-- Messages: what they are about, and when they were changed. Notes go back no further than they do today: what was dropped stays dropped.
alter table conversations add column summary_after integer not null default 0;
update conversations set summary_after = summary_until where summary_until > 0;
alter table inbox add column target text, add column quoted text, add column refers jsonb, add column edited_at timestamptz;
create index ix_inbox_changes on inbox (account_id, target) where kind in ('edit', 'revoke');
create index ix_inbox_echoed on inbox (md5(account_id::text || lower(regexp_replace(btrim(text), '\s+', ' ', 'g'))), received_at)
    where kind = 'echo';

-- Sends: since when each waits, and what limits them.
alter table outbox add column waits_since timestamptz not null default now();
update outbox set waits_since = created_at where not_before is not null or attention_at is not null;
drop index ix_outbox_due;
create index ix_outbox_due on outbox (account_id, not_before, seq) where not_before is not null;

-- What limits sends (limits.sql). scope account: an outage of its platform, or a limit of the platform on the account; person: a limit on
-- one person over one account; app: a limit on all accounts of one Meta app. state suspect limits nothing yet: sends failed, too few to call
-- it an outage. outage, probing (the platform answers again) and throttled let one probe through at a time; rising lets per_s through.
create table send_limits (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    scope text not null constraint ck_send_limits_scope check (scope in ('person', 'account', 'app')),
    account_id uuid,
    contact_id uuid,
    app_id text,
    state text not null default 'suspect'
        constraint ck_send_limits_state check (state in ('suspect', 'outage', 'probing', 'throttled', 'rising')),
    -- Nothing is sent before.
    until timestamptz not null default now(),
    -- How many probes in a row failed.
    level integer not null default 0,
    per_s double precision not null default 1,
    risen_at timestamptz,
    -- The conversations whose sends failed since the last one that was accepted.
    failing uuid[] not null default '{}',
    -- Since when the account is in outage or throttled, and when the last attempt to send showed it.
    since timestamptz not null default now(),
    closed_at timestamptz,
    -- The message whose failure closed it last. If the platform reports that it took it, it was no failure.
    message_id uuid,
    -- When the platform answered again, until the messages whose sending is unknown have been given time for its reports.
    healed_at timestamptz,
    constraint pk_send_limits primary key (id, tenant_id),
    constraint fk_send_limits_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade,
    constraint fk_send_limits_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create unique index uq_send_limits_account on send_limits (account_id) where scope = 'account';
create unique index uq_send_limits_person on send_limits (account_id, contact_id) where scope = 'person';
create unique index uq_send_limits_app on send_limits (app_id) where scope = 'app';
-- Contacts are erased and joined.
create index ix_send_limits_contact on send_limits (contact_id) where contact_id is not null;

-- Who may see and do what.
alter table send_limits enable row level security;
alter table send_limits force row level security;
create policy own_contact on send_limits to chinwag_web, chinwag_worker
    using (contact_id is null or contact_id = nullif(current_setting('app.contact_id', true), '')::uuid)
    with check (contact_id is null or contact_id = nullif(current_setting('app.contact_id', true), '')::uuid);
create policy crossing on send_limits to chinwag_crossing using (true) with check (true);
alter table identity_cases enable row level security;
alter table identity_cases force row level security;
create policy crossing on identity_cases to chinwag_crossing using (true) with check (true);
grant select on send_limits to chinwag_web, chinwag_worker, chinwag_crossing;
grant insert, update, delete on send_limits to chinwag_worker, chinwag_crossing;
grant delete on send_limits to chinwag_web;
grant update (slow_until, slow_reason) on accounts to chinwag_worker;
grant select, insert, update, delete on refusals to chinwag_worker;
grant select, insert, update, delete on identity_cases, account_notices to chinwag_crossing;
grant update (resumed_at, slow_until, slow_reason) on accounts to chinwag_crossing;
