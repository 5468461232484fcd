-- Whose event it is: finding, making and joining contacts by their identities on a platform.

-- Joins two contacts who are one person: everything of p_gone moves to p_keep, and p_gone is deleted. A running turn of p_gone is fenced.
-- Where both have an open conversation with an account, unanswered messages go to that of p_keep, and the other is closed. A conversation
-- that a person has taken over stays theirs.
-- Locks: the conversations of both contacts. Called by: find_contact, change_handles, settle_case.
create function join_contacts(p_tenant uuid, p_keep uuid, p_gone uuid) returns void language plpgsql as $$
declare
    c record;
    kept uuid;
    talks uuid[];
    told uuid[];
begin
    for c in select * from conversations where tenant_id = p_tenant and contact_id = p_gone for update loop
        select id into kept from conversations
        where account_id = c.account_id and contact_id = p_keep and thread = c.thread and closed_at is null for update;
        if c.closed_at is null and kept is not null then
            update turns set state = 'skipped', reason = 'joined', finished_at = now() where conversation_id = c.id and state = 'open';
            update inbox set conversation_id = kept, contact_id = p_keep, turn_id = null
            where conversation_id = c.id and kind = 'message'
                and (turn_id is null or turn_id in (select id from turns where conversation_id = c.id and reason = 'joined'));
            update conversations set taken_by = c.taken_by, taken_at = c.taken_at, taken_until = c.taken_until, ready_at = null
            where id = kept and taken_by is null and c.taken_by is not null;
            update conversations set closed_at = now(), lease_token = lease_token + 1, leased_by = null, leased_until = null, ready_at = null,
                taken_by = null, taken_at = null, taken_until = null
            where id = c.id;
            update conversations set ready_at = case when taken_by is null then now() end, waiting_since = coalesce(waiting_since, now()), newest_at = now()
            where id = kept and exists (select from inbox where conversation_id = kept and turn_id is null and kind = 'message');
        else
            update conversations set lease_token = lease_token + 1, leased_by = null, leased_until = null,
                ready_at = case when taken_by is not null then null when leased_until is null then ready_at else now() end
            where id = c.id;
        end if;
    end loop;
    -- Found through the conversations, which have an index on the contact; the tables below need none.
    select array_agg(id) into talks from conversations where tenant_id = p_tenant and contact_id = p_gone;
    select array_agg(id) into told from turns where conversation_id = any(talks);
    update conversations set contact_id = p_keep where id = any(talks);
    update turns set contact_id = p_keep where id = any(told);
    update inbox set contact_id = p_keep where conversation_id = any(talks);
    update memories set contact_id = p_keep where contact_id = p_gone;
    update media set contact_id = p_keep where contact_id = p_gone;
    update model_calls set contact_id = p_keep where turn_id = any(told);
    update recalls set contact_id = p_keep where turn_id = any(told) and tenant_id = p_tenant;
    perform move_episodes(p_gone, p_keep, null);
    update recalled_turns set contact_id = p_keep where turn_id = any(told) and tenant_id = p_tenant;
    update send_attempts set contact_id = p_keep where message_id in (select id from outbox where conversation_id = any(talks));
    update outbox set contact_id = p_keep where conversation_id = any(talks);
    -- The platform's limits on p_gone are met again, if they still exist.
    delete from send_limits where contact_id = p_gone;
    insert into envelope_contacts select tenant_id, envelope_id, p_keep from envelope_contacts
    where tenant_id = p_tenant and contact_id = p_gone on conflict do nothing;
    update contact_identities set contact_id = p_keep where tenant_id = p_tenant and contact_id = p_gone;
    perform join_cases(p_tenant, p_keep, p_gone);
    update contacts set stopped_at = coalesce(contacts.stopped_at, g.stopped_at), name = coalesce(contacts.name, g.name),
        memory_off_at = coalesce(contacts.memory_off_at, g.memory_off_at), sensitive_off_at = coalesce(contacts.sensitive_off_at, g.sensitive_off_at),
        sensitive_told_at = coalesce(contacts.sensitive_told_at, g.sensitive_told_at)
    from contacts g where contacts.tenant_id = p_tenant and contacts.id = p_keep and g.tenant_id = p_tenant and g.id = p_gone;
    delete from contacts where tenant_id = p_tenant and id = p_gone;
    -- Of what takes each other's place only the newest is true.
    perform settle_memories(p_keep, null);
end
$$;

-- The one form of a handle for all its spellings: WhatsApp writes a Brazilian mobile number with or without the ninth digit, a Mexican one
-- with or without a 1, an Argentine one with or without a 9 (or, as people write it, with a 15). Everything else stays as it is.
-- The same rules: bots/channels/whatsapp/numbers.py.
-- Locks: none. Called by: whatever looks for a handle.
create function one_number(p_kind text, p_value text) returns text language sql immutable as $$
    select case
        when p_kind <> 'phone' or left(p_value, 2) not in ('52', '54', '55') then p_value
        -- Brazil: area code, then a mobile number of the time before the ninth digit (6 to 9; 2 to 5 are landlines).
        when p_value ~ '^55[1-9][1-9][6-9]\d{7}$' then left(p_value, 4) || '9' || substr(p_value, 5)
        when p_value ~ '^521[2-9]\d{9}$' then '52' || substr(p_value, 4)
        when p_value ~ '^54[1-3]\d{9}$' then '549' || substr(p_value, 3)
        when p_value ~ '^549?(1115\d{8}|[23]\d\d15\d{7}|[23]\d{3}15\d{6})$'
            then regexp_replace(p_value, '^549?(11|[23]\d\d|[23]\d{3})15(\d{6,8})$', '549\1\2')
        else p_value
    end
$$;

-- When an event happened, by the platform. It repeats a webhook for a week: what says that it is older, or later than now, has no time that counts.
-- Locks: none. Called by: find_contact, change_handles.
create function time_of(e jsonb) returns timestamptz language sql stable as $$
    select case when e->>'at' is not null and to_timestamp((e->>'at')::double precision) between now() - interval '8 days' and now()
        then to_timestamp((e->>'at')::double precision) else now() end
$$;

-- Whether a contact has anything that another must not read: words of theirs or to them, answers, memories. Notices and reactions are none.
-- Locks: none. Called by: find_contact, change_handles, open_case.
create function has_history(p_tenant uuid, p_contact uuid) returns boolean language sql stable as $$
    select exists (select from conversations c join inbox i on i.conversation_id = c.id
            where c.tenant_id = p_tenant and c.contact_id = p_contact and i.kind not in ('system', 'reaction'))
        or exists (select from conversations c join turns t on t.conversation_id = c.id where c.tenant_id = p_tenant and c.contact_id = p_contact)
        or exists (select from memories where contact_id = p_contact)
$$;

-- Returns the contact whom an event concerns, and makes one where nobody is known. An event speaks for its first business-scoped id (or other id)
-- and its first phone number: docs/decisions/0025-two-people-never-become-one.md has the rules. In short: the id decides. A number goes to
-- the contact with the id that it came with. Contacts are joined only where one of them has no history, or where the platform announced a change.
-- Locks: those of join_contacts and handles_changed, and the unique key of each identity. Called by: accept_events. Raises
-- serialization_failure where five attempts collided with others; it is safe to try again.
create function find_contact(p_tenant uuid, p_scope text, e jsonb) returns uuid language plpgsql as $$
declare
    at timestamptz;
    id jsonb;
    phone jsonb;
    i contact_identities;
    p contact_identities;
    had uuid;
    owner uuid;
    fresh boolean;
begin
    if e->>'kind' = 'system' and (e ? 'previous'
        or (e->>'reason' in ('user_changed_user_id', 'user_changed_number', 'user_id_update') and jsonb_array_length(e->'identities') > 1) or exists (
        -- The version before names both handles in one list.
        select from jsonb_array_elements(e->'identities') h group by h->>'kind' having count(*) > 1))
    then
        return change_handles(p_tenant, p_scope, e);
    end if;
    if jsonb_array_length(e->'identities') = 1 then
        id := e->'identities'->0;
        if id->>'kind' = 'phone' then
            phone := id;
            id := null;
        end if;
    else
        select h into id from jsonb_array_elements(e->'identities') h where h->>'kind' <> 'phone' limit 1;
        select h into phone from jsonb_array_elements(e->'identities') h where h->>'kind' = 'phone' limit 1;
    end if;
    at := time_of(e);
    for attempt in 1..5 loop
        i := null;
        p := null;
        if id is not null then
            select * into i from contact_identities
            where tenant_id = p_tenant and scope = p_scope and kind = id->>'kind' and norm = id->>'value';
        end if;
        if phone is not null then
            select * into p from contact_identities
            where tenant_id = p_tenant and scope = p_scope and kind = 'phone' and norm = one_number('phone', phone->>'value');
            if phone->>'value' <> p.value and e->>'kind' <> 'echo' then
                update contact_identities set value = phone->>'value'
                where tenant_id = p_tenant and scope = p_scope and kind = 'phone' and norm = p.norm;
            end if;
        end if;
        -- A number that they have left is theirs in messages from before; in later ones it is somebody else's.
        had := case when p.retired_at is null or at <= p.retired_at then p.contact_id end;
        if (id is null or (i.contact_id is not null and i.retired_at is null)) and (phone is null or (had is not null and p.retired_at is null))
            and (id is null or phone is null or had = i.contact_id)
        then
            -- Nearly always.
            return coalesce(i.contact_id, had);
        end if;

        owner := i.contact_id;
        if owner is null and (id is null or not has_other_id(p_tenant, p_scope, had, array[id->>'value'])) then
            owner := had;
        end if;
        if had is not null and had is distinct from owner and (p.retired_at is not null or p.created_at > at) then
            -- An older message than the one that brought the number where it is: the id decides, and the number stays.
            phone := null;
        -- Of whom nobody is known there is no history to look for.
        elsif (owner <> had) is true and not has_other_id(p_tenant, p_scope, had, array[id->>'value'])
            and not (has_history(p_tenant, owner) and has_history(p_tenant, had))
        then
            if has_history(p_tenant, had) then
                perform join_contacts(p_tenant, had, owner);
            else
                perform join_contacts(p_tenant, owner, had);
            end if;
            continue;
        end if;
        fresh := owner is null;
        if fresh then
            -- Of a group nothing is remembered: what one of its members says is nothing about the others.
            insert into contacts (tenant_id, name, memory_off_at) values (p_tenant, e->>'name', case when id->>'kind' = 'group' then now() end)
            returning contacts.id into owner;
        end if;
        if place_handle(p_tenant, p_scope, owner, id, i, at) and place_handle(p_tenant, p_scope, owner, phone, p, at) then
            if id is not null and phone is not null and (p.contact_id is null or had is distinct from owner) then
                -- Whoever has this id has this number now, and no other.
                update contact_identities set retired_at = at
                where tenant_id = p_tenant and contact_id = owner and scope = p_scope and kind = 'phone' and retired_at is null
                    and norm <> one_number('phone', phone->>'value');
                if found then
                    perform handles_changed(p_tenant, p_scope, owner);
                end if;
            end if;
            if had <> owner and phone is not null then
                perform handles_changed(p_tenant, p_scope, had);
                perform open_case(p_tenant, p_scope, had, owner, 'message');
            end if;
            return owner;
        end if;
        -- Another transaction placed a handle at the same moment: look again.
        if fresh then
            delete from contact_identities where tenant_id = p_tenant and contact_id = owner;
            delete from contacts where tenant_id = p_tenant and contacts.id = owner;
        end if;
    end loop;
    raise exception 'a contact could not be placed' using errcode = 'serialization_failure';
end
$$;
