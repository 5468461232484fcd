drop function remove_part(uuid,uuid,integer);

CREATE OR REPLACE FUNCTION public.remove_account(p_tenant uuid, p_account uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
declare
    leaving uuid[];
    shared uuid[];
    counts jsonb := '{}';
    n bigint;
    t text;
begin
    -- So that no messages are taken in meanwhile.
    perform from accounts where tenant_id = p_tenant and id = p_account for update;
    if not found then
        return null;
    end if;
    select coalesce(array_agg(distinct c), '{}') into leaving from (
        select contact_id as c from conversations where tenant_id = p_tenant and account_id = p_account
        union select contact_id from contact_identities where tenant_id = p_tenant and scope = p_account::text
        union select contact_id from inbox where tenant_id = p_tenant and account_id = p_account and contact_id is not null
    ) known;
    select coalesce(array_agg(c), '{}') into shared from unnest(leaving) c
    where exists (select from conversations o where o.tenant_id = p_tenant and o.contact_id = c and o.account_id <> p_account)
        or exists (select from contact_identities i where i.tenant_id = p_tenant and i.contact_id = c and i.scope <> p_account::text);
    select coalesce(array_agg(c), '{}') into leaving from unnest(leaving) c where c <> all (shared);

    delete from memories m where m.tenant_id = p_tenant and (
        m.contact_id = any (leaving)
        or m.source_inbox_id in (select id from inbox where tenant_id = p_tenant and account_id = p_account));
    get diagnostics n = row_count;
    counts := counts || jsonb_build_object('memories', n);
    foreach t in array array['send_attempts', 'model_calls', 'recalls', 'recalled_turns'] loop
        execute format(
            'delete from %I x using %s where x.tenant_id = $1 and %s and y.tenant_id = $1 and c.tenant_id = $1 and c.account_id = $2',
            t,
            case t when 'send_attempts' then 'outbox y, conversations c' else 'turns y, conversations c' end,
            case t when 'send_attempts' then 'x.message_id = y.id and y.conversation_id = c.id'
                else 'x.turn_id = y.id and y.conversation_id = c.id' end)
        using p_tenant, p_account;
        get diagnostics n = row_count;
        counts := counts || jsonb_build_object(t, n);
    end loop;
    foreach t in array array['fresh_episodes', 'episodes'] loop
        execute format('delete from %I x using conversations c where c.tenant_id = $1 and c.account_id = $2 and x.contact_id = c.contact_id'
            ' and x.conversation_id = c.id', t) using p_tenant, p_account;
    end loop;
    foreach t in array array['outbox', 'inbox', 'statuses', 'inbox_keys', 'envelopes'] loop
        execute format('delete from %I where tenant_id = $1 and account_id = $2', t) using p_tenant, p_account;
        get diagnostics n = row_count;
        counts := counts || jsonb_build_object(t, n);
    end loop;
    delete from turns y using conversations c
    where y.tenant_id = p_tenant and y.conversation_id = c.id and c.tenant_id = p_tenant and c.account_id = p_account;
    get diagnostics n = row_count;
    counts := counts || jsonb_build_object('turns', n);
    delete from conversations where tenant_id = p_tenant and account_id = p_account;
    get diagnostics n = row_count;
    counts := counts || jsonb_build_object('conversations', n);
    delete from contact_identities where tenant_id = p_tenant and (scope = p_account::text or contact_id = any (leaving));
    delete from contacts where tenant_id = p_tenant and id = any (leaving);
    get diagnostics n = row_count;
    counts := counts || jsonb_build_object('contacts', n);
    delete from accounts where tenant_id = p_tenant and id = p_account;
    return counts;
end
$function$;
