create or replace function keep_house(p_envelope_days integer) returns integer language plpgsql as $$
declare
    old timestamptz := now() - make_interval(days => p_envelope_days);
    most integer := 0;
    n integer;
begin
    -- With the contacts that each is about.
    delete from envelopes where (id, tenant_id) in (select id, tenant_id from envelopes
        where state <> 'quarantined' and received_at < old order by received_at limit 500 for update skip locked);
    get diagnostics n = row_count;
    most := greatest(most, n);
    update envelopes set body = null where (id, tenant_id) in (select id, tenant_id from envelopes
        where state = 'quarantined' and body is not null and received_at < old order by received_at limit 500 for update skip locked);
    get diagnostics n = row_count;
    most := greatest(most, n);
    delete from statuses where (account_id, external_id, status) in (select account_id, external_id, status from statuses
        where received_at < old order by received_at limit 500 for update skip locked);
    get diagnostics n = row_count;
    most := greatest(most, n, sweep_turns(old, 500));
    perform give_back(x.id) from (
        select id from conversations where taken_by is not null and taken_until <= now() order by id limit 500 for update skip locked) x;
    delete from operator_sessions where token_sha256 in (select token_sha256 from operator_sessions
        where expires_at < now() order by expires_at limit 500);
    delete from admin_links where expires_at < now();
    update media set data = null, state = 'refused', reason = 'too_old'
    where (tenant_id, id) in (select tenant_id, id from media where data is not null and created_at < old order by created_at limit 500 for update skip locked);
    get diagnostics n = row_count;
    most := greatest(most, n);
    -- Account by account, so that what a bot keeps is not read again each time.
    perform blank_answers(array(select o.id from accounts a join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id
        cross join lateral (select id from outbox where account_id = a.id and forgotten_at is not null and body <> '' and is_settled(outbox) limit 500) o
        where not b.keeps_messages limit 500));
    -- Nobody has sent anything there since: whether the limit still exists shows with the next message.
    delete from send_limits where (id, tenant_id) in (select id, tenant_id from send_limits
        where until < now() - interval '1 hour' order by until limit 500 for update skip locked);
    get diagnostics n = row_count;
    most := greatest(most, n);
    -- Nobody has asked that endpoint since: it may have another name by now.
    delete from model_refusals where last_at < now() - interval '7 days';
    delete from watchers where until < now() - interval '1 minute';
    delete from worker_heartbeats where at < now() - interval '1 day';
    -- They show a week, in whole days.
    delete from figures f using tenants z, (values ('hour'), ('day')) s(step)
    where f.tenant_id = z.tenant_id and f.step = s.step and f.at < now() - interval '9 days';
    delete from figure_failures f using tenants z where f.tenant_id = z.tenant_id and f.at < now() - interval '9 days';
    return most;
end
$$;

create or replace function sweep_turns(p_old timestamptz, p_most integer) returns integer language plpgsql as $$
declare
    z tenants;
    since timestamptz;
    until timestamptz;
    gone uuid[];
    most integer := 0;
begin
    for z in select * from tenants loop
        insert into swept (tenant_id, turns_until) values (z.tenant_id, '-infinity') on conflict do nothing;
        select turns_until into since from swept where tenant_id = z.tenant_id for update;
        select max(finished_at) into until from (select finished_at from turns
            where tenant_id = z.tenant_id and finished_at > since and finished_at < p_old order by finished_at limit p_most) x;
        continue when until is null;
        gone := array(select id from turns where tenant_id = z.tenant_id and finished_at > since and finished_at <= until);
        most := greatest(most, cardinality(gone));
        update model_calls set prompt = '[]' where turn_id = any(gone) and prompt <> '[]';
        gone := array(select t.id from turns t where t.id = any(gone) and exists (
            select from turns l where l.conversation_id = t.conversation_id and l.number > t.number));
        delete from recalls where tenant_id = z.tenant_id and turn_id = any(gone);
        delete from recalled_turns where tenant_id = z.tenant_id and turn_id = any(gone);
        update swept set turns_until = until where tenant_id = z.tenant_id;
    end loop;
    return most;
end
$$;
