drop function heartbeat(text,uuid,text[],integer,integer,boolean);
