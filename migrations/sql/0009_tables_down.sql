drop table model_refusals;
alter table usage_days drop column calls_estimated;
alter table batch_items drop column estimated;
alter table model_calls drop column estimated;
