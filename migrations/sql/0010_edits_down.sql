drop function change_message(inbox,jsonb,jsonb,boolean,interval);
