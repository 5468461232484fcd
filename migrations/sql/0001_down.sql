drop table if exists audit, admin_links, watchers, worker_heartbeats, statuses, send_attempts, outbox, recalls, model_calls, memories, inbox,
    inbox_keys, turns, conversations, envelope_contacts, contact_identities, contacts, envelopes, accounts, personas, bots, tenants cascade;
