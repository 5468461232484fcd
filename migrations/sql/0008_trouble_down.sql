drop function may_send(accounts);

drop function refusal_reason(text,integer,integer,integer);

drop function park_account(uuid,text);

drop function resume_account(uuid);

drop function slow_account(uuid,text,double precision);

drop function send_refused(outbox,text,text,double precision,text,boolean);

drop function send_accepted(uuid);

drop function account_failed(uuid,jsonb,jsonb);

drop function account_noticed(uuid,uuid,jsonb,timestamp with time zone);
