drop function claim_send(uuid,double precision,double precision,double precision);

drop function fail_old(outbox);

drop function fail_oldest(double precision);

drop function leave_unknown(outbox);

drop function end_attempt(uuid,uuid,text,text,integer,integer,text,text,double precision,double precision,double precision,text,integer,double precision,integer,boolean);

drop function lose_outcome(uuid,uuid);
