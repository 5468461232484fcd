drop function accept_events(uuid,uuid,text,text,bytea,text,jsonb,double precision,double precision,double precision,double precision,uuid);
