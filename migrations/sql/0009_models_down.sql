drop function model_refused(uuid,text,text,integer,text,integer);

drop function model_answered(uuid,text);
