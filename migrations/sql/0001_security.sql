-- Row-level security on whatever belongs to a contact, and what each login role may do.
-- The roles exist already: `chinwag migrate` makes them from the addresses in the settings.

do $$
declare
    t text;
begin
    foreach t in array array[
        'contact_identities', 'envelope_contacts', 'conversations', 'turns', 'inbox', 'memories', 'model_calls', 'recalls', 'outbox',
        'send_attempts'
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

-- A contact's own row is its own, too.
alter table contacts enable row level security;
alter table contacts force row level security;
create policy own_contact on contacts to chinwag_web, chinwag_worker
    using (id = nullif(current_setting('app.contact_id', true), '')::uuid)
    with check (id = nullif(current_setting('app.contact_id', true), '')::uuid);
create policy crossing on contacts to chinwag_crossing using (true) with check (true);

grant usage on schema public to chinwag_web, chinwag_worker, chinwag_crossing;

grant select on tenants, bots, personas, accounts, contacts, contact_identities, conversations, turns, inbox, memories, model_calls, recalls,
    outbox, send_attempts, statuses, worker_heartbeats to chinwag_web, chinwag_worker, chinwag_crossing;

-- The web writes settings and its own sign-ins; messages come in through crossing.
grant insert, update, delete on bots, personas, accounts, admin_links, watchers to chinwag_web;
grant select on admin_links, watchers to chinwag_web;
grant select, insert on audit to chinwag_web;

-- The worker finishes turns, within one contact.
grant insert, update on turns, outbox, send_attempts, memories, recalls, model_calls to chinwag_worker;
grant update on inbox to chinwag_worker;
grant insert, update on conversations to chinwag_worker;
grant update (stopped_at) on contacts to chinwag_worker;
grant update (state, state_reason) on accounts to chinwag_worker;
grant select on watchers to chinwag_worker;

-- Crossing takes messages in, hands out work and keeps house.
grant insert, update, delete on envelopes, envelope_contacts, contacts, contact_identities, conversations, turns, inbox, inbox_keys, memories,
    model_calls, recalls, outbox, send_attempts, statuses, worker_heartbeats, watchers to chinwag_crossing;
grant select on envelopes, envelope_contacts, inbox_keys, watchers to chinwag_crossing;
