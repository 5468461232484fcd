drop function place_handle(uuid,text,uuid,jsonb,contact_identities,timestamp with time zone);

drop function handles_changed(uuid,text,uuid);

drop function change_handles(uuid,text,jsonb);

drop function has_other_id(uuid,text,uuid,text[]);
