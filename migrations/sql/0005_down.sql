-- Before engines had queues of their own nobody asked for them: what waits there comes back to its profile's. Whoever owns the table is
-- held by its policies, too, unless it is a superuser.
alter table conversations no force row level security;
update conversations set queue = split_part(queue, '.@', 1) where queue like 'reply.%.@%';
alter table conversations force row level security;
drop function spent_today(uuid, uuid);
drop function hold_item(uuid, bigint, bigint, double precision, jsonb);
drop function retry_item(uuid, bigint, bigint, double precision, text, jsonb);
drop function pay_item(uuid, bigint, jsonb);
drop function unanswered(uuid);
alter table conversations drop column summarise_tries;
