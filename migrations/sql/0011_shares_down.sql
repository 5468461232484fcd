drop function next_lot();

drop function draw(double precision[],integer[],double precision,integer,integer,double precision);

drop function who_wrote();

drop function slots_now(text,integer);

drop function slots_held(text,uuid,integer);

drop function room(integer,integer,integer,double precision);

drop function account_in_turn(uuid[],uuid[],integer[]);

drop function tenant_in_turn(text);
