create or replace function find_contacts(p_tenant uuid, p_search text, p_numbers text[], p_digits text, p_most integer) returns setof uuid
language plpgsql stable set enable_bitmapscan = on as $$
declare
    -- The same expression as of contacts.folded.
    words text[] := array(select word from regexp_split_to_table(btrim(translate(regexp_replace(replace(replace(replace(replace(lower(normalize(p_search, nfkd)),
        'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
        '[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff.,"''’‘ʼ`´]', '', 'g'),
        'øłđıðħŧŋəςیىکةٱ-_‐‒–—−', 'oldidhtneσييكها       ')), '\s+') word where word <> '');
    likes text[] := array(select '%' || regexp_replace(word, '([\\%_])', '\\\1', 'g') || '%' from unnest(words) word);
    grams integer[] := array(select distinct gram from unnest(words) word, unnest(grams_in(p_tenant, word)) gram);
    number text;
    norm_sought text := one_number('phone', p_digits);
begin
    if words <> '{}' then
        return query select c.id from contacts c
            where grams_of(c.tenant_id, c.folded) @> grams and c.tenant_id = p_tenant and c.folded like all (likes) limit p_most;
    end if;
    foreach number in array p_numbers loop
        grams := grams_in(p_tenant, number);
        return query select i.contact_id from contact_identities i
            where grams_of(i.tenant_id, i.value || ' ' || i.norm) @> grams and i.tenant_id = p_tenant
                and i.value ilike '%' || regexp_replace(number, '([\\%_])', '\\\1', 'g') || '%' limit p_most;
    end loop;
    if norm_sought <> '' then
        grams := grams_in(p_tenant, norm_sought);
        return query select i.contact_id from contact_identities i
            where grams_of(i.tenant_id, i.value || ' ' || i.norm) @> grams and i.tenant_id = p_tenant and i.norm = norm_sought limit p_most;
    end if;
end
$$;
