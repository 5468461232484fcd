drop function change_message(inbox,jsonb,boolean,interval);

drop function claim_turn(text,uuid,double precision,double precision);

drop function pay_summary(conversations,integer,jsonb,boolean);

drop function remember_facts(uuid,uuid,uuid,jsonb);
