drop function if exists engine_queues, conversations_to_place, place_conversations, waits, profile_queue;
drop function if exists hold_spent_batches, spent_today, spent_this_month, roll_usage, calls_between;
drop function if exists claim_summary, finish_summary, put_off_summary, pay_summary;
drop table media, usage_until, usage_days, profile_endpoints, endpoints;
drop index ix_turns_budget, ix_conversations_summarise, ix_batch_items_ended, ix_model_calls_contact;
alter table conversations drop column summary, drop column summary_until, drop column summarise_at, drop column summarise_to;
alter table batch_items drop column endpoint, drop column cost;
alter table model_calls drop column cost;
alter table bots drop column data_may_leave, drop column budget_contact_day, drop column budget_month;
