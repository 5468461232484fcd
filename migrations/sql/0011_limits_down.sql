drop function lanes_in_turn();
