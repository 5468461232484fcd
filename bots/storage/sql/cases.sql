-- Two contacts, or one? Cases that an operator settles, and what joining two contacts by hand needs in order to be undone.

-- A number went from p_former to p_holder, and the platform did not say that they are one person: an operator may know. Nothing is opened where the former
-- contact has no history, or where an operator has said that these are two people.
-- Locks: the case. Called by: find_contact, change_handles.
create function open_case(p_tenant uuid, p_scope text, p_former uuid, p_holder uuid, p_reason text) returns void language plpgsql as $$
begin
    if has_history(p_tenant, p_former) then
        insert into identity_cases (tenant_id, account_id, former_id, holder_id, reason)
        values (p_tenant, p_scope::uuid, p_former, p_holder, p_reason)
        on conflict (tenant_id, least(former_id, holder_id), greatest(former_id, holder_id)) do update
        set former_id = excluded.former_id, holder_id = excluded.holder_id, reason = excluded.reason, opened_at = now()
        where identity_cases.state = 'open';
    end if;
end
$$;

-- p_gone is being joined with p_keep: its cases become those of p_keep, and what was asked about these two is answered.
-- Locks: the cases of both. Called by: join_contacts.
create function join_cases(p_tenant uuid, p_keep uuid, p_gone uuid) returns void language plpgsql as $$
declare
    k record;
begin
    for k in select id, state, case when former_id = p_gone then holder_id else former_id end as other from identity_cases
        where tenant_id = p_tenant and (former_id = p_gone or holder_id = p_gone) and not (state = 'same_person' and former_id = p_gone) for update
    loop
        if k.other = p_keep then
            delete from identity_cases where tenant_id = p_tenant and id = k.id;
        else
            delete from identity_cases where tenant_id = p_tenant and least(former_id, holder_id) = least(p_keep, k.other)
                and greatest(former_id, holder_id) = greatest(p_keep, k.other);
            update identity_cases set former_id = case when former_id = p_gone then p_keep else former_id end,
                holder_id = case when holder_id = p_gone then p_keep else holder_id end
            where tenant_id = p_tenant and id = k.id;
        end if;
    end loop;
end
$$;

-- Records what an operator says of a case: p_same: both are one person, and are joined; else they are two, and are separated again if they had
-- been joined so. Returns the state before; null where there is no such case.
-- Locks: the case, then those of join_contacts. Called by: crossing (what operators do).
create function settle_case(p_tenant uuid, p_case uuid, p_same boolean) returns text language plpgsql as $$
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
                'switches', jsonb_build_array(f.memory_off_at, f.sensitive_off_at, f.sensitive_told_at),
                'holder_switches', jsonb_build_array(h.memory_off_at, h.sensitive_off_at, h.sensitive_told_at),
                -- Those without a message of theirs: whose they are shows nowhere else.
                'added', (select coalesce(jsonb_agg(id), '[]') from memories where contact_id = f.id and source_inbox_id is null),
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
$$;

-- A switch of the holder without what joining gave it: the n-th of the switches that both had before (p_moved).
-- Locks: none. Called by: separate_contacts.
create function own_switch(p_since timestamptz, p_moved jsonb, p_n integer) returns timestamptz language sql stable as $$
    select case when p_moved->'holder_switches'->>p_n is null and p_since = (p_moved->'switches'->>p_n)::timestamptz then null else p_since end
$$;

-- Undoes what settle_case joined: the former contact is there again with its handles (but not the number in question), its conversations and
-- what was remembered from them. What was said since stays with the holder, but no later prompt repeats it, since answers may have drawn on both.
-- Locks: the conversations of the holder. Called by: settle_case.
create function separate_contacts(k identity_cases) returns void language plpgsql as $$
declare
    talks uuid[];
    told uuid[];
    waited uuid[];
begin
    -- Of a third contact that had been joined first, and was separated before this one, nothing is the holder's any more.
    select array_agg(id) into talks from conversations where tenant_id = k.tenant_id and contact_id = k.holder_id
        and id in (select x::uuid from jsonb_array_elements_text(k.moved->'talks') x);
    select array_agg((x->>'id')::uuid) into waited from jsonb_array_elements(k.moved->'waiting') x;
    insert into contacts (tenant_id, id, name, stopped_at, created_at, memory_off_at, sensitive_off_at, sensitive_told_at)
    values (k.tenant_id, k.former_id, k.moved->>'name', (k.moved->>'stopped_at')::timestamptz, (k.moved->>'created_at')::timestamptz,
        (k.moved->'switches'->>0)::timestamptz, (k.moved->'switches'->>1)::timestamptz, (k.moved->'switches'->>2)::timestamptz);
    update contacts set name = case when k.moved->>'holder_name' is null and name = k.moved->>'name' then null else name end,
        stopped_at = case when k.moved->>'holder_stopped_at' is null and stopped_at = (k.moved->>'stopped_at')::timestamptz then null else stopped_at end,
        memory_off_at = own_switch(memory_off_at, k.moved, 0), sensitive_off_at = own_switch(sensitive_off_at, k.moved, 1),
        sensitive_told_at = own_switch(sensitive_told_at, k.moved, 2)
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
    perform move_episodes(k.holder_id, k.former_id, told);
    update recalled_turns set contact_id = k.former_id where turn_id = any(told) and tenant_id = k.tenant_id;
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
    update memories set contact_id = k.former_id
    where tenant_id = k.tenant_id and contact_id = k.holder_id and id in (select x::uuid from jsonb_array_elements_text(k.moved->'added') x);
    update memories m set valid_to = null, ended_at = null, ended_by_inbox_id = null from inbox i
    where m.tenant_id = k.tenant_id and m.contact_id in (k.former_id, k.holder_id) and i.tenant_id = m.tenant_id and i.id = m.ended_by_inbox_id
        and i.contact_id <> m.contact_id;
    perform settle_memories(x, null) from unnest(array[k.former_id, k.holder_id]) x;
    delete from recalls r using memories m
    where m.tenant_id = k.tenant_id and m.contact_id in (k.former_id, k.holder_id) and r.memory_id = m.id and r.contact_id <> m.contact_id;
    update conversations c set closed_at = null, waiting_since = w.since, ready_at = case when w.since is not null then now() end
    from (select v.id, (select min(received_at) from inbox where conversation_id = v.id and turn_id is null and kind = 'message') as since
        from conversations v where v.id = any(talks) and v.id in (select x::uuid from jsonb_array_elements_text(k.moved->'open') x)) w
    where c.id = w.id;
    delete from recalled_turns r using turns h
    where r.contact_id in (k.former_id, k.holder_id) and h.id = r.recalled_id and h.contact_id <> r.contact_id;
    perform handles_changed(k.tenant_id, k.account_id::text, k.former_id);
end
$$;
