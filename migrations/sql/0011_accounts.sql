create or replace function remove_part(p_tenant uuid, p_account uuid, p_most integer) returns jsonb language plpgsql as $$
declare
    -- In the order of an index on the account: so that no other is taken, in which an account that has hardly any rows left is searched to the end.
    talks uuid[] := array(select id from conversations where tenant_id = p_tenant and account_id between p_account and p_account
        order by account_id limit p_most for update skip locked);
    told uuid[] := array(select id from turns where conversation_id = any(talks));
    answers uuid[] := array(select id from outbox where conversation_id = any(talks));
    said uuid[] := array(select id from inbox where conversation_id = any(talks) union select id from inbox where turn_id = any(told));
    leaving uuid[];
    counts jsonb := '{}';
    n bigint;
    t text;
begin
    if talks = '{}' then
        said := array(select id from inbox where account_id = p_account order by event_key limit p_most);
        leaving := array(select contact_id from inbox where id = any(said) and contact_id is not null
            union (select contact_id from contact_identities where tenant_id = p_tenant and scope = p_account::text order by kind, norm limit p_most));
    else
        leaving := array(select distinct contact_id from conversations where id = any(talks));
    end if;
    leaving := array(select c from unnest(leaving) c
        where not exists (select from conversations o where o.tenant_id = p_tenant and o.contact_id = c and o.id <> all (talks))
            and not exists (select from contact_identities i where i.tenant_id = p_tenant and i.contact_id = c and i.scope <> p_account::text));
    delete from memories where id in (select id from memories where contact_id = any(leaving) union select id from memories where source_inbox_id = any(said));
    get diagnostics n = row_count;
    counts := counts || jsonb_build_object('memories', n);
    foreach t in array array['model_calls', 'recalls', 'recalled_turns', 'fresh_episodes', 'episodes'] loop
        execute format('delete from %I where %s', t, case when t in ('fresh_episodes', 'episodes')
            then 'contact_id in (select contact_id from conversations where id = any($2)) and conversation_id = any($2)'
            when t = 'model_calls' then 'turn_id = any($1)' else 'tenant_id = $3 and turn_id = any($1)' end) using told, talks, p_tenant;
        get diagnostics n = row_count;
        counts := counts || jsonb_build_object(t, n);
    end loop;
    delete from send_attempts where message_id = any(answers);
    get diagnostics n = row_count;
    counts := counts || jsonb_build_object('send_attempts', n);
    delete from outbox where id = any(answers);
    get diagnostics n = row_count;
    counts := counts || jsonb_build_object('outbox', n);
    delete from inbox where id = any(said);
    get diagnostics n = row_count;
    counts := counts || jsonb_build_object('inbox', n);
    delete from turns where id = any(told);
    get diagnostics n = row_count;
    counts := counts || jsonb_build_object('turns', n);
    delete from conversations where id = any(talks);
    get diagnostics n = row_count;
    counts := counts || jsonb_build_object('conversations', n);
    delete from contact_identities where tenant_id = p_tenant and contact_id = any (leaving);
    delete from contacts where tenant_id = p_tenant and id = any (leaving);
    get diagnostics n = row_count;
    counts := counts || jsonb_build_object('contacts', n);
    if talks = '{}' then
        delete from contact_identities where tenant_id = p_tenant and scope = p_account::text and (kind, norm) in (
            select kind, norm from contact_identities where tenant_id = p_tenant and scope = p_account::text order by kind, norm limit p_most);
        delete from statuses where (account_id, external_id, status) in (
            select account_id, external_id, status from statuses where account_id = p_account order by external_id, status limit p_most);
        get diagnostics n = row_count;
        counts := counts || jsonb_build_object('statuses', n);
        delete from envelopes where (id, tenant_id) in (
            select id, tenant_id from envelopes where account_id between p_account and p_account order by account_id limit p_most);
        get diagnostics n = row_count;
        counts := counts || jsonb_build_object('envelopes', n);
        -- The keys at the end: until then a repeated message is known.
        delete from inbox_keys where (account_id, event_key) in (
            select account_id, event_key from inbox_keys where account_id = p_account order by event_key limit p_most);
        get diagnostics n = row_count;
        counts := counts || jsonb_build_object('inbox_keys', n);
    end if;
    return counts;
end
$$;

create or replace function remove_account(p_tenant uuid, p_account uuid) returns jsonb language plpgsql set plan_cache_mode = force_custom_plan as $$
declare
    counts jsonb := '{}';
    part jsonb;
begin
    perform from accounts where tenant_id = p_tenant and id = p_account for update;
    if not found then
        return null;
    end if;
    -- Found first, then locked in order: else all conversations are walked through in that order.
    perform from conversations where id = any(array(select id from conversations where account_id between p_account and p_account)) order by id for update;
    loop
        part := remove_part(p_tenant, p_account, 10000);
        counts := (select jsonb_object_agg(coalesce(a.key, b.key), coalesce(a.value::bigint, 0) + coalesce(b.value::bigint, 0))
            from jsonb_each_text(counts) a full join jsonb_each_text(part) b using (key));
        exit when not exists (select from jsonb_each_text(part) where value::bigint > 0);
    end loop;
    delete from contact_identities where tenant_id = p_tenant and scope = p_account::text;
    delete from accounts where tenant_id = p_tenant and id = p_account;
    return counts;
end
$$;
