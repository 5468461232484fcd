drop function open_case(uuid,text,uuid,uuid,text);

drop function join_cases(uuid,uuid,uuid);

drop function settle_case(uuid,uuid,boolean);

drop function separate_contacts(identity_cases);
