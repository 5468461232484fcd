drop function if exists take_over, give_back, answer_by_hand, answered_elsewhere, settle_echo, apply_watermark, remove_account;
drop function if exists claim_item, close_batch, finish_item, hold_item, retry_item, batches_waiting, keep_batches;
drop table batch_items, batches, api_tokens, operator_sessions, operators;
drop index ix_conversations_taken, ix_conversations_newest, ix_turns_finished_at, ix_inbox_received_at, ix_audit_at;
alter table turns drop column answered_by;
alter table conversations drop column taken_by, drop column taken_at, drop column taken_until;
alter table accounts drop column persona_version, drop column door, drop column app_id, drop column parent_id, drop column public_url,
    drop column handshake_at, drop column first_webhook_at, drop column last_webhook_at, drop column refused_at, drop column refusal,
    drop column health, drop column health_at;
alter table personas drop column created_by;
alter table bots drop column language, drop column first_contact;
alter table audit drop column detail;
alter table admin_links drop column operator_id;
revoke all on audit from chinwag_crossing;
revoke all on admin_links from chinwag_crossing;
revoke delete, update (state, state_reason) on accounts from chinwag_crossing;
