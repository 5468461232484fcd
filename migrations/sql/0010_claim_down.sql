drop function told_memories(conversations,text[],jsonb,text[]);

drop function earlier_talks(conversations,uuid);

drop function claim_turn(text,uuid,double precision,double precision,text[],jsonb);
