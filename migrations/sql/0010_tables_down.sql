-- The extension stays: it may be an administrator's.
revoke update (memory_off_at, sensitive_off_at, sensitive_told_at) on contacts from chinwag_worker;
drop policy own_contact on envelopes;
drop policy crossing on envelopes;
alter table envelopes no force row level security, disable row level security;
revoke select (tenant_id, id, state, received_at), update (body) on envelopes from chinwag_worker;
revoke select on envelope_contacts from chinwag_worker;
revoke delete on recalls, media from chinwag_worker;
alter table outbox drop column forgotten_at;
alter table inbox drop column forgotten_at;
drop table trial_runs;
drop table model_trials;
alter table conversations drop column remembered_until, drop column remember_tries, drop column remember_token, drop column remember_at,
    drop column index_to, drop column settle_at;
alter table contacts drop column sensitive_told_at, drop column sensitive_off_at, drop column memory_off_at;
alter table bots drop column time_zone, drop column keeps_messages, drop column sensitive_on, drop column kinds_off;
drop table recalled_turns, fresh_episodes, episodes, embedders;

-- Memories in a table of the old form, with its columns in the old order. What an operator added has no message, and goes.
alter table memories rename to memories_new;
create table memories (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    contact_id uuid not null,
    kind text not null,
    text text not null,
    single boolean not null default false,
    source_inbox_id uuid not null,
    source_turn_id uuid not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    valid_to timestamptz,
    superseded_by uuid
);
insert into memories
select tenant_id, id, contact_id, kind, text, topic is not distinct from '', source_inbox_id, source_turn_id, created_by, created_at, valid_to, superseded_by
from memories_new where source_inbox_id is not null and source_turn_id is not null;
delete from recalls r using memories_new m where m.tenant_id = r.tenant_id and m.id = r.memory_id and (m.source_inbox_id is null or m.source_turn_id is null);
alter table recalls drop constraint fk_recalls_memory;
drop table memories_new;
drop function words_of(text);
drop function letters_of(text);
alter table memories
    add constraint pk_memories primary key (id, tenant_id),
    add constraint fk_memories_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade,
    add constraint fk_memories_source_inbox foreign key (tenant_id, source_inbox_id) references inbox (tenant_id, id) on delete cascade;
create index ix_memories_contact on memories (contact_id, created_at);
create index ix_memories_source_inbox on memories (source_inbox_id);
alter table recalls add constraint fk_recalls_memory foreign key (tenant_id, memory_id) references memories (tenant_id, id) on delete cascade;
alter table memories enable row level security;
alter table memories force row level security;
create policy own_contact on memories to chinwag_web, chinwag_worker
    using (contact_id = nullif(current_setting('app.contact_id', true), '')::uuid)
    with check (contact_id = nullif(current_setting('app.contact_id', true), '')::uuid);
create policy crossing on memories to chinwag_crossing using (true) with check (true);
grant select on memories to chinwag_web, chinwag_worker, chinwag_crossing;
grant insert, update on memories to chinwag_worker;
grant insert, update, delete on memories to chinwag_crossing;
