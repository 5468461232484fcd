drop function claim_remembering(text,integer,double precision);

drop function finish_remembering(uuid,uuid,bigint,integer,jsonb,jsonb,text,double precision,jsonb);

drop function put_off_remembering(uuid,uuid,bigint,integer,double precision,jsonb);
