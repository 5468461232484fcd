drop function is_forgotten_answer(uuid,text);

CREATE OR REPLACE FUNCTION public.change_answer(p_account uuid, p_contact uuid, p_external_id text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
    newest inbox;
    gone boolean;
begin
    select * into newest from inbox
    where account_id = p_account and target = 'echo:' || p_external_id and kind in ('edit', 'revoke') and contact_id = p_contact
        and (kind = 'revoke' or btrim(text) <> '')
    order by kind = 'revoke' desc, coalesce(occurred_at, received_at) desc, arrival desc limit 1;
    if not found then
        return;
    end if;
    gone := newest.kind = 'revoke';
    update turns ours set answer = case when not gone then newest.text end
    from outbox o
    where o.account_id = p_account and o.external_id = p_external_id and o.contact_id = p_contact and ours.id = o.turn_id and o.part > 0
        and (gone or not exists (select from outbox x where x.turn_id = o.turn_id and x.part > 0 and x.id <> o.id));
    if found then
        update inbox set text = null
        where account_id = p_account and target = newest.target and kind = 'edit' and id <> newest.id and text is not null;
    end if;
end
$function$;

drop function change_message(inbox,jsonb,interval);
