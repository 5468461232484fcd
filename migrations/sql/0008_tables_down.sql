drop table send_limits;
drop index ix_outbox_due;
create index ix_outbox_due on outbox (not_before) where not_before is not null;
alter table outbox drop column waits_since;

drop index ix_inbox_echoed;
drop index ix_inbox_changes;
alter table inbox drop column target, drop column quoted, drop column refers, drop column edited_at;
alter table conversations drop column summary_after;

drop table identity_cases;
-- Handles that a contact no longer has were not stored before.
delete from contact_identities where retired_at is not null;
alter table contact_identities drop constraint pk_contact_identities, add constraint pk_contact_identities primary key (tenant_id, scope, kind, value);
alter table contact_identities drop column norm, drop column retired_at;
alter table contacts drop column folded;

drop table refusals;
drop table account_notices;
alter table accounts drop column resumed_at, drop column slow_until, drop column slow_reason;
