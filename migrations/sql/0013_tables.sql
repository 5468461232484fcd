alter table accounts add column answers_groups boolean not null default false;
alter table media add column seconds real, add column language text, add column language_certainty real, add column certainty real;
