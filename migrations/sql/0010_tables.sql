-- The letters of a text in a form in which spellings of one word are equal: no case, accents or vowel signs that people leave out, one form for
-- Arabic and Turkish letters that are mixed up. Most texts are ASCII, and have none of these.
-- Locks: none. Called by: words_of, erase_words.
create function letters_of(p_text text) returns text language sql immutable as $$
    select case when octet_length(p_text) = length(p_text) then lower(p_text) else
        translate(regexp_replace(replace(replace(replace(replace(lower(normalize(p_text, nfkd)),
            'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
            '[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u093c\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]', '', 'g'),
        'øłđıðħŧŋəςیىکةٱ', 'oldidhtneσييكها') end
$$;

-- The words of a text, as letters_of has them, each with a blank before and behind it; '' where there are none. What has no blanks between words is
-- taken letter by letter. An apostrophe ends a word: "Rex's" has the word "rex".
-- Locks: none. Called by: memories.words, remember, telling, repeats.
create function words_of(p_text text) returns text language sql immutable as $$
    select coalesce(' ' || nullif(btrim(regexp_replace(regexp_replace(letters_of(p_text),
        '([\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\ua960-\ua97f\ud7b0-\ud7ff\uf900-\ufaff])', ' \1 ', 'g'),
        '[\s!-/:-@\[-`{-~\u0080-\u00bf\u00d7\u00f7\u02b0-\u02ff\u055a-\u055f\u0589\u05be\u05c0\u05c3\u05f3\u05f4\u060c\u060d\u061b-\u061f\u066a-\u066d\u06d4\u0964\u0965\u0970\u2000-\u206f\u2190-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u30fb\ufe30-\ufe6f\uff00-\uff0f]+', ' ', 'g')), '') || ' ', '')
$$;

-- Memories: two times, and what takes the place of what. Every row is written twice here, and the table is locked meanwhile.
alter table memories alter column source_inbox_id drop not null, alter column source_turn_id drop not null,
    add column topic text, add column day date, add column last_day date, add column said_at timestamptz not null default now(),
    add column valid_from timestamptz, add column ended_at timestamptz, add column ended_by_inbox_id uuid, add column ended_by text;
-- What ended without a successor was to be forgotten. What that had replaced stays ended.
with gone as (
    delete from memories where valid_to is not null and superseded_by is null returning id
)
update memories set superseded_by = null where superseded_by in (select id from gone);
update memories m set topic = case when m.single then '' end, said_at = least(i.occurred_at, i.received_at), ended_at = m.valid_to
from inbox i where i.tenant_id = m.tenant_id and i.id = m.source_inbox_id;
alter table memories drop column single,
    add column words text not null generated always as (words_of(text)) stored,
    add column chain text not null generated always as (case when kind in ('likes', 'dislikes') then 'taste' || words_of(text)
        when topic is not null then kind || '/' || topic else kind || words_of(text) || coalesce((day - date '2000-01-01')::text, '') end) stored;

-- Which earlier turns a turn's prompt repeated because they were about its question, and which signals found them.
create table recalled_turns (
    tenant_id uuid not null,
    turn_id uuid not null,
    recalled_id uuid not null,
    contact_id uuid not null,
    rank integer not null,
    signals text[] not null,
    constraint pk_recalled_turns primary key (tenant_id, turn_id, recalled_id),
    constraint fk_recalled_turns_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id) on delete cascade,
    constraint fk_recalled_turns_recalled foreign key (tenant_id, recalled_id) references turns (tenant_id, id) on delete cascade
);
create index ix_recalled_turns_recalled on recalled_turns (recalled_id);

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

-- Constants as defaults: no row is written anew. The turns of all conversations that there are now are to be indexed, and of new ones none.
alter table bots add column kinds_off text[] not null default '{}', add column sensitive_on boolean not null default true,
    add column keeps_messages boolean not null default false, add column time_zone text;
alter table contacts add column memory_off_at timestamptz, add column sensitive_off_at timestamptz, add column sensitive_told_at timestamptz;
alter table conversations add column settle_at timestamptz, add column index_to integer not null default 2147483647;
alter table conversations alter column index_to set default 0;
create index ix_conversations_settle on conversations (settle_at) where settle_at is not null;
create index ix_conversations_index on conversations (newest_at) where index_to > 0;
alter table conversations
    add column remember_at timestamptz,
    add column remember_token bigint not null default 0,
    add column remember_tries integer not null default 0,
    add column remembered_until integer not null default 0;
create index ix_conversations_remember on conversations (remember_at) where remember_at is not null;

-- Whether a model may propose facts.
create table model_trials (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    url text not null,
    model text not null,
    version text not null,
    passed boolean not null,
    figures jsonb not null,
    tried_at timestamptz not null default now(),
    constraint pk_model_trials primary key (tenant_id, url, model),
    constraint uq_model_trials_id unique (id, tenant_id)
);
grant select on model_trials to chinwag_web, chinwag_worker, chinwag_crossing;
grant insert, update, delete on model_trials to chinwag_web;
grant insert, update on model_trials to chinwag_worker;
create table trial_runs (
    tenant_id uuid not null references tenants,
    id uuid not null default gen_random_uuid(),
    profile text not null,
    asked_by text not null,
    asked_at timestamptz not null default now(),
    due_at timestamptz default now(),
    token bigint not null default 0,
    tries integer not null default 0,
    version text not null default '',
    models jsonb not null default '[]',
    said text not null default '',
    constraint pk_trial_runs primary key (tenant_id, profile),
    constraint uq_trial_runs_id unique (id, tenant_id)
);
create index ix_trial_runs_due on trial_runs (due_at) where due_at is not null;
grant select on trial_runs to chinwag_web, chinwag_worker, chinwag_crossing;
grant insert, update, delete on trial_runs to chinwag_web;
grant update (due_at, token, tries, version, models, said) on trial_runs to chinwag_worker;
alter table inbox add column forgotten_at timestamptz;
alter table outbox add column forgotten_at timestamptz;
create index ix_outbox_forgotten on outbox (forgotten_at) where forgotten_at is not null and body <> '';

-- Who may see and do what.
do $$
declare
    t text;
begin
    foreach t in array array['recalled_turns', 'fresh_episodes', 'episodes'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format(
            'create policy own_contact on %I to chinwag_web, chinwag_worker'
            ' using (contact_id = nullif(current_setting(''app.contact_id'', true), '''')::uuid)'
            ' with check (contact_id = nullif(current_setting(''app.contact_id'', true), '''')::uuid)', t);
        execute format('create policy crossing on %I to chinwag_crossing using (true) with check (true)', t);
    end loop;
end
$$;
grant select on recalled_turns, fresh_episodes, episodes, embedders to chinwag_web;
grant select, insert, update, delete on recalled_turns, fresh_episodes, episodes to chinwag_worker, chinwag_crossing;
grant select, insert on embedders to chinwag_worker, chinwag_crossing;
grant delete on memories, recalls, media to chinwag_worker;
grant select on envelope_contacts to chinwag_worker;
grant select (tenant_id, id, state, received_at), update (body) on envelopes to chinwag_worker;
alter table envelopes enable row level security;
alter table envelopes force row level security;
create policy own_contact on envelopes to chinwag_worker
    using (exists (select from envelope_contacts x where x.envelope_id = envelopes.id and x.tenant_id = envelopes.tenant_id
        and x.contact_id = nullif(current_setting('app.contact_id', true), '')::uuid))
    with check (body is null);
create policy crossing on envelopes to chinwag_crossing using (true) with check (true);
grant update (memory_off_at, sensitive_off_at, sensitive_told_at) on contacts to chinwag_worker;
