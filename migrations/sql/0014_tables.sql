alter table media add column seconds real, add column language text, add column language_certainty real, add column certainty real;
