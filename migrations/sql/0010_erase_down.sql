drop function telling(text,text);

drop function spare_common(uuid[],jsonb);

drop function repeats(text,jsonb);

drop function hints_of(jsonb);

drop function keeps_messages(uuid,uuid);

drop function is_settled(outbox);

drop function empty_messages(uuid[],text);

drop function blank_messages(uuid[]);

drop function blank_answers(uuid[]);

drop function empty_prompts(uuid,timestamp with time zone);

drop function turns_with(uuid,uuid[]);

drop function with_history(uuid,uuid[]);

drop function forget_memories(uuid,jsonb);

drop function erase_words(uuid,uuid,jsonb,jsonb,uuid[]);

drop function forget_own(uuid);

drop function erase(uuid,jsonb);
