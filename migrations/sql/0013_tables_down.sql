alter table media drop column seconds, drop column language, drop column language_certainty, drop column certainty;
alter table accounts drop column answers_groups;
