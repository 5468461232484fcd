drop function sensitive_kinds();

drop function said_at(inbox);

drop function is_forwarded(inbox);

drop function admitted(inbox,jsonb);

drop function settle_memories(uuid,text[]);

drop function ended_by(inbox,jsonb);

drop function said_later(uuid,timestamp with time zone);

drop function remember(uuid,uuid,jsonb,jsonb,text);

drop function from_message(uuid,jsonb);

CREATE OR REPLACE FUNCTION public.unlearn(p_message inbox, p_facts jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
declare
    one uuid;
    g memories;
    newer text;
begin
    for one in select id from memories where source_inbox_id = p_message.id loop
        select * into g from memories where id = one;
        select x->>'text' into newer from jsonb_array_elements(p_facts) x where g.single and x->>'kind' = g.kind;
        if newer is not null then
            update memories set text = newer where id = g.id;
            select coalesce(jsonb_agg(x), '[]') into p_facts from jsonb_array_elements(p_facts) x where x->>'kind' <> g.kind;
        else
            update memories set superseded_by = g.superseded_by, valid_to = g.valid_to
            where contact_id = g.contact_id and superseded_by = g.id;
            delete from memories where id = g.id;
        end if;
    end loop;
    return p_facts;
end
$function$;
