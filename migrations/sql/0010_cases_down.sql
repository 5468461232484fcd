CREATE OR REPLACE FUNCTION public.settle_case(p_tenant uuid, p_case uuid, p_same boolean)
 RETURNS text
 LANGUAGE plpgsql
AS $function$
declare
    k identity_cases;
begin
    select * into k from identity_cases where tenant_id = p_tenant and id = p_case for update;
    if k.state = 'same_person' and not p_same then
        perform separate_contacts(k);
    end if;
    if p_same and k.state <> 'same_person' then
        -- The holder gets conversations of their own, so that those of the former contact end here and can be given back as they are.
        insert into conversations (tenant_id, account_id, contact_id, thread, queue)
        select tenant_id, account_id, k.holder_id, thread, queue from conversations
        where tenant_id = p_tenant and contact_id = k.former_id and closed_at is null
        on conflict (account_id, contact_id, thread) where closed_at is null do nothing;
        update identity_cases set moved = (
            select jsonb_build_object('cases', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'former', former_id, 'holder', holder_id)), '[]')
                    from identity_cases where tenant_id = p_tenant and id <> k.id and (former_id = f.id or holder_id = f.id)),
                'name', f.name, 'stopped_at', f.stopped_at, 'created_at', f.created_at,
                'holder_name', h.name, 'holder_stopped_at', h.stopped_at,
                'handles', (select coalesce(jsonb_agg(jsonb_build_object('scope', scope, 'kind', kind, 'norm', norm)), '[]')
                    from contact_identities where tenant_id = p_tenant and contact_id = f.id),
                'talks', (select coalesce(jsonb_agg(id), '[]') from conversations where tenant_id = p_tenant and contact_id = f.id),
                'open', (select coalesce(jsonb_agg(id), '[]') from conversations where tenant_id = p_tenant and contact_id = f.id and closed_at is null),
                'waiting', (select coalesce(jsonb_agg(jsonb_build_object('id', i.id, 'talk', c.id)), '[]') from conversations c
                    join inbox i on i.conversation_id = c.id left join turns t on t.id = i.turn_id
                    where c.tenant_id = p_tenant and c.contact_id = f.id and i.kind = 'message' and (i.turn_id is null or t.state = 'open')))
            from contacts f, contacts h where f.tenant_id = p_tenant and f.id = k.former_id and h.tenant_id = p_tenant and h.id = k.holder_id)
        where tenant_id = p_tenant and id = p_case;
        update identity_cases set state = 'same_person', settled_at = now() where tenant_id = p_tenant and id = p_case;
        perform join_contacts(p_tenant, k.holder_id, k.former_id);
    elsif not p_same then
        update identity_cases set state = 'two_people', settled_at = now(), moved = null where tenant_id = p_tenant and id = p_case;
    end if;
    return k.state;
end
$function$;

drop function own_switch(timestamp with time zone,jsonb,integer);

CREATE OR REPLACE FUNCTION public.separate_contacts(k identity_cases)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
    talks uuid[];
    told uuid[];
    waited uuid[];
begin
    -- Of a third contact that had been joined first, and was separated before this one, nothing is the holder's any more.
    select array_agg(id) into talks from conversations where tenant_id = k.tenant_id and contact_id = k.holder_id
        and id in (select x::uuid from jsonb_array_elements_text(k.moved->'talks') x);
    select array_agg((x->>'id')::uuid) into waited from jsonb_array_elements(k.moved->'waiting') x;
    insert into contacts (tenant_id, id, name, stopped_at, created_at)
    values (k.tenant_id, k.former_id, k.moved->>'name', (k.moved->>'stopped_at')::timestamptz, (k.moved->>'created_at')::timestamptz);
    update contacts set name = case when k.moved->>'holder_name' is null and name = k.moved->>'name' then null else name end,
        stopped_at = case when k.moved->>'holder_stopped_at' is null and stopped_at = (k.moved->>'stopped_at')::timestamptz then null else stopped_at end
    where tenant_id = k.tenant_id and id = k.holder_id;
    update contact_identities x set contact_id = k.former_id from jsonb_array_elements(k.moved->'handles') h
    where x.tenant_id = k.tenant_id and x.scope = h->>'scope' and x.kind = h->>'kind' and x.norm = h->>'norm' and x.contact_id = k.holder_id;

    update identity_cases c set former_id = (o->>'former')::uuid, holder_id = (o->>'holder')::uuid from jsonb_array_elements(k.moved->'cases') o
    where c.tenant_id = k.tenant_id and c.id = (o->>'id')::uuid
        -- What was joined after these two were is still the holder's.
        and not (c.state = 'same_person' and c.settled_at > k.settled_at);

    -- A running turn starts again without the other's words, and later prompts begin here.
    perform from conversations where tenant_id = k.tenant_id and contact_id = k.holder_id for update;
    update inbox set turn_id = null where turn_id in (select t.id from turns t join conversations c on c.id = t.conversation_id
        where c.tenant_id = k.tenant_id and c.contact_id = k.holder_id and t.state = 'open');
    update turns set state = 'skipped', reason = 'separated', finished_at = now() where state = 'open' and conversation_id in (
        select id from conversations where tenant_id = k.tenant_id and contact_id = k.holder_id);
    update turns set in_history = false where id in (select turn_id from inbox where id = any(waited));
    update inbox i set conversation_id = (w->>'talk')::uuid from jsonb_array_elements(k.moved->'waiting') w
    where i.id = (w->>'id')::uuid and (w->>'talk')::uuid = any(talks);
    update conversations c set lease_token = lease_token + 1, leased_by = null, leased_until = null, summary = null, summarise_at = null, summarise_to = null,
        history_from = n.number, summary_until = n.number - 1, session_at = now(),
        ready_at = case when taken_by is null and exists (select from inbox where conversation_id = c.id and turn_id is null and kind = 'message') then now() end
    from (select v.id, coalesce((select max(number) from turns where conversation_id = v.id), 0) + 1 as number from conversations v
        where v.tenant_id = k.tenant_id and v.contact_id = k.holder_id and v.closed_at is null) n
    where c.id = n.id;

    select array_agg(id) into told from turns where conversation_id = any(talks);
    update conversations set contact_id = k.former_id where id = any(talks);
    update turns set contact_id = k.former_id where id = any(told);
    update inbox set contact_id = k.former_id where conversation_id = any(talks);
    update media set contact_id = k.former_id where inbox_id in (select id from inbox where conversation_id = any(talks));
    update model_calls set contact_id = k.former_id where turn_id = any(told);
    update recalls set contact_id = k.former_id where turn_id = any(told) and tenant_id = k.tenant_id;
    update send_attempts set contact_id = k.former_id where message_id in (select id from outbox where conversation_id = any(talks));
    update outbox set contact_id = k.former_id where conversation_id = any(talks);
    insert into envelope_contacts select distinct tenant_id, envelope_id, contact_id from inbox
    where conversation_id = any(talks) and envelope_id is not null on conflict do nothing;
    delete from envelope_contacts x where x.tenant_id = k.tenant_id and x.contact_id = k.holder_id
        and exists (select from envelope_contacts f where f.tenant_id = k.tenant_id and f.envelope_id = x.envelope_id and f.contact_id = k.former_id)
        and not exists (select from inbox i join conversations c on c.id = i.conversation_id
            where c.tenant_id = k.tenant_id and c.contact_id = k.holder_id and i.envelope_id = x.envelope_id);
    -- A memory belongs to whoever said it, and nobody's replaces another's.
    update memories m set contact_id = i.contact_id from inbox i
    where m.tenant_id = k.tenant_id and m.contact_id = k.holder_id and i.tenant_id = m.tenant_id and i.id = m.source_inbox_id and i.contact_id = k.former_id;
    update memories m set valid_to = null, superseded_by = null from memories n
    where m.tenant_id = k.tenant_id and m.contact_id in (k.former_id, k.holder_id) and n.tenant_id = m.tenant_id and n.id = m.superseded_by
        and n.contact_id <> m.contact_id;
    delete from recalls r using memories m
    where m.tenant_id = k.tenant_id and m.contact_id in (k.former_id, k.holder_id) and r.memory_id = m.id and r.contact_id <> m.contact_id;
    update conversations c set closed_at = null, waiting_since = w.since, ready_at = case when w.since is not null then now() end
    from (select v.id, (select min(received_at) from inbox where conversation_id = v.id and turn_id is null and kind = 'message') as since
        from conversations v where v.id = any(talks) and v.id in (select x::uuid from jsonb_array_elements_text(k.moved->'open') x)) w
    where c.id = w.id;
    perform handles_changed(k.tenant_id, k.account_id::text, k.former_id);
end
$function$;
