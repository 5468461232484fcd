drop function text_config(text);

drop function word_numbers(text,text,integer);

drop function pair_code(text);

drop function indexed(text);

drop function embedder_of(text);

drop function remember_episode(uuid,jsonb);

drop function reword_episode(uuid);

drop function forget_episodes(uuid,uuid[]);

drop function move_episodes(uuid,uuid,uuid[]);

drop function seen(turns);

drop function unembedded(uuid,text,integer);

drop function claim_episodes(text,text,integer,double precision);

drop function settle_episodes(uuid,uuid,timestamp with time zone,text,uuid[],text[],text[]);

drop function put_off_episodes(uuid,uuid,timestamp with time zone,double precision);

drop function lay_episodes(uuid,text,uuid[],text[],text[]);

drop function stale_episodes(uuid,text,integer);

drop function embed_again(uuid,text,uuid[],text[],text[]);

drop function claim_unindexed(integer,double precision);

drop function index_turns(uuid,uuid,timestamp with time zone,integer,jsonb);
