-- The people who chat, and the handles by which platforms know them.

-- Numbers for the pieces of a text by which it is found, the tenant in each, so that a search reads only what is the tenant's: three letters in a row,
-- the first one and two of a word, and one and two where they are not ASCII, since in other scripts that may be a whole name. What comes after 200 letters has none.
-- Locks: none. Called by: indexes of contacts and contact_identities, find_contacts.
create function grams_of(p_tenant uuid, p_text text) returns integer[] language plpgsql immutable parallel safe as $$
declare
    padded text := ' ' || left(regexp_replace(lower(p_text), '\s+', ' ', 'g'), 200) || ' ';
    size integer := length(padded);
    tenant text := p_tenant;
    gram text;
    found integer[] := '{}';
begin
    -- All numbers and most names are ASCII: nearly ten times as fast as the query below, which counts where an index is built on a million contacts.
    if octet_length(padded) = size then
        for i in 1 .. size - 1 loop
            gram := substr(padded, i, 3);
            if i < size - 1 then
                found := found || hashtext(tenant || gram);
            end if;
            if starts_with(gram, ' ') then
                found := found || hashtext(tenant || left(gram, 2));
            end if;
        end loop;
        return array(select distinct x from unnest(found) x order by x);
    end if;
    return array(select distinct hashtext(tenant || piece)
        from generate_series(1, size) i, lateral (values (3), (2), (1)) v(n), substr(padded, i, n) piece
        where length(piece) = n and piece <> ' ' and (n = 3 or octet_length(piece) > n or (n = 2 and starts_with(piece, ' '))) order by 1);
end
$$;

-- The numbers that grams_of gives to each text with this in it; where it is one or two ASCII letters, to each with a word that begins so.
-- Locks: none. Called by: find_contacts.
create function grams_in(p_tenant uuid, p_part text) returns integer[] language sql immutable as $$
    with sought as (select case when octet_length(p_part) < 3 then ' ' || lower(p_part) else lower(p_part) end as text)
    select coalesce(array_agg(distinct hashtext(p_tenant::text || substr(text, i, least(3, length(text))))), '{}')
    from sought, generate_series(1, greatest(1, length(text) - 2)) i
$$;

-- A person who chats with a tenant's bots. The identities below say by which handles.
create table contacts (
    tenant_id uuid not null references tenants,
    id uuid not null default new_id(),
    name text,
    stopped_at timestamptz,
    created_at timestamptz not null default now(),
    -- The name as it is searched for: no accents, case or marks, and plain letters for those that only look accented. bots/storage/search.py does
    -- the same to what is typed.
    folded text generated always as (
        translate(regexp_replace(replace(replace(replace(replace(lower(normalize(name, nfkd)),
        'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
        '[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff.,"''’‘ʼ`´]', '', 'g'),
        'øłđıðħŧŋəςیىکةٱ-_‐‒–—−', 'oldidhtneσييكها       ')) stored,
    -- Since when nothing new is remembered of them, and nothing sensitive; and when they were told that something sensitive is.
    memory_off_at timestamptz,
    sensitive_off_at timestamptz,
    sensitive_told_at timestamptz,
    constraint pk_contacts primary key (id, tenant_id)
);
-- New entries wait in a short list, which a search reads through.
create index ix_contacts_grams on contacts using gin (grams_of(tenant_id, folded)) with (gin_pending_list_limit = 128);
-- Statistics of it would say nothing, and cost seconds.
alter index ix_contacts_grams alter column 1 set statistics 0;

-- A handle of a contact, such as a phone number. Scope is the account's id, since a platform's handles may differ by account.
create table contact_identities (
    tenant_id uuid not null,
    scope text not null,
    kind text not null,
    -- As the person's last message had it: answers are sent to it.
    value text not null,
    contact_id uuid not null,
    -- Since when the contact has it, by the platform's time.
    created_at timestamptz not null default now(),
    -- The same for all spellings of one number (one_number); contacts are found by it.
    norm text not null,
    -- Since when the contact has another handle of this kind instead. Nothing is sent to this one; late messages and notices are still recognised by it.
    retired_at timestamptz,
    constraint pk_contact_identities primary key (tenant_id, scope, kind, norm),
    constraint fk_contact_identities_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade
);
create index ix_contact_identities_contact on contact_identities (tenant_id, contact_id);
create index ix_contact_identities_grams on contact_identities using gin (grams_of(tenant_id, value || ' ' || norm)) with (gin_pending_list_limit = 128);
alter index ix_contact_identities_grams alter column 1 set statistics 0;

-- A number that went from one contact to another, where the platform did not say that they are one person. An operator says whether they are.
create table identity_cases (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    account_id uuid not null,
    -- Who had the number; no longer a contact once both are joined. And who has it now.
    former_id uuid not null,
    holder_id uuid not null,
    -- Why it went: message, notice, or spelling (two contacts from before spellings were known to be one number).
    reason text not null constraint ck_identity_cases_reason check (reason in ('message', 'notice', 'spelling')),
    state text not null default 'open' constraint ck_identity_cases_state check (state in ('open', 'same_person', 'two_people')),
    opened_at timestamptz not null default now(),
    settled_at timestamptz,
    -- While they are joined: what the former contact was, for separating them again.
    moved jsonb,
    constraint pk_identity_cases primary key (id, tenant_id),
    constraint fk_identity_cases_account foreign key (tenant_id, account_id) references accounts (tenant_id, id) on delete cascade,
    constraint fk_identity_cases_holder foreign key (tenant_id, holder_id) references contacts (tenant_id, id) on delete cascade
);
-- One case for two contacts, whichever way the number goes.
create unique index uq_identity_cases_pair on identity_cases (tenant_id, least(former_id, holder_id), greatest(former_id, holder_id));
create index ix_identity_cases_account on identity_cases (account_id);
create index ix_identity_cases_former on identity_cases (former_id);
create index ix_identity_cases_holder on identity_cases (holder_id);
create index ix_identity_cases_open on identity_cases (tenant_id, opened_at) where state = 'open';
create index ix_identity_cases_opened on identity_cases (tenant_id, opened_at);
