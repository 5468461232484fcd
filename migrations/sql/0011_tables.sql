-- An id that begins with the time (uuidv7 of Postgres 18, for older ones, too): rows that come one after the other lie together in an index.
-- Locks: none. Called by: defaults of columns, accept_events.
create function new_id() returns uuid language sql volatile as $$
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- What happened in one hour or day (UTC), written by count_figures. The sums stay when a contact or an account is erased, since they name neither.
create table figures (
    tenant_id uuid not null references tenants,
    step text not null constraint ck_figures_step check (step in ('hour', 'day')),
    at timestamptz not null,
    messages bigint not null default 0,
    -- Turns that the bot answered, and turns that a person answered.
    answers bigint not null default 0,
    by_hand bigint not null default 0,
    tokens_in bigint not null default 0,
    tokens_cached bigint not null default 0,
    tokens_out bigint not null default 0,
    calls_estimated bigint not null default 0,
    -- How many of the bot's answers took how long: a number for each bin of bin_of, the shortest first, up to the last that is not 0.
    took integer[] not null default '{}',
    constraint pk_figures primary key (tenant_id, step, at)
);

-- How often something failed in one hour: what (send, turn or model) and its code. Model calls that went well are there, too.
create table figure_failures (
    tenant_id uuid not null references tenants,
    at timestamptz not null,
    what text not null,
    code text not null,
    n bigint not null,
    constraint pk_figure_failures primary key (tenant_id, at, what, code)
);

-- Up to which time figures are complete; which hour's failed sends are counted again next, and when some last were. One row.
create table figures_until (
    one boolean not null default true constraint ck_figures_until_one check (one),
    at timestamptz not null,
    sends_hour timestamptz not null,
    sends_at timestamptz not null,
    constraint pk_figures_until primary key (one)
);
insert into figures_until (at, sends_hour, sends_at) values (now() - interval '8 days', '-infinity', '-infinity');

-- How far the rows of old turns that nobody needs were swept, by tenant.
create table swept (
    tenant_id uuid not null references tenants,
    turns_until timestamptz not null,
    constraint pk_swept primary key (tenant_id)
);

-- Ids by time lie together in their indexes.
alter table contacts alter column id set default new_id();
alter table conversations alter column id set default new_id();
alter table envelopes alter column id set default new_id();
alter table inbox alter column id set default new_id();
alter table media alter column id set default new_id();
alter table model_calls alter column id set default new_id();
alter table outbox alter column id set default new_id();
alter table send_attempts alter column id set default new_id();
alter table turns alter column id set default new_id();

-- Numbers for the pieces of a text by which it is found, the tenant in each, so that a search reads only what is the tenant's: three letters in a row,
-- the first one and two of a word, and one and two where they are not ASCII, since in other scripts that may be a whole name. What comes after 200 letters has none.
-- Locks: none. Called by: indexes of contacts and contact_identities, find_contacts.
create function grams_of(p_tenant uuid, p_text text) returns integer[] language plpgsql immutable parallel safe as $$
declare
    padded text := ' ' || left(regexp_replace(lower(p_text), '\s+', ' ', 'g'), 200) || ' ';
    size integer := length(padded);
    tenant text := p_tenant;
    gram text;
    found integer[] := '{}';
begin
    -- All numbers and most names are ASCII: nearly ten times as fast as the query below, which counts where an index is built on a million contacts.
    if octet_length(padded) = size then
        for i in 1 .. size - 1 loop
            gram := substr(padded, i, 3);
            if i < size - 1 then
                found := found || hashtext(tenant || gram);
            end if;
            if starts_with(gram, ' ') then
                found := found || hashtext(tenant || left(gram, 2));
            end if;
        end loop;
        return array(select distinct x from unnest(found) x order by x);
    end if;
    return array(select distinct hashtext(tenant || piece)
        from generate_series(1, size) i, lateral (values (3), (2), (1)) v(n), substr(padded, i, n) piece
        where length(piece) = n and piece <> ' ' and (n = 3 or octet_length(piece) > n or (n = 2 and starts_with(piece, ' '))) order by 1);
end
$$;

-- The numbers that grams_of gives to each text with this in it; where it is one or two ASCII letters, to each with a word that begins so.
-- Locks: none. Called by: find_contacts.
create function grams_in(p_tenant uuid, p_part text) returns integer[] language sql immutable as $$
    with sought as (select case when octet_length(p_part) < 3 then ' ' || lower(p_part) else lower(p_part) end as text)
    select coalesce(array_agg(distinct hashtext(p_tenant::text || substr(text, i, least(3, length(text))))), '{}')
    from sought, generate_series(1, greatest(1, length(text) - 2)) i
$$;

drop index ix_batch_items_state;
create index ix_batch_items_state on batch_items (batch_id, state, n);
drop index ix_conversations_account;
create index ix_conversations_account on conversations (account_id, newest_at);
drop index ix_conversations_newest;
create index ix_conversations_newest on conversations (tenant_id, newest_at);
drop index ix_envelopes_received_at;
create index ix_envelopes_received_at on envelopes (received_at) where state <> 'quarantined';
drop index ix_inbox_received_at;
create index ix_inbox_received_at on inbox (tenant_id, received_at);
drop index ix_model_calls_created_at;
create index ix_model_calls_created_at on model_calls (tenant_id, created_at);
drop index ix_turns_finished_at;
create index ix_turns_finished_at on turns (tenant_id, finished_at);

create index ix_contacts_grams on contacts using gin (grams_of(tenant_id, folded)) with (gin_pending_list_limit = 128);
alter index ix_contacts_grams alter column 1 set statistics 0;
create index ix_contact_identities_grams on contact_identities using gin (grams_of(tenant_id, value || ' ' || norm)) with (gin_pending_list_limit = 128);
alter index ix_contact_identities_grams alter column 1 set statistics 0;
create index ix_outbox_failed on outbox (created_at) where reason is not null;
create index ix_statuses_received_at on statuses (received_at);

-- How many items of a batch are in each state, and what their calls took: the sum of the rows of a state. There are several, so that workers who end
-- items at the same moment do not wait for one another. Kept by the triggers below, whoever changes an item.
create table batch_counts (
    tenant_id uuid not null,
    batch_id uuid not null,
    state text not null,
    part uuid not null default gen_random_uuid(),
    n bigint not null,
    tokens_in bigint not null,
    tokens_cached bigint not null,
    tokens_out bigint not null,
    cost double precision not null,
    -- Items that have a cost, and items with tokens that were counted or estimated here.
    priced bigint not null,
    estimated bigint not null,
    constraint pk_batch_counts primary key (batch_id, state, part),
    constraint fk_batch_counts_batch foreign key (tenant_id, batch_id) references batches (tenant_id, id) on delete cascade
)
with (fillfactor = 50);

-- Adds to the counts of a state, in a row that nobody holds, or a new one: so it waits for nobody.
-- Locks: one row of batch_counts. Called by: count_new_items, count_gone_items, count_changed_items.
create function add_items(
    p_tenant uuid, p_batch uuid, p_state text, p_n bigint, p_in bigint, p_cached bigint, p_out bigint, p_cost double precision, p_priced bigint, p_estimated bigint
) returns void language plpgsql as $$
declare
    free uuid;
begin
    select part into free from batch_counts where batch_id = p_batch and state = p_state limit 1 for update skip locked;
    if found then
        update batch_counts set n = n + p_n, tokens_in = tokens_in + p_in, tokens_cached = tokens_cached + p_cached, tokens_out = tokens_out + p_out,
            cost = cost + p_cost, priced = priced + p_priced, estimated = estimated + p_estimated
        where batch_id = p_batch and state = p_state and part = free;
    else
        -- Not for a batch that is just being deleted.
        insert into batch_counts (tenant_id, batch_id, state, n, tokens_in, tokens_cached, tokens_out, cost, priced, estimated)
        select p_tenant, p_batch, p_state, p_n, p_in, p_cached, p_out, p_cost, p_priced, p_estimated
        where exists (select from batches where tenant_id = p_tenant and id = p_batch);
    end if;
end
$$;

-- Counts items that came, once for each statement.
-- Locks: those of add_items. Called by: a trigger of batch_items.
create function count_new_items() returns trigger language plpgsql as $$
begin
    perform add_items(tenant_id, batch_id, state, count(*), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_cached), 0), coalesce(sum(tokens_out), 0),
        coalesce(sum(cost), 0), count(cost), count(*) filter (where estimated))
    from fresh group by tenant_id, batch_id, state;
    return null;
end
$$;

-- Counts items that went, in the same way.
-- Locks: those of add_items. Called by: a trigger of batch_items.
create function count_gone_items() returns trigger language plpgsql as $$
begin
    perform add_items(tenant_id, batch_id, state, -count(*), -coalesce(sum(tokens_in), 0), -coalesce(sum(tokens_cached), 0), -coalesce(sum(tokens_out), 0),
        -coalesce(sum(cost), 0), -count(cost), -count(*) filter (where estimated))
    from gone group by tenant_id, batch_id, state;
    return null;
end
$$;

-- Counts items that changed, in the same way.
-- Locks: those of add_items. Called by: a trigger of batch_items.
create function count_changed_items() returns trigger language plpgsql as $$
begin
    perform add_items(tenant_id, batch_id, state, n, tokens_in, tokens_cached, tokens_out, cost, priced, estimated) from (
        select tenant_id, batch_id, state, sum(sign) as n, coalesce(sum(sign * tokens_in), 0) as tokens_in, coalesce(sum(sign * tokens_cached), 0) as tokens_cached,
            coalesce(sum(sign * tokens_out), 0) as tokens_out, coalesce(sum(sign * cost), 0) as cost,
            coalesce(sum(sign) filter (where cost is not null), 0) as priced, coalesce(sum(sign) filter (where estimated), 0) as estimated
        from (select 1 as sign, * from fresh union all select -1, * from gone) x group by tenant_id, batch_id, state) d
    -- Taking one up again changes nothing here.
    where (n, tokens_in, tokens_cached, tokens_out, cost, priced, estimated) <> (0, 0, 0, 0, 0, 0, 0);
    return null;
end
$$;

create trigger items_came after insert on batch_items referencing new table as fresh for each statement execute function count_new_items();
create trigger items_went after delete on batch_items referencing old table as gone for each statement execute function count_gone_items();
create trigger items_changed after update on batch_items referencing old table as gone new table as fresh
    for each statement execute function count_changed_items();

-- The triggers lock the table against changes, so this counts what they do not.
insert into batch_counts (tenant_id, batch_id, state, n, tokens_in, tokens_cached, tokens_out, cost, priced, estimated)
select tenant_id, batch_id, state, count(*), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_cached), 0), coalesce(sum(tokens_out), 0), coalesce(sum(cost), 0),
    count(cost), count(*) filter (where estimated) from batch_items group by 1, 2, 3;

grant select, insert, update, delete on figures, figure_failures to chinwag_crossing;
grant select, update on figures_until to chinwag_crossing;
grant select, insert, update on swept to chinwag_crossing;
grant select, insert, update on batch_counts to chinwag_web, chinwag_worker, chinwag_crossing;

drop index ix_send_attempts_open;

-- The letters of a text in a form in which spellings of one word are equal: no case, accents or vowel signs that people leave out, one form for
-- Arabic and Turkish letters that are mixed up. Most texts are ASCII, and have none of these.
-- Locks: none. Called by: words_of, erase_words.
create or replace function letters_of(p_text text) returns text language plpgsql immutable as $$
begin
    return case when octet_length(p_text) = length(p_text) then lower(p_text) else
        translate(regexp_replace(replace(replace(replace(replace(lower(normalize(p_text, nfkd)),
            'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
            '[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u093c\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]', '', 'g'),
        'øłđıðħŧŋəςیىکةٱ', 'oldidhtneσييكها') end;
end
$$;

-- The words of a text, as letters_of has them, each with a blank before and behind it; '' where there are none. What has no blanks between words is
-- taken letter by letter. An apostrophe ends a word: "Rex's" has the word "rex".
-- In PL/pgSQL, since Postgres would take in the text of an SQL function anew for each statement that writes a memory. It names its schema: where a backup is
-- restored there is no search path.
-- Locks: none. Called by: memories.words, remember, telling, repeats, is_command.
create or replace function words_of(p_text text) returns text language plpgsql immutable as $$
begin
    return coalesce(' ' || nullif(btrim(regexp_replace(regexp_replace(public.letters_of(p_text),
        '([\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\ua960-\ua97f\ud7b0-\ud7ff\uf900-\ufaff])', ' \1 ', 'g'),
        '[\s!-/:-@\[-`{-~\u0080-\u00bf\u00d7\u00f7\u02b0-\u02ff\u055a-\u055f\u0589\u05be\u05c0\u05c3\u05f3\u05f4\u060c\u060d\u061b-\u061f\u066a-\u066d\u06d4\u0964\u0965\u0970\u2000-\u206f\u2190-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u30fb\ufe30-\ufe6f\uff00-\uff0f]+', ' ', 'g')), '') || ' ', '');
end
$$;

alter table tenants add column weight double precision not null default 1 constraint ck_tenants_weight check (weight > 0 and weight <= 1000);
alter table accounts add column weight double precision not null default 1 constraint ck_accounts_weight check (weight > 0 and weight <= 1000);
create sequence lots as integer cycle;
grant usage on sequence lots to chinwag_crossing;
create index ix_conversations_turns on conversations (queue, tenant_id, account_id, ready_at)
    where ready_at is not null and leased_until is null and closed_at is null and taken_by is null;
create index ix_conversations_running on conversations (queue, tenant_id, account_id) where leased_until is not null;
alter table worker_heartbeats add column holds_lock boolean not null default false;
alter table worker_heartbeats drop constraint pk_worker_heartbeats;
alter table worker_heartbeats add constraint pk_worker_heartbeats primary key (name, boot_id);

alter table worker_heartbeats add column shared integer not null default 0;
alter table worker_heartbeats add column held jsonb;
grant update (weight) on tenants to chinwag_crossing;

create index ix_audit_actor on audit (tenant_id, actor, at);
create index ix_batches_newest on batches (tenant_id, created_at);
create index ix_batches_open on batches (touched_at) where state in ('checking', 'running', 'paused');
create index ix_envelopes_bodies on envelopes (received_at) where state = 'quarantined' and body is not null;
drop index ix_envelopes_quarantined;
create index ix_envelopes_quarantined on envelopes (tenant_id, received_at) where state = 'quarantined';
create index ix_identity_cases_open on identity_cases (tenant_id, opened_at) where state = 'open';
create index ix_operator_sessions_expires on operator_sessions (expires_at);
drop index ix_outbox_attention;
create index ix_outbox_attention on outbox (tenant_id, attention_at) where attention_at is not null;
drop index ix_outbox_forgotten;
create index ix_outbox_forgotten on outbox (account_id) where forgotten_at is not null and body <> '';
create index ix_outbox_unsettled on outbox (conversation_id, seq) where not_before is not null;
create index ix_send_limits_until on send_limits (until);
drop index ix_turns_budget;
create index ix_turns_budget on turns (tenant_id, finished_at) where reason like 'budget%';
create index ix_turns_budget_seen on turns (tenant_id, finished_at) where reason = 'budget:seen';
drop index ix_turns_dead;
create index ix_turns_dead on turns (tenant_id, finished_at) where state = 'dead';
