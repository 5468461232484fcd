drop function next_lot();

drop function draw(double precision[],integer[],double precision);

drop function account_in_turn(uuid[],uuid[]);

drop function tenant_in_turn(text);
