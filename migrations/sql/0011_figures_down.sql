drop function bin_of(double precision);

drop function add_counts(integer[],integer[]);

drop function counted_between(timestamp with time zone,timestamp with time zone,uuid);

drop function failures_between(timestamp with time zone,timestamp with time zone,uuid);

drop function count_failed_sends(timestamp with time zone);

drop function count_figures(double precision,double precision);
