create or replace function place_handle(p_tenant uuid, p_scope text, p_contact uuid, p_handle jsonb, x contact_identities, p_at timestamptz) returns boolean
language plpgsql as $$
begin
    if p_handle is null or (x.contact_id = p_contact and (x.retired_at is null or x.retired_at >= p_at)) then
        return true;
    end if;
    if x.contact_id is null then
        insert into contact_identities (tenant_id, scope, kind, value, norm, contact_id, created_at)
        values (p_tenant, p_scope, p_handle->>'kind', p_handle->>'value', one_number(p_handle->>'kind', p_handle->>'value'), p_contact, p_at)
        on conflict do nothing;
        return found;
    end if;
    update contact_identities set contact_id = p_contact, value = p_handle->>'value', created_at = p_at, retired_at = null
    where tenant_id = p_tenant and scope = p_scope and kind = x.kind and norm = x.norm and contact_id = x.contact_id;
    return found;
end
$$;

create or replace function handles_changed(p_tenant uuid, p_scope text, p_contact uuid) returns void language plpgsql as $$
declare
    reachable boolean := exists (
        select from contact_identities where tenant_id = p_tenant and contact_id = p_contact and scope = p_scope and retired_at is null);
begin
    update conversations set lease_token = lease_token + 1, leased_by = null, leased_until = null,
        ready_at = case when taken_by is not null or not reachable then null when leased_until is null then ready_at else now() end
    where tenant_id = p_tenant and contact_id = p_contact and account_id::text = p_scope and closed_at is null;
    if not reachable then
        update outbox set status = 'failed', reason = 'handle_moved', not_before = null, status_at = now(), attention_at = now()
        where status = 'queued' and conversation_id in (
            select id from conversations where tenant_id = p_tenant and contact_id = p_contact and account_id::text = p_scope);
    end if;
end
$$;

create or replace function change_handles(p_tenant uuid, p_scope text, e jsonb) returns uuid language plpgsql as $$
declare
    at timestamptz := time_of(e);
    news jsonb;
    olds jsonb;
    ids text[];
    people uuid[];
    contact uuid;
    other uuid;
    h jsonb;
    x contact_identities;
    renumbered boolean := false;
    lost boolean := false;
begin
    -- The first of a kind is the new one. The version before names the old one behind it, in the same list.
    select coalesce(jsonb_agg(o) filter (where side = 1 and is_first), '[]'), coalesce(jsonb_agg(o) filter (where not is_same), '[]') into news, olds
    from (
        select o, side, is_first,
            norm = first_value(norm) over (partition by o->>'kind' order by side, n) and min(side) over (partition by o->>'kind') = 1 as is_same
        from (
            select o, side, n, one_number(o->>'kind', o->>'value') as norm, side = 1 and n = min(n) over (partition by side, o->>'kind') as is_first
            from (select 1 as side, o, n from jsonb_array_elements(e->'identities') with ordinality as t(o, n)
                union all select 2, o, n from jsonb_array_elements(coalesce(e->'previous', '[]')) with ordinality as t(o, n)) as named
        ) as listed
    ) as told;
    -- Where no old id is named, the one that a contact has may be the one that changed.
    select coalesce(array_agg(o->>'value'), '{}') into ids from jsonb_array_elements(news || olds) o
    where o->>'kind' <> 'phone' and exists (select from jsonb_array_elements(olds) b where b->>'kind' <> 'phone');
    -- Whom the notice surely names: ids are never given to others. A number is, so its owner must have had it at the change (or have the new
    -- one by now: the same notice, in other words), and must not have an id that the notice does not name.
    select coalesce(array_agg(distinct k.contact_id), '{}') into people
    from jsonb_array_elements(news || olds) o
    join contact_identities k on k.tenant_id = p_tenant and k.scope = p_scope and k.kind = o->>'kind' and k.norm = one_number(o->>'kind', o->>'value')
    where k.kind <> 'phone' or (olds @> jsonb_build_array(o)
        and not has_other_id(p_tenant, p_scope, k.contact_id, ids) and k.created_at <= at
        and (k.retired_at is null or k.retired_at >= at - interval '1 hour' or exists (
            select from jsonb_array_elements(news) n join contact_identities q on q.tenant_id = p_tenant and q.scope = p_scope
                and q.kind = 'phone' and q.norm = one_number('phone', n->>'value')
            where n->>'kind' = 'phone' and q.contact_id = k.contact_id and q.retired_at is null)));
    -- Who has the new number already: the same person, if they are known since about now, or if nobody else is meant.
    for x in
        select k.* from jsonb_array_elements(news) o
        join contact_identities k on k.tenant_id = p_tenant and k.scope = p_scope and k.kind = 'phone' and k.norm = one_number('phone', o->>'value')
        where o->>'kind' = 'phone' and (k.retired_at is null or k.retired_at >= at) and not has_other_id(p_tenant, p_scope, k.contact_id, ids)
    loop
        if not has_history(p_tenant, x.contact_id)
            or not exists (select from contact_identities where tenant_id = p_tenant and contact_id = x.contact_id and scope = p_scope
                and created_at < at - interval '1 hour')
            or (cardinality(people) = 0 and not exists (select from jsonb_array_elements(olds) o where o->>'kind' = 'phone'))
        then
            people := people || x.contact_id;
        end if;
    end loop;
    select coalesce(array_agg(c.id order by c.created_at, c.id), '{}') into people from contacts c where c.tenant_id = p_tenant and c.id = any(people);
    contact := people[1];
    if contact is null then
        insert into contacts (tenant_id, name) values (p_tenant, e->>'name') returning id into contact;
    end if;
    foreach other in array people[2:] loop
        perform join_contacts(p_tenant, contact, other);
    end loop;

    for h in select o from jsonb_array_elements(news) o loop
        select * into x from contact_identities
        where tenant_id = p_tenant and scope = p_scope and kind = h->>'kind' and norm = one_number(h->>'kind', h->>'value');
        -- Somebody else has the number since a later time than this notice is from.
        continue when x.contact_id <> contact and x.created_at > at;
        if not place_handle(p_tenant, p_scope, contact, h, x, at) then
            raise exception 'a handle could not be placed' using errcode = 'serialization_failure';
        end if;
        continue when x.contact_id = contact and x.retired_at >= at;
        renumbered := renumbered or (h->>'kind' = 'phone' and (x.contact_id is distinct from contact or x.retired_at is not null));
        if x.contact_id <> contact and x.retired_at is null then
            perform handles_changed(p_tenant, p_scope, x.contact_id);
            perform open_case(p_tenant, p_scope, x.contact_id, contact, 'notice');
        end if;
        -- One current handle of a kind.
        olds := olds || coalesce((select jsonb_agg(jsonb_build_object('kind', kind, 'value', value)) from contact_identities
            where tenant_id = p_tenant and contact_id = contact and scope = p_scope and kind = h->>'kind' and retired_at is null
                and norm <> one_number(h->>'kind', h->>'value')), '[]');
    end loop;
    if renumbered and not exists (select from jsonb_array_elements(news) o where o->>'kind' <> 'phone') then
        -- A new number brings a new id, which the next message will show.
        olds := olds || coalesce((select jsonb_agg(jsonb_build_object('kind', kind, 'value', value)) from contact_identities
            where tenant_id = p_tenant and contact_id = contact and scope = p_scope and kind <> 'phone' and retired_at is null), '[]');
    end if;
    for h in select o from jsonb_array_elements(olds) o loop
        insert into contact_identities (tenant_id, scope, kind, value, norm, contact_id, created_at, retired_at)
        values (p_tenant, p_scope, h->>'kind', h->>'value', one_number(h->>'kind', h->>'value'), contact, at, at)
        on conflict (tenant_id, scope, kind, norm) do update
        set retired_at = greatest(at, contact_identities.created_at)
        where contact_identities.contact_id = excluded.contact_id and contact_identities.retired_at is null;
        lost := lost or found;
    end loop;
    if lost then
        perform handles_changed(p_tenant, p_scope, contact);
    end if;
    return contact;
end
$$;

create or replace function has_other_id(p_tenant uuid, p_scope text, p_contact uuid, p_ids text[]) returns boolean language sql stable as $$
    select cardinality(p_ids) > 0 and exists (select from contact_identities
        where tenant_id = p_tenant and contact_id = p_contact and scope = p_scope and kind <> 'phone' and retired_at is null and norm <> all (p_ids))
$$;
