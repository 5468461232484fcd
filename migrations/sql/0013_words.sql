create or replace function cut(p_text text, p_most integer) returns text language sql immutable as $$
    select case when length(p_text) > p_most then left(p_text, p_most - 1) || '…' else p_text end
$$;

create or replace function said(i inbox) returns text language sql stable as $$
    select coalesce(nullif(concat_ws(E'\n',
        case when i.quoted is not null then '(in reply to: ' || to_json(quoted_words(i.account_id, i.contact_id, i.quoted)) || ')' end,
        (select nullif(concat_ws(E'\n', string_agg(line, E'\n' order by n) filter (where size <= 4000),
                case when max(size) > 4000 then '(and more, which is not shown)' end), '') from (
            select line, n, sum(length(line)) over (order by n) as size
            from jsonb_array_elements(coalesce(i.refers, '[]')) with ordinality as r(x, n),
                lateral (select '(refers to ' || to_json(x->>'name') || ': ' || to_json(cut(x->>'text', 500)) || ')' as line) as l) as sized),
        (select string_agg('(picture)', E'\n') from media m where m.inbox_id = i.id and m.kind <> 'audio'),
        case when btrim(i.text) <> '' and i.content_type in ('document', 'video', 'audio', 'voice', 'file', 'reel', 'ig_reel')
                and not exists (select from media m where m.inbox_id = i.id and (m.kind <> 'audio' or m.certainty is not null))
            then '(attached, but you cannot open it and need not mention it: ' || i.content_type || ')' end,
        nullif(btrim(i.text), '')), ''), '(' || i.content_type || ')')
$$;
