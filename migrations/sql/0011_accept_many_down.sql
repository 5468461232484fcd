drop function accept_many(jsonb,bytea,jsonb,jsonb,double precision,double precision);
