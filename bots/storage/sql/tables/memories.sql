-- What is remembered about a contact, and which turn used it.

-- The letters of a text in a form in which spellings of one word are equal: no case, accents or vowel signs that people leave out, one form for
-- Arabic and Turkish letters that are mixed up. Most texts are ASCII, and have none of these.
-- Locks: none. Called by: words_of, erase_words.
create function letters_of(p_text text) returns text language plpgsql immutable as $$
begin
    return case when octet_length(p_text) = length(p_text) then lower(p_text) else
        translate(regexp_replace(replace(replace(replace(replace(lower(normalize(p_text, nfkd)),
            'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
            '[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u093c\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]', '', 'g'),
        'øłđıðħŧŋəςیىکةٱ', 'oldidhtneσييكها') end;
end
$$;

-- The words of a text, as letters_of has them, each with a blank before and behind it; '' where there are none. What has no blanks between words is
-- taken letter by letter. An apostrophe ends a word: "Rex's" has the word "rex".
-- In PL/pgSQL, since Postgres would take in the text of an SQL function anew for each statement that writes a memory. It names its schema: where a backup is
-- restored there is no search path.
-- Locks: none. Called by: memories.words, remember, telling, repeats, is_command.
create function words_of(p_text text) returns text language plpgsql immutable as $$
begin
    return coalesce(' ' || nullif(btrim(regexp_replace(regexp_replace(public.letters_of(p_text),
        '([\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\ua960-\ua97f\ud7b0-\ud7ff\uf900-\ufaff])', ' \1 ', 'g'),
        '[\s!-/:-@\[-`{-~\u0080-\u00bf\u00d7\u00f7\u02b0-\u02ff\u055a-\u055f\u0589\u05be\u05c0\u05c3\u05f3\u05f4\u060c\u060d\u061b-\u061f\u066a-\u066d\u06d4\u0964\u0965\u0970\u2000-\u206f\u2190-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u30fb\ufe30-\ufe6f\uff00-\uff0f]+', ' ', 'g')), '') || ' ', '');
end
$$;

-- A fact that a contact stated, or an operator added (created_by), with the message it came from. Two times are kept: when it was true
-- (valid_from, valid_to) and when we learned that (created_at, ended_at). What a contact asks to forget is deleted.
create table memories (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    contact_id uuid not null,
    -- One of bots/kinds.toml.
    kind text not null,
    text text not null,
    -- Null: an operator added it.
    source_inbox_id uuid,
    source_turn_id uuid,
    -- The rules or the model that found it, or the operator.
    created_by text not null,
    created_at timestamptz not null default now(),
    -- Since when it is no longer true; null: it lives.
    valid_to timestamptz,
    superseded_by uuid,
    -- A newer fact of this kind and topic takes its place; null: it lives beside all others.
    topic text,
    -- The day of a plan, and its last day where it has several.
    day date,
    last_day date,
    -- When it was said: by the platform's time.
    said_at timestamptz not null default now(),
    valid_from timestamptz,
    ended_at timestamptz,
    -- The message that ended it, where no newer fact took its place.
    ended_by_inbox_id uuid,
    -- The operator who did.
    ended_by text,
    words text not null generated always as (words_of(text)) stored,
    -- Those with the same one take each other's place: of one kind and topic, or of the same words; and liking and disliking one thing.
    chain text not null generated always as (case when kind in ('likes', 'dislikes') then 'taste' || words_of(text)
        when topic is not null then kind || '/' || topic else kind || words_of(text) || coalesce((day - date '2000-01-01')::text, '') end) stored,
    constraint pk_memories primary key (id, tenant_id),
    constraint fk_memories_contact foreign key (tenant_id, contact_id) references contacts (tenant_id, id) on delete cascade,
    constraint fk_memories_source_inbox foreign key (tenant_id, source_inbox_id) references inbox (tenant_id, id) on delete cascade
);
create index ix_memories_contact on memories (contact_id, created_at);
create index ix_memories_source_inbox on memories (source_inbox_id);

-- Which memories a turn's prompt contained, and why.
create table recalls (
    tenant_id uuid not null,
    turn_id uuid not null,
    memory_id uuid not null,
    contact_id uuid not null,
    rank integer not null,
    reason text not null,
    constraint pk_recalls primary key (tenant_id, turn_id, memory_id),
    constraint fk_recalls_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id) on delete cascade,
    constraint fk_recalls_memory foreign key (tenant_id, memory_id) references memories (tenant_id, id) on delete cascade
);
create index ix_recalls_memory on recalls (memory_id);

-- Which earlier turns a turn's prompt repeated because they were about its question, and which signals found them.
create table recalled_turns (
    tenant_id uuid not null,
    turn_id uuid not null,
    recalled_id uuid not null,
    contact_id uuid not null,
    rank integer not null,
    signals text[] not null,
    constraint pk_recalled_turns primary key (tenant_id, turn_id, recalled_id),
    constraint fk_recalled_turns_turn foreign key (tenant_id, turn_id) references turns (tenant_id, id) on delete cascade,
    constraint fk_recalled_turns_recalled foreign key (tenant_id, recalled_id) references turns (tenant_id, id) on delete cascade
);
create index ix_recalled_turns_recalled on recalled_turns (recalled_id);
