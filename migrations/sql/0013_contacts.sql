create or replace function find_contact(p_tenant uuid, p_scope text, e jsonb) returns uuid language plpgsql as $$
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
