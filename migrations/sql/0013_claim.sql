create or replace function claim_turns(
    p_queue text, p_boot uuid, p_lease double precision, p_session double precision, p_many integer, p_always text[], p_days jsonb
) returns json language plpgsql as $$
declare
    due uuid[];
    idle uuid[];
    silent timestamptz := now() - make_interval(secs => p_session);
    ends timestamptz := now() + make_interval(secs => p_lease);
    opened integer;
begin
    loop
        due := array(select id from due_conversations(p_queue, p_many));
        if due = '{}' then
            return '[]';
        end if;
        -- Where there is nothing to answer.
        idle := array(select x from unnest(due) x
            where (select 1 from turns t where t.conversation_id = x and t.state = 'open' limit 1) is null
                and (select 1 from inbox i where i.conversation_id = x and i.turn_id is null and i.kind = 'message' limit 1) is null);
        exit when idle = '{}';
        update conversations set ready_at = null, waiting_since = null where id = any(idle);
        due := array(select x from unnest(due) x where x <> all(idle));
        exit when due <> '{}';
    end loop;
    with claimed as (
        -- While it is leased its next due time is the lease's end: what a dead worker held becomes due without further action.
        update conversations c set lease_token = lease_token + 1, leased_by = p_boot, leased_until = ends, ready_at = ends,
            waiting_since = null, hold_until = null,
            session_at = case when c.session_at < silent and (
                select 1 from turns t where t.conversation_id = c.id and (t.state = 'open' or t.finished_at > silent) limit 1) is null
                then now() else c.session_at end
        where c.id = any(due) returning c.tenant_id, c.id, c.contact_id, c.lease_token
    )
    insert into turns (tenant_id, conversation_id, contact_id, number, token, claimed_at)
    select c.tenant_id, c.id, c.contact_id, coalesce((select max(number) from turns t where t.conversation_id = c.id), 0) + 1, c.lease_token, now()
    from claimed c where (select 1 from turns t where t.conversation_id = c.id and t.state = 'open' limit 1) is null;
    get diagnostics opened = row_count;
    if opened < cardinality(due) then
        update turns t set token = (select lease_token from conversations c where c.id = t.conversation_id), claimed_at = now()
        where t.conversation_id = any(due) and t.state = 'open' and t.claimed_at is distinct from now();
    end if;
    update inbox i set turn_id = (select t.id from turns t where t.conversation_id = i.conversation_id and t.state = 'open')
    where i.conversation_id = any(due) and i.turn_id is null and i.kind = 'message';
    return (
        select json_agg(json_build_object(
            'tenant', c.tenant_id, 'conversation', c.id, 'contact', c.contact_id, 'account', c.account_id, 'queue', c.queue,
            'token', c.lease_token, 'turn', t.id, 'number', t.number, 'tries', t.tries, 'history_from', c.history_from,
            'summary', c.summary, 'summary_until', c.summary_until, 'at', t.opened_at, 'open_s', extract(epoch from now() - t.opened_at), 'apologised', t.apologised_at is not null,
            'done', t.answer,
            'watched', (select 1 from watchers w where w.conversation_id = c.id and w.until > now() limit 1) is not null,
            'stopped', person.stopped_at is not null, 'memory_off', person.memory_off_at is not null,
            'sensitive_off', person.sensitive_off_at is not null, 'sensitive_told', person.sensitive_told_at is not null,
            'earlier', c.history_from - 1 + case when looks.talks_elsewhere then earlier_talks(c, bot.id) else 0 end,
            -- Has the bot never answered this contact? An answer by a person does not count.
            'first', (select 1 from turns h where h.conversation_id = c.id and h.state = 'answered' and h.answered_by is null limit 1) is null
                and (not looks.talks_elsewhere or (select 1 from conversations v join turns h on h.conversation_id = v.id
                    and h.state = 'answered' and h.answered_by is null
                    where v.tenant_id = c.tenant_id and v.contact_id = c.contact_id and v.id <> c.id limit 1) is null),
            'identities', (select coalesce(json_agg(json_build_object('kind', kind, 'value', value) order by kind, created_at desc), '[]')
                from contact_identities where tenant_id = c.tenant_id and contact_id = c.contact_id and retired_at is null),
            'messages', (select json_agg(json_build_object('id', id, 'text', text, 'content_type', content_type, 'supported', supported,
                    'event_key', event_key, 'refers', refers,
                    'quoted', case when quoted is not null then quoted_words(c.account_id, c.contact_id, quoted) end, 'age_s', extract(epoch from now() - coalesce(occurred_at, received_at)),
                    'media', case when looks.has_media then (select coalesce(json_agg(json_build_object('id', m.id, 'kind', m.kind,
                        'reference', m.reference, 'state', m.state, 'media_type', m.media_type) order by m.n), '[]')
                        from media m where m.inbox_id = inbox.id) else '[]' end)
                    -- By the platform's time, since webhooks arrive in any order.
                    order by coalesce(occurred_at, received_at), arrival)
                from inbox where turn_id = t.id),
            'history', (select coalesce(json_agg(json_build_object('number', h.number, 'asked', h.asked, 'answer', h.answer, 'at', h.opened_at,
                    'media', case when looks.has_media then (select coalesce(json_agg(m.id order by m.created_at, m.n), '[]')
                        from inbox i join media m on m.inbox_id = i.id where i.turn_id = h.id and m.state = 'fetched' and m.kind <> 'audio') else '[]' end)
                    order by h.number), '[]')
                from turns h where h.conversation_id = c.id and h.state = 'answered' and h.in_history and h.asked is not null and h.answer is not null
                    -- Those that are left out of prompts too, until notes stand for them.
                    and h.number >= least(c.history_from, c.summary_until + 1)),
            'memories', case when looks.is_known then told_memories(c, p_always, p_days,
                bot.kinds_off || case when bot.sensitive_on and person.sensitive_off_at is null then '{}' else sensitive_kinds() end) else '[]' end))
        from conversations c
            cross join lateral (select * from turns x where x.conversation_id = c.id and x.state = 'open' limit 1) t
            left join lateral (select * from contacts p where p.tenant_id = c.tenant_id and p.id = c.contact_id limit 1) person on true
            left join lateral (select b.* from accounts a join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id
                where a.tenant_id = c.tenant_id and a.id = c.account_id limit 1) bot on true
            -- Most contacts never send a picture, have one conversation, and are new: then nothing more is looked up for each of these.
            cross join lateral (select (select 1 from media m where m.contact_id = c.contact_id limit 1) is not null as has_media,
                (select 1 from conversations v where v.tenant_id = c.tenant_id and v.contact_id = c.contact_id and v.id <> c.id limit 1)
                    is not null as talks_elsewhere,
                (select 1 from memories k where k.contact_id = c.contact_id limit 1) is not null as is_known offset 0) looks
        where c.id = any(due));
end
$$;
