drop function is_automatic(uuid,uuid,text,text,timestamp with time zone,double precision);

drop function answered_elsewhere(uuid,uuid,text,double precision);

drop function release_greeted(uuid,double precision);
