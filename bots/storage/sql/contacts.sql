-- Whose event it is: finding, making and joining contacts by their identities on a platform.

-- Joins two contacts who are one person: everything of p_gone moves to p_keep, and p_gone is deleted. A running turn of p_gone is fenced.
-- Where both have an open conversation with an account, unanswered messages go to that of p_keep, and the other is closed. A conversation
-- that a person has taken over stays theirs.
-- Locks: the conversations of both contacts. Called by: find_contact.
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
    update send_attempts set contact_id = p_keep where message_id in (select id from outbox where conversation_id = any(talks));
    update outbox set contact_id = p_keep where conversation_id = any(talks);
    insert into envelope_contacts select tenant_id, envelope_id, p_keep from envelope_contacts
    where tenant_id = p_tenant and contact_id = p_gone on conflict do nothing;
    update contact_identities set contact_id = p_keep where tenant_id = p_tenant and contact_id = p_gone;
    update contacts set stopped_at = coalesce(contacts.stopped_at, g.stopped_at), name = coalesce(contacts.name, g.name)
    from contacts g where contacts.tenant_id = p_tenant and contacts.id = p_keep and g.tenant_id = p_tenant and g.id = p_gone;
    delete from contacts where tenant_id = p_tenant and id = p_gone;
    -- Of a single-valued kind only the newest fact stays.
    update memories m set valid_to = now(), superseded_by = n.id
    from memories n
    where m.tenant_id = p_tenant and m.contact_id = p_keep and n.contact_id = p_keep and m.single and n.single and m.kind = n.kind
        and m.valid_to is null and n.valid_to is null and (n.created_at, n.id) > (m.created_at, m.id);
end
$$;

-- Returns the contact behind these identities ([{kind, value}]); makes one where there is none, joins them where there are several (the
-- oldest stays). p_moves says that the platform announced a change of identity; without that, a known phone with another business id
-- (bsuid) belongs to a new person.
-- Locks: those of join_contacts, and the unique key of each identity. Called by: accept_events. Raises serialization_failure where five
-- attempts collided with others; it is safe to try again.
create function find_contact(p_tenant uuid, p_scope text, p_identities jsonb, p_name text, p_moves boolean) returns uuid
language plpgsql as $$
declare
    found_ids uuid[];
    contact uuid;
    other uuid;
    placed integer;
begin
    for attempt in 1..5 loop
        select array_agg(id order by created_at, id) into found_ids from (
            select distinct c.id, c.created_at
            from jsonb_array_elements(p_identities) i
            join lateral (select contact_id from contact_identities x where x.tenant_id = p_tenant and x.scope = p_scope and x.kind = i->>'kind' and x.value = i->>'value' offset 0) x on true
            join contacts c on c.tenant_id = p_tenant and c.id = x.contact_id
        ) as owners;
        -- A phone that comes with another business id than its contact's, and without a notice of the change, was given to somebody else:
        -- a stranger must not get into this contact's conversation.
        if cardinality(found_ids) = 1 and not p_moves and exists (
            select from contact_identities where tenant_id = p_tenant and scope = p_scope and contact_id = found_ids[1] and kind = 'bsuid'
        ) and exists (
            select from jsonb_array_elements(p_identities) i where i->>'kind' = 'bsuid'
        ) and not exists (
            select from jsonb_array_elements(p_identities) i join contact_identities x on x.tenant_id = p_tenant and x.scope = p_scope
                and x.kind = 'bsuid' and x.value = i->>'value' and x.contact_id = found_ids[1]
            where i->>'kind' = 'bsuid'
        ) then
            delete from contact_identities x using jsonb_array_elements(p_identities) i
            where x.tenant_id = p_tenant and x.scope = p_scope and x.kind = i->>'kind' and x.value = i->>'value';
            found_ids := null;
        end if;
        if found_ids is null then
            insert into contacts (tenant_id, name) values (p_tenant, p_name) returning id into contact;
        else
            contact := found_ids[1];
            foreach other in array found_ids[2:] loop
                perform join_contacts(p_tenant, contact, other);
            end loop;
        end if;
        if found_ids is not null and jsonb_array_length(p_identities) = 1 then
            return contact;
        end if;
        insert into contact_identities (tenant_id, scope, kind, value, contact_id)
        select p_tenant, p_scope, i->>'kind', i->>'value', contact from jsonb_array_elements(p_identities) i
        order by 3, 4
        on conflict do nothing;
        get diagnostics placed = row_count;
        if found_ids is not null or placed = jsonb_array_length(p_identities) then
            return contact;
        end if;
        -- Another transaction made this contact at the same moment: use it.
        delete from contact_identities where tenant_id = p_tenant and contact_id = contact;
        delete from contacts where tenant_id = p_tenant and id = contact;
    end loop;
    raise exception 'a contact could not be placed' using errcode = 'serialization_failure';
end
$$;
