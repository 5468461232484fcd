CREATE OR REPLACE FUNCTION public.told_memories(c conversations, p_always text[], p_days jsonb, p_untold text[])
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
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
    ) as told
$function$;

CREATE OR REPLACE FUNCTION public.earlier_talks(c conversations, p_bot uuid)
 RETURNS integer
 LANGUAGE sql
 STABLE
AS $function$
    select coalesce(sum((select max(number) from turns where conversation_id = v.id)), 0)::integer
    from (select o.id from conversations o join accounts a on a.tenant_id = o.tenant_id and a.id = o.account_id
        where o.tenant_id = c.tenant_id and o.contact_id = c.contact_id and o.id <> c.id
            and a.bot_id = p_bot
        order by o.created_at desc limit 50) v
$function$;

drop function claim_turns(text,uuid,double precision,double precision,integer,text[],jsonb);

CREATE OR REPLACE FUNCTION public.claim_turn(p_queue text, p_boot uuid, p_lease double precision, p_session double precision, p_always text[] DEFAULT '{}'::text[], p_days jsonb DEFAULT '{}'::jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
declare
    c conversations;
    t turns;
    person contacts;
    bot bots;
    paused uuid[];
    with_media boolean;
begin
    select coalesce(array_agg(id), '{}') into paused from accounts where state = 'paused';
    loop
        -- First come, first served; a conversation that is over five minutes late comes after the fresh ones, the newest first. Both read
        -- one index and stop at the first row: the cost of a claim must not grow with the backlog, so nothing is joined or sorted.
        select * into c from conversations
        where queue = p_queue and ready_at <= now() and ready_at > now() - interval '5 minutes'
            and (leased_until is null or leased_until <= now()) and closed_at is null and taken_by is null and account_id <> all (paused)
        order by ready_at limit 1 for update skip locked;
        if not found then
            select * into c from conversations
            where queue = p_queue and ready_at <= now() and (leased_until is null or leased_until <= now())
                and closed_at is null and taken_by is null and account_id <> all (paused)
            order by ready_at desc limit 1 for update skip locked;
        end if;
        if not found then
            return null;
        end if;
        select * into t from turns where conversation_id = c.id and state = 'open';
        if not found then
            if not exists (select from inbox where conversation_id = c.id and turn_id is null and kind = 'message') then
                update conversations set ready_at = null, waiting_since = null where id = c.id;
                continue;
            end if;
            if c.session_at < now() - make_interval(secs => p_session) and not exists (
                select from turns where conversation_id = c.id and finished_at > now() - make_interval(secs => p_session)
            ) then
                c.session_at := now();
            end if;
        end if;
        exit;
    end loop;
    -- While it is leased its next due time is the lease's end: what a dead worker held becomes due without further action.
    update conversations set lease_token = lease_token + 1, leased_by = p_boot, leased_until = now() + make_interval(secs => p_lease),
        ready_at = now() + make_interval(secs => p_lease), session_at = c.session_at, waiting_since = null, hold_until = null
    where id = c.id returning * into c;
    if t.id is null then
        insert into turns (tenant_id, conversation_id, contact_id, number, token, claimed_at)
        select c.tenant_id, c.id, c.contact_id, coalesce(max(number), 0) + 1, c.lease_token, now() from turns where conversation_id = c.id
        returning * into t;
    else
        update turns set token = c.lease_token, claimed_at = now() where id = t.id returning * into t;
    end if;
    update inbox set turn_id = t.id where conversation_id = c.id and turn_id is null and kind = 'message';
    select * into person from contacts where tenant_id = c.tenant_id and id = c.contact_id;
    select b.* into bot from accounts a join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id where a.tenant_id = c.tenant_id and a.id = c.account_id;
    -- Most contacts never send a picture: then there is no lookup for each message.
    with_media := exists (select from media m where m.contact_id = c.contact_id);
    return jsonb_build_object(
        'tenant', c.tenant_id, 'conversation', c.id, 'contact', c.contact_id, 'account', c.account_id, 'queue', c.queue,
        'token', c.lease_token, 'turn', t.id, 'number', t.number, 'tries', t.tries, 'history_from', c.history_from,
        'summary', c.summary, 'summary_until', c.summary_until, 'at', t.opened_at, 'open_s', extract(epoch from now() - t.opened_at), 'apologised', t.apologised_at is not null,
        'done', t.answer,
        'watched', exists (select from watchers w where w.conversation_id = c.id and w.until > now()),
        'stopped', person.stopped_at is not null, 'memory_off', person.memory_off_at is not null,
        'sensitive_off', person.sensitive_off_at is not null, 'sensitive_told', person.sensitive_told_at is not null,
        'earlier', c.history_from - 1 + earlier_talks(c, bot.id),
        -- Has the bot never answered this contact? An answer by a person does not count.
        'first', not exists (select from turns h where h.conversation_id = c.id and h.state = 'answered' and h.answered_by is null)
            and not exists (select from conversations v join turns h on h.conversation_id = v.id and h.state = 'answered' and h.answered_by is null
                where v.tenant_id = c.tenant_id and v.contact_id = c.contact_id and v.id <> c.id),
        'identities', (select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'value', value) order by kind, created_at desc), '[]')
            from contact_identities where tenant_id = c.tenant_id and contact_id = c.contact_id and retired_at is null),
        'messages', (select jsonb_agg(jsonb_build_object('id', id, 'text', text, 'content_type', content_type, 'supported', supported,
                'event_key', event_key, 'refers', refers,
                'quoted', case when quoted is not null then quoted_words(c.account_id, c.contact_id, quoted) end, 'age_s', extract(epoch from now() - coalesce(occurred_at, received_at)),
                'media', case when with_media then (select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'kind', m.kind,
                    'reference', m.reference, 'state', m.state, 'media_type', m.media_type) order by m.n), '[]')
                    from media m where m.inbox_id = inbox.id) else '[]' end)
                -- By the platform's time, since webhooks arrive in any order.
                order by coalesce(occurred_at, received_at), arrival)
            from inbox where turn_id = t.id),
        'history', (select coalesce(jsonb_agg(jsonb_build_object('number', h.number, 'asked', h.asked, 'answer', h.answer, 'at', h.opened_at,
                'media', case when with_media then (select coalesce(jsonb_agg(m.id order by m.created_at, m.n), '[]')
                    from inbox i join media m on m.inbox_id = i.id where i.turn_id = h.id and m.state = 'fetched') else '[]' end)
                order by h.number), '[]')
            from turns h where h.conversation_id = c.id and h.state = 'answered' and h.in_history and h.asked is not null and h.answer is not null
                -- Those that are left out of prompts too, until notes stand for them.
                and h.number >= least(c.history_from, c.summary_until + 1)),
        'memories', told_memories(c, p_always, p_days,
            bot.kinds_off || case when bot.sensitive_on and person.sensitive_off_at is null then '{}' else sensitive_kinds() end)
    );
end
$function$;

CREATE OR REPLACE FUNCTION public.release_leases(p_boot uuid)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
declare
    freed integer;
    items integer;
begin
    update conversations set leased_until = now(), ready_at = least(ready_at, now())
    where id in (select id from conversations where leased_by = p_boot and leased_until > now() for update skip locked);
    get diagnostics freed = row_count;
    update batch_items set leased_by = null, ready_at = now()
    where (batch_id, n) in (select batch_id, n from batch_items where leased_by = p_boot and state = 'running' for update skip locked);
    get diagnostics items = row_count;
    return freed + items;
end
$function$;

drop function process_is_dead(uuid);

drop function heartbeat(text,uuid,text[],integer,integer,boolean,boolean);
