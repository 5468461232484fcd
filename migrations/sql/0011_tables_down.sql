drop index ix_turns_dead;
create index ix_turns_dead on turns (finished_at) where state = 'dead';
drop index ix_turns_budget_seen;
drop index ix_turns_budget;
create index ix_turns_budget on turns (finished_at) where reason like 'budget%';
drop index ix_send_limits_until;
drop index ix_outbox_unsettled;
drop index ix_outbox_forgotten;
create index ix_outbox_forgotten on outbox (forgotten_at) where forgotten_at is not null and body <> '';
drop index ix_outbox_attention;
create index ix_outbox_attention on outbox (attention_at) where attention_at is not null;
drop index ix_operator_sessions_expires;
drop index ix_identity_cases_open;
drop index ix_envelopes_quarantined;
create index ix_envelopes_quarantined on envelopes (received_at) where state = 'quarantined';
drop index ix_envelopes_bodies;
drop index ix_batches_open;
drop index ix_batches_newest;
drop index ix_audit_actor;

revoke update (weight) on tenants from chinwag_crossing;
alter table worker_heartbeats drop column held;
alter table worker_heartbeats drop column shared;

delete from worker_heartbeats w where exists (select from worker_heartbeats o where o.name = w.name and (o.at, o.boot_id) > (w.at, w.boot_id));
alter table worker_heartbeats drop constraint pk_worker_heartbeats;
alter table worker_heartbeats add constraint pk_worker_heartbeats primary key (name);
alter table worker_heartbeats drop column holds_lock;
drop index ix_conversations_running;
drop index ix_conversations_turns;
drop sequence lots;
alter table accounts drop column weight;
alter table tenants drop column weight;

-- The letters of a text in a form in which spellings of one word are equal: no case, accents or vowel signs that people leave out, one form for
-- Arabic and Turkish letters that are mixed up. Most texts are ASCII, and have none of these.
-- Locks: none. Called by: words_of, erase_words.
create or replace function letters_of(p_text text) returns text language sql immutable as $$
    select case when octet_length(p_text) = length(p_text) then lower(p_text) else
        translate(regexp_replace(replace(replace(replace(replace(lower(normalize(p_text, nfkd)),
            'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
            '[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u093c\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]', '', 'g'),
        'øłđıðħŧŋəςیىکةٱ', 'oldidhtneσييكها') end
$$;

-- The words of a text, as letters_of has them, each with a blank before and behind it; '' where there are none. What has no blanks between words is
-- taken letter by letter. An apostrophe ends a word: "Rex's" has the word "rex".
-- Locks: none. Called by: memories.words, remember, telling, repeats, is_command.
create or replace function words_of(p_text text) returns text language sql immutable as $$
    select coalesce(' ' || nullif(btrim(regexp_replace(regexp_replace(letters_of(p_text),
        '([\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\ua960-\ua97f\ud7b0-\ud7ff\uf900-\ufaff])', ' \1 ', 'g'),
        '[\s!-/:-@\[-`{-~\u0080-\u00bf\u00d7\u00f7\u02b0-\u02ff\u055a-\u055f\u0589\u05be\u05c0\u05c3\u05f3\u05f4\u060c\u060d\u061b-\u061f\u066a-\u066d\u06d4\u0964\u0965\u0970\u2000-\u206f\u2190-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u30fb\ufe30-\ufe6f\uff00-\uff0f]+', ' ', 'g')), '') || ' ', '')
$$;

create index ix_send_attempts_open on send_attempts (started_at) where finished_at is null;

drop trigger items_came on batch_items;
drop trigger items_went on batch_items;
drop trigger items_changed on batch_items;
drop function count_new_items(), count_gone_items(), count_changed_items();
drop function add_items(uuid, uuid, text, bigint, bigint, bigint, bigint, double precision, bigint, bigint);
drop table batch_counts;

drop index ix_contacts_grams;
drop index ix_contact_identities_grams;
drop index ix_outbox_failed;
drop index ix_statuses_received_at;

drop function grams_of(uuid, text), grams_in(uuid, text);

drop index ix_batch_items_state;
create index ix_batch_items_state on batch_items (batch_id, state);
drop index ix_conversations_account;
create index ix_conversations_account on conversations (account_id);
drop index ix_conversations_newest;
create index ix_conversations_newest on conversations (newest_at);
drop index ix_envelopes_received_at;
create index ix_envelopes_received_at on envelopes (received_at) where body is not null;
drop index ix_inbox_received_at;
create index ix_inbox_received_at on inbox (received_at);
drop index ix_model_calls_created_at;
create index ix_model_calls_created_at on model_calls (created_at);
drop index ix_turns_finished_at;
create index ix_turns_finished_at on turns (finished_at);

alter table contacts alter column id set default gen_random_uuid();
alter table conversations alter column id set default gen_random_uuid();
alter table envelopes alter column id set default gen_random_uuid();
alter table inbox alter column id set default gen_random_uuid();
alter table media alter column id set default gen_random_uuid();
alter table model_calls alter column id set default gen_random_uuid();
alter table outbox alter column id set default gen_random_uuid();
alter table send_attempts alter column id set default gen_random_uuid();
alter table turns alter column id set default gen_random_uuid();

drop function new_id();

drop table swept, figures_until, figure_failures, figures;
