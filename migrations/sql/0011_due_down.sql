drop function due_accounts(text,uuid,uuid,integer);

drop function due_tenants(text,uuid,integer);

drop function due_of_account(text,uuid,uuid,integer,uuid[]);

drop function slots_of(text,uuid,uuid);

drop function turns_of_tenant(text,uuid);

drop function room_of_tenant(text,uuid,integer,integer);

drop function due_of_tenant(text,uuid,double precision[],integer,integer,uuid[]);

drop function due_of_tenants(text,integer,integer,integer);

drop function end_leases(text);

drop function due_conversations(text,integer);
