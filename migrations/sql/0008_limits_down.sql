drop function probe_after(text,integer,double precision);

drop function send_lanes();

drop function use_limit(uuid,double precision);

drop function ease_limits(outbox,timestamp with time zone,boolean);

drop function limit_after(outbox,timestamp with time zone,text,text,double precision,integer,double precision);

drop function end_health_read(uuid,boolean,double precision);
