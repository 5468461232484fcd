drop function unlearn(inbox,jsonb);

drop function renew_summary(uuid,integer);

drop function change_answer(uuid,uuid,text);

drop function change_message(inbox,jsonb,boolean,interval);
