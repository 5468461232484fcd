-- Claiming conversations: those that are next (due.sql), with all that their turns need, under a lease and a fencing token.

-- What is told of what is remembered about a contact: of the kinds p_always all up to 200 of each, of the others the 40 newest; not what is past, or older than p_days.
-- p_untold are the kinds that its bot or its contact does not want. is_new: it was learned in this session. The beginning of a prompt has the others, and must not change within a session: so a memory that was
-- replaced or ended by a message since then is told until the next one, and the day that counts is the session's first, wherever on earth it is.
-- Locks: none. Called by: claim_turns.
create function told_memories(c conversations, p_always text[], p_days jsonb, p_untold text[]) returns jsonb language plpgsql stable as $$
begin
    return (
        with known as (
            select id, kind, text, said_at, day, last_day, created_at, created_at > c.session_at as is_new,
                row_number() over (partition by kind order by created_at desc, id) as nth from memories
            where contact_id = c.contact_id and tenant_id = c.tenant_id and kind <> all (p_untold)
                and (valid_to is null or (ended_at > c.session_at and created_at <= c.session_at
                    and (superseded_by is not null or ended_by_inbox_id is not null)))
                and (day is null or coalesce(last_day, day) >= (c.session_at at time zone 'UTC' - interval '12 hours')::date)
                and (day is not null or not p_days ? kind or said_at > c.session_at - make_interval(days => (p_days->>kind)::integer))
        )
        select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'text', text, 'said_at', said_at, 'day', day, 'last_day', last_day,
            'is_new', is_new) order by created_at desc, id), '[]')
        from (
            select * from known where kind = any (p_always) and nth <= 200
            union all (select * from known where kind <> all (p_always) and is_new order by created_at desc, id limit 40)
            union all (select * from known where kind <> all (p_always) and not is_new order by created_at desc, id limit 40)
        ) as told);
end
$$;

-- How many turns a contact had in other conversations with the same bot, the newest fifty of them: turns are numbered, so none is counted.
-- Locks: none. Called by: claim_turns.
create function earlier_talks(c conversations, p_bot uuid) returns integer language plpgsql stable as $$
begin
    return (
        select coalesce(sum((select max(number) from turns where conversation_id = v.id)), 0)::integer
        from (select o.id from conversations o join accounts a on a.tenant_id = o.tenant_id and a.id = o.account_id
            where o.tenant_id = c.tenant_id and o.contact_id = c.contact_id and o.id <> c.id
                and a.bot_id = p_bot
            order by o.created_at desc limit 50) v);
end
$$;

-- Claims up to p_many due conversations of a queue for p_lease seconds, opens the turn of each or takes up the open one, and returns what answering them
-- takes: for each its ids, the fencing token, messages, history, memories (bots.storage.claims.Claim). p_session: after so many seconds of silence a
-- new session begins, and the prompt's beginning may take up newer memories. p_always: the kinds of which all is told; p_days: for how many days a
-- fact of a kind without a day of its own is told, {kind: days}. Returns an empty list where nothing is due.
-- Each statement is for all of them, and finds what it reads of each by an index: scalar subqueries with a limit, of which Postgres makes nothing else.
-- Locks: the conversations; locked ones are skipped. Called by: crossing (workers). Not repeated after a lost
-- connection: an unused claim is due again when its lease ends.
create function claim_turns(
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

-- The same for one conversation, for workers of the version before: null where nothing is due.
-- Locks: those of claim_turns. Called by: crossing (workers of the version before).
create function claim_turn(
    p_queue text, p_boot uuid, p_lease double precision, p_session double precision, p_always text[] default '{}',
    p_days jsonb default '{}'
) returns jsonb language sql as $$
    select claim_turns(p_queue, p_boot, p_lease, p_session, 1, p_always, p_days)::jsonb->0
$$;

-- Extends the leases of these conversations that p_boot still holds, and returns how many there were.
-- Locks: the conversations; locked ones are skipped. Called by: crossing (workers).
create function renew_leases(p_boot uuid, p_conversations uuid[], p_lease double precision) returns integer language plpgsql as $$
declare
    renewed integer;
begin
    -- A lease that has run out is not revived: a frozen process must not take back what another has claimed.
    update conversations set leased_until = now() + make_interval(secs => p_lease),
        ready_at = case when ready_at >= leased_until then now() + make_interval(secs => p_lease) else ready_at end
    where id in (select id from conversations where id = any(p_conversations) and leased_by = p_boot and leased_until > now()
        for update skip locked);
    get diagnostics renewed = row_count;
    return renewed;
end
$$;

-- Makes everything that a stopped or dead process held due at once, conversations and batch items. Returns how many there were.
-- Locks: these rows; locked ones are skipped. Called by: crossing (workers that stop), and heartbeat.
create function release_leases(p_boot uuid) returns integer language plpgsql as $$
declare
    freed integer;
    items integer;
begin
    update conversations set leased_until = null, ready_at = least(ready_at, now())
    where id in (select id from conversations where leased_by = p_boot and leased_until > now() for update skip locked);
    get diagnostics freed = row_count;
    update batch_items set leased_by = null, ready_at = now()
    where (batch_id, n) in (select batch_id, n from batch_items where leased_by = p_boot and state = 'running' for update skip locked);
    get diagnostics items = row_count;
    return freed + items;
end
$$;

-- Whether a worker process that held a lock while it lived is dead. The key is half of its boot's id (bots.storage.process_lock). It looks and does
-- not try: a try would succeed on the session that has the lock, which a pooler may give to anybody, and be in the way of a process that takes it again.
-- Locks: none. Called by: heartbeat, and crossing (workers).
create function process_is_dead(p_boot uuid) returns boolean language sql as $$
    select not exists (select from pg_locks l where l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and l.database = (select d.oid from pg_database d where d.datname = current_database())
        and l.classid::bigint << 32 | l.objid::bigint = ('x' || left(replace(p_boot::text, '-', ''), 16))::bit(64)::bigint)
$$;

-- Reports that a worker is alive, with the queues that it consumes and its slots. Others of its name that are dead are removed, and what they
-- held is freed: with p_first, its first report but one after a start, at once, else when they were silent for 15 seconds. One that lives keeps its
-- row and its leases; so does a frozen one, until they run out. p_holds_lock: it holds a lock that tells whether it lives; workers of the
-- version before do not. Returns how many leases were freed.
-- Locks: the rows of the workers of this name. Called by: crossing (workers, the dispatcher).
create function heartbeat(
    p_name text, p_boot uuid, p_queues text[], p_slots integer, p_busy integer, p_first boolean, p_holds_lock boolean default false
) returns integer language plpgsql as $$
declare
    before uuid;
    freed integer := 0;
begin
    for before in
        select boot_id from worker_heartbeats
        where name = p_name and boot_id <> p_boot and (p_first or at < now() - interval '15 seconds') and (not holds_lock or process_is_dead(boot_id))
        for update skip locked
    loop
        freed := freed + release_leases(before);
        delete from worker_heartbeats where name = p_name and boot_id = before;
    end loop;
    insert into worker_heartbeats (name, boot_id, queues, slots, busy, at, holds_lock, shared)
    values (p_name, p_boot, p_queues, p_slots, p_busy, now(), p_holds_lock, case when p_slots > 0 then who_wrote() else 0 end)
    on conflict (name, boot_id) do update set queues = excluded.queues, slots = excluded.slots, busy = excluded.busy, at = excluded.at,
        holds_lock = excluded.holds_lock, shared = excluded.shared;
    return freed;
end
$$;
