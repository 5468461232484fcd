alter table accounts add column answers_groups boolean not null default false;
