alter table accounts drop column answers_groups;
