drop function recall_turns(uuid,uuid,integer,uuid,jsonb,integer,integer);
