-- What messages say, as prompts repeat it: their own words, and before them, as data, what they refer to.

-- The first words of the message that a reply is to (p_quoted: its id on the platform), from either side of this contact's conversations
-- with the account. Null where it is unknown, was taken back or forgotten, or has no words.
-- Locks: none. Called by: claim_turns, said.
create function quoted_words(p_account uuid, p_contact uuid, p_quoted text) returns text language sql stable as $$
    select left(words, 500) from (
        select coalesce(nullif(btrim(text), ''), '(' || content_type || ')') as words from inbox
        where account_id = p_account and event_key = any(array[p_quoted, 'echo:' || p_quoted]) and contact_id = p_contact
            and kind in ('message', 'echo') and content_type <> 'unsent' and forgotten_at is null
        union all
        select body from outbox where account_id = p_account and external_id = p_quoted and contact_id = p_contact and forgotten_at is null
            and not exists (select from inbox where account_id = p_account and target = 'echo:' || p_quoted and kind = 'revoke')) told
    limit 1
$$;

-- A text of at most so many characters, with an ellipsis where it was cut.
-- Locks: none. Called by: said.
create function cut(p_text text, p_most integer) returns text language sql immutable as $$
    select case when length(p_text) > p_most then left(p_text, p_most - 1) || '…' else p_text end
$$;

-- A message as later prompts repeat it, in the form of workers/turn/wording.py: what it refers to in JSON strings, (picture) for a picture, what was heard,
-- what is attached and cannot be opened, and its words; the content type in brackets where it has none of these.
-- Locks: none. Called by: unanswered, retell.
create function said(i inbox) returns text language sql stable as $$
    select coalesce(nullif(concat_ws(E'\n',
        case when i.quoted is not null then '(in reply to: ' || to_json(quoted_words(i.account_id, i.contact_id, i.quoted)) || ')' end,
        (select nullif(concat_ws(E'\n', string_agg(line, E'\n' order by n) filter (where size <= 4000),
                case when max(size) > 4000 then '(and more, which is not shown)' end), '') from (
            select line, n, sum(length(line)) over (order by n) as size
            from jsonb_array_elements(coalesce(i.refers, '[]')) with ordinality as r(x, n),
                lateral (select '(refers to ' || to_json(x->>'name') || ': ' || to_json(cut(x->>'text', 500)) || ')' as line) as l) as sized),
        (select string_agg('(picture)', E'\n') from media m where m.inbox_id = i.id and m.kind <> 'audio'),
        case when btrim(i.text) <> '' and i.content_type in ('document', 'video', 'audio', 'voice', 'file', 'reel', 'ig_reel')
                and not exists (select from media m where m.inbox_id = i.id and (m.kind <> 'audio' or m.certainty is not null))
            then '(attached, but you cannot open it and need not mention it: ' || i.content_type || ')' end,
        nullif(btrim(i.text), '')), ''), '(' || i.content_type || ')')
$$;

-- The messages that no turn covers yet, oldest first, as later prompts repeat them. Returns null where there are none.
-- Locks: none. Called by: answer_by_hand, answered_elsewhere.
create function unanswered(p_conversation uuid) returns text language sql stable as $$
    select string_agg(said(i), E'\n' order by coalesce(i.occurred_at, i.received_at), i.arrival)
    from inbox i where i.conversation_id = p_conversation and i.turn_id is null and i.kind = 'message'
$$;

-- Whether a message is written as a command, by the word behind its slash: those of bots/phrases/languages, as words_of has them; a test compares both.
-- Locks: none. Called by: retell.
create function is_command(p_text text) returns boolean language sql immutable as $$
    select coalesce(p_text ~ '^[^[:alnum:]]*/', false) and split_part(btrim(words_of(p_text)), ' ', 1) = any (regexp_split_to_array(btrim('
        abmelden aide aiuto ajuda alta anilar anmelden apaga apagar arret arrete arreter arretez ayuda azzera baja band bantuan basla baslat
        bastan beginnen bellek berhenti bhool bhul bhulo borra borrar cancella comecar comenzar comincia commencer demarrer detener devam
        dimentica dimenticare dur durdur efface effacer empezar erinnerung erinnerungen esqueca esquece esquecer ferma fermati forget
        gedachtnis gedaechtnis hafiza halt hapus hatao hatiralar hatirladiklarin help henti hilfe ingat ingatan iniciar inizia kenapa kyo kyon
        kyu kyun lanjut lembra lembrancas loesche loeschen losche loschen lupa lupakan madad memoire memoires memori memoria memorias memories
        memory mengapa mitao mulai naya neden neu neustart nicin niye nouveau olvida olvidar olvide oublie oublier oubliez para parar perche
        porque pourquoi recomecar recommencer recuerdas recuerdos reinicia reiniciar reinitialiser reprendre reset ricomincia ricominciare
        ricordi riprendi ruko sahayata sair scorda shuru sifirla sil smetti souvenirs start stop stopp ulang unut vergesse vergessen vergiss
        voltar warum weiter why wieso yaad yaaddasht yaadein yardim yeniden zurucksetzen zuruecksetzen ابدا احذف استيناف اعاده الذاكره المساعده
        امسح انس انسي ايقاف بدء توقف ذاكرتك ذاكره ذكريات قف لماذا ليش ليه مساعده نسيان क्यों नया बंद भूल भूलो मदद मिटाओ याद याददाश्त यादें
        रीसेट रुको रोको शुरु शुरू सहायता स्मृति हटाओ
    ', E' \n'), '\s+'))
$$;

-- Writes anew what a turn was asked, from its messages as they are now, without those that the service itself answered. Where none is left, the turn
-- leaves the history and the search, and of the bot's answer no further part is sent.
-- Locks: the turn and its queued messages, and the conversation, which the caller holds. Called by: change_message, erase_words, end_turn.
create function retell(p_turn uuid) returns void language plpgsql as $$
declare
    told text;
begin
    select left(string_agg(said(i), E'\n' order by coalesce(i.occurred_at, i.received_at), i.arrival), 8000) into told
    from inbox i
    where i.turn_id = p_turn and i.kind = 'message' and i.forgotten_at is null and i.reason is distinct from 'untold'
        -- Those that were answered before they were marked.
        and not is_command(i.text);
    update turns set asked = told, in_history = in_history and told is not null where id = p_turn and asked is not null;
    perform reword_episode(p_turn);
    -- What a model may be reading now is no longer what was said.
    update conversations set remember_token = remember_token + 1
    where id = (select conversation_id from turns where id = p_turn) and remember_at is not null;
    if not exists (select from inbox where turn_id = p_turn and kind = 'message') then
        update outbox set status = 'failed', reason = 'unsent', not_before = null, status_at = now()
        where turn_id = p_turn and (status = 'queued' or (status = 'failed' and reason in ('part_refused', 'part_unknown')))
            and (select answered_by is null from turns where id = p_turn);
        update turns set answer = null where id = p_turn and answered_by is null;
    end if;
end
$$;
