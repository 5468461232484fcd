drop function find_contacts(uuid,text,text[],text,integer);
