drop function accept_events(uuid,uuid,text,text,bytea,text,jsonb,double precision,double precision,double precision);

drop function answered_elsewhere(uuid,text,double precision);

drop function claim_send(uuid,double precision,double precision);

drop function end_attempt(uuid,uuid,text,text,integer,integer,text,text,double precision,double precision,double precision);

drop function find_contact(uuid,text,jsonb,text,boolean);

drop function pay_summary(conversations,integer,jsonb);

drop function remember_facts(uuid,uuid,uuid,jsonb,text);
