create or replace function claim_remembering(p_queue text, p_most integer, p_lease double precision) returns jsonb language plpgsql as $$
declare
    c conversations;
    found_messages jsonb;
    newest integer;
begin
    select * into c from conversations
    where remember_at <= now() and profile_queue(queue) = 'reply.' || substr(p_queue, 7)
    order by remember_at limit 1 for update skip locked;
    if not found then
        return null;
    end if;
    update conversations set remember_at = now() + make_interval(secs => p_lease), remember_token = remember_token + 1
    where id = c.id returning * into c;
    select jsonb_agg(jsonb_build_object('id', x.id, 'turn', x.number, 'text', left(x.text, 2000), 'at', x.at) order by x.number, x.arrival), max(x.number)
    into found_messages, newest
    from (
        select i.id, h.number, i.text, said_at(i) as at, i.arrival
        from turns h join inbox i on i.turn_id = h.id
        where h.conversation_id = c.id and h.number > c.remembered_until and h.state = 'answered' and h.in_history
            and i.kind = 'message' and i.supported and i.forgotten_at is null and not is_forwarded(i) and i.reason is distinct from 'untold' and btrim(i.text) <> ''
        order by h.number, i.arrival limit p_most
    ) x;
    return jsonb_build_object('tenant', c.tenant_id, 'conversation', c.id, 'contact', c.contact_id, 'account', c.account_id,
        'identities', (select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'value', value) order by kind, created_at desc), '[]')
            from contact_identities where tenant_id = c.tenant_id and contact_id = c.contact_id and retired_at is null),
        'token', c.remember_token, 'tries', c.remember_tries, 'messages', coalesce(found_messages, '[]'),
        'until', case when jsonb_array_length(found_messages) = p_most then newest
            else coalesce((select max(number) from turns where conversation_id = c.id and state <> 'open'), c.remembered_until) end);
end
$$;

create or replace function finish_remembering(p_contact uuid, p_conversation uuid, p_token bigint, p_until integer, p_facts jsonb, p_ends jsonb, p_by text,
    p_again double precision, p_calls jsonb) returns boolean language plpgsql as $$
declare
    c conversations;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    select * into c from conversations where id = p_conversation for update;
    perform pay_background(c, 'remember', p_until, p_calls, c.remember_token is not distinct from p_token and c.remember_at is not null);
    if c.remember_token is distinct from p_token or c.remember_at is null then
        return false;
    end if;
    if jsonb_array_length(p_facts) > 0 then
        perform remember(p_contact, (select id from turns where conversation_id = c.id and number = p_until), p_facts, p_ends, p_by);
    end if;
    -- The token rises, so that the same call again changes nothing.
    update conversations set remembered_until = greatest(remembered_until, p_until), remember_tries = 0, remember_token = remember_token + 1,
        remember_at = case when exists (select from turns where conversation_id = c.id and number > p_until and state = 'answered')
            then now() + make_interval(secs => p_again) end
    where id = c.id;
    return true;
end
$$;

create or replace function put_off_remembering(p_contact uuid, p_conversation uuid, p_token bigint, p_until integer, p_after double precision, p_calls jsonb)
returns void language plpgsql as $$
declare
    c conversations;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    select * into c from conversations where id = p_conversation for update;
    perform pay_background(c, 'remember', p_until, p_calls, c.remember_token is not distinct from p_token and c.remember_at is not null);
    update conversations set remember_token = remember_token + 1,
        remember_at = now() + case when p_after is null then interval '1 minute' * (array[1, 10])[least(remember_tries, 1) + 1] else make_interval(secs => p_after) end,
        remember_tries = remember_tries + case when p_after is null then 1 else 0 end
    where id = c.id and remember_token = p_token and remember_at is not null;
end
$$;
