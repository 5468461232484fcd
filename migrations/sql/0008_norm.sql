-- Spellings of numbers, for the contacts that are known already.
update contact_identities set norm = one_number(kind, value);
-- One contact with a number in two spellings: the newer one stays.
delete from contact_identities a using contact_identities b
where a.kind = 'phone' and b.kind = 'phone' and a.tenant_id = b.tenant_id and a.scope = b.scope and a.norm = b.norm
    and a.contact_id = b.contact_id and (a.created_at, a.value) < (b.created_at, b.value);
-- Two contacts with one number: whoever wrote last has it, and an operator says whether they are one person.
create temporary table twins on commit drop as
select tenant_id, scope, norm, value, contact_id, place, holder from (
    select i.*, row_number() over w as place, first_value(contact_id) over w as holder
    from (select x.*, (select max(received_at) from conversations c join inbox m on m.conversation_id = c.id and m.kind = 'message'
            where c.tenant_id = x.tenant_id and c.contact_id = x.contact_id) as last_at
        from contact_identities x where kind = 'phone' and left(value, 2) in ('52', '54', '55')) i
    window w as (partition by tenant_id, scope, norm order by last_at desc nulls last, created_at desc, value)) ranked
where place > 1;
delete from contact_identities x using twins t
where x.tenant_id = t.tenant_id and x.scope = t.scope and x.kind = 'phone' and x.value = t.value;
alter table contact_identities alter column norm set not null, drop constraint pk_contact_identities,
    add constraint pk_contact_identities primary key (tenant_id, scope, kind, norm);
select handles_changed(tenant_id, scope, contact_id), open_case(tenant_id, scope, contact_id, holder, 'spelling') from twins;
