-- Who may see and do what. A login role has the rights that are listed here and no others; `chinwag migrate` makes the roles.
--   web       pages and API: settings, operators, batches; a contact's rows only within that contact
--   worker    answers and sends: always within one contact's rows
--   crossing  the few functions that cross contacts: taking messages in, handing out work, housekeeping

-- A contact's rows are visible to web and worker only in a transaction that names the contact in app.contact_id.
do $$
declare
    t text;
begin
    foreach t in array array[
        'contact_identities', 'envelope_contacts', 'conversations', 'turns', 'inbox', 'media', 'memories', 'model_calls', 'recalls', 'recalled_turns', 'outbox',
        'send_attempts', 'fresh_episodes', 'episodes'
    ] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        -- A transaction-local setting reads '' after its transaction, and ''::uuid raises: hence nullif.
        execute format(
            'create policy own_contact on %I to chinwag_web, chinwag_worker'
            ' using (contact_id = nullif(current_setting(''app.contact_id'', true), '''')::uuid)'
            ' with check (contact_id = nullif(current_setting(''app.contact_id'', true), '''')::uuid)', t);
        execute format('create policy crossing on %I to chinwag_crossing using (true) with check (true)', t);
    end loop;
end
$$;

-- The same for the contact's own row, whose key is id.
alter table contacts enable row level security;
alter table contacts force row level security;
create policy own_contact on contacts to chinwag_web, chinwag_worker
    using (id = nullif(current_setting('app.contact_id', true), '')::uuid)
    with check (id = nullif(current_setting('app.contact_id', true), '')::uuid);
create policy crossing on contacts to chinwag_crossing using (true) with check (true);

-- A webhook's body is its contacts'. The worker may only empty it.
alter table envelopes enable row level security;
alter table envelopes force row level security;
create policy own_contact on envelopes to chinwag_worker
    using (exists (select from envelope_contacts x where x.envelope_id = envelopes.id and x.tenant_id = envelopes.tenant_id
        and x.contact_id = nullif(current_setting('app.contact_id', true), '')::uuid))
    with check (body is null);
create policy crossing on envelopes to chinwag_crossing using (true) with check (true);

-- A limit on a person is that contact's; one on an account or an app is everybody's.
alter table send_limits enable row level security;
alter table send_limits force row level security;
create policy own_contact on send_limits to chinwag_web, chinwag_worker
    using (contact_id is null or contact_id = nullif(current_setting('app.contact_id', true), '')::uuid)
    with check (contact_id is null or contact_id = nullif(current_setting('app.contact_id', true), '')::uuid);
create policy crossing on send_limits to chinwag_crossing using (true) with check (true);

-- Cases are about two contacts: only functions that cross contacts see them.
alter table identity_cases enable row level security;
alter table identity_cases force row level security;
create policy crossing on identity_cases to chinwag_crossing using (true) with check (true);

grant usage on schema public to chinwag_web, chinwag_worker, chinwag_crossing;

-- Read by all.
grant select on tenants, bots, personas, accounts, endpoints, profile_endpoints, model_trials, trial_runs, usage_days, batches, batch_items, worker_heartbeats,
    watchers, statuses to chinwag_web, chinwag_worker, chinwag_crossing;
grant select on contacts, contact_identities, conversations, turns, inbox, media, memories, model_calls, recalls, recalled_turns, outbox, send_attempts,
    fresh_episodes, episodes, send_limits to chinwag_web, chinwag_worker, chinwag_crossing;

-- The web writes settings, operators, batches and its own sign-ins; messages come in through crossing.
grant insert, update, delete on bots, personas, accounts, endpoints, profile_endpoints, model_trials, trial_runs, batches, batch_items, watchers to chinwag_web;
grant select, insert, update, delete on operators, operator_sessions, api_tokens, admin_links to chinwag_web;
grant select, insert on audit to chinwag_web;

-- The worker finishes turns, within one contact, and items of batches.
grant insert, update on conversations, turns, outbox, send_attempts, memories, recalls, recalled_turns, model_calls to chinwag_worker;
grant insert, update, delete on fresh_episodes, episodes to chinwag_worker, chinwag_crossing;
grant select, insert on embedders to chinwag_worker, chinwag_crossing;
grant select on embedders to chinwag_web;
-- What contacts ask to forget, in the same transaction; of bodies it sees nothing.
grant delete on memories, recalls, recalled_turns, media to chinwag_worker;
grant select on envelope_contacts to chinwag_worker;
grant select (tenant_id, id, state, received_at), update (body) on envelopes to chinwag_worker;
grant insert, update, delete on send_limits to chinwag_worker, chinwag_crossing;
grant delete on send_limits to chinwag_web;
grant update on inbox, media, batches, batch_items to chinwag_worker;
grant update (stopped_at, memory_off_at, sensitive_off_at, sensitive_told_at) on contacts to chinwag_worker;
grant update (state, state_reason, slow_until, slow_reason) on accounts to chinwag_worker;
grant select, insert, update, delete on refusals to chinwag_worker;
grant update (traits, notes, probed_at, probe_at) on endpoints to chinwag_worker;
grant insert, update on model_trials to chinwag_worker;
grant update (due_at, token, tries, version, models, said) on trial_runs to chinwag_worker;
grant select, insert, update, delete on model_refusals to chinwag_worker;

-- Crossing takes messages in and hands out work.
grant insert, update, delete on contacts, contact_identities, conversations, turns, inbox, media, memories, model_calls, recalls, recalled_turns, outbox,
    send_attempts, statuses, worker_heartbeats, watchers to chinwag_crossing;
grant select, insert, update, delete on envelopes, envelope_contacts, inbox_keys, identity_cases to chinwag_crossing;
grant usage on sequence lots to chinwag_crossing;
grant update, delete on batches, batch_items to chinwag_crossing;
-- The steps of an account's set-up are recorded where webhooks come in; accounts are removed with all their rows.
grant update (handshake_at, first_webhook_at, last_webhook_at, refused_at, refusal, health, health_at, state, state_reason, resumed_at,
    slow_until, slow_reason) on accounts to chinwag_crossing;
grant select, insert, update, delete on account_notices to chinwag_crossing;
grant delete on accounts to chinwag_crossing;
grant update (weight) on tenants to chinwag_crossing;
-- It does the housekeeping, adds up usage, and what operators do through it is written to the audit log.
grant select, delete on operator_sessions, admin_links to chinwag_crossing;
grant select on operators, api_tokens to chinwag_crossing;
grant select, insert on audit to chinwag_crossing;
grant insert, update on usage_days to chinwag_crossing;
grant select, update on usage_until to chinwag_crossing;
grant select, insert, update, delete on figures, figure_failures to chinwag_crossing;
grant select, update on figures_until to chinwag_crossing;
grant select, insert, update on swept to chinwag_crossing;
-- Whoever changes an item changes the counts of its batch.
grant select, insert, update on batch_counts to chinwag_web, chinwag_worker, chinwag_crossing;
-- It shows which endpoints refuse calls, and dismisses them; the web removes what is said of an endpoint together with it.
grant select, update, delete on model_refusals to chinwag_crossing;
grant select, delete on model_refusals to chinwag_web;
