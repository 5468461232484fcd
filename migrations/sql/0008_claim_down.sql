CREATE OR REPLACE FUNCTION public.claim_turn(p_queue text, p_boot uuid, p_lease double precision, p_session double precision)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
declare
    c conversations;
    t turns;
    paused uuid[];
    with_media boolean;
begin
    select coalesce(array_agg(id), '{}') into paused from accounts where state = 'paused';
    loop
        -- First come first served; a talk that is over five minutes late steps behind the fresh ones, newest first.
        -- Both walk along one index and stop at the first: a claim must not cost by the backlog, so nothing is joined or sorted.
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
    -- While it is leased its next due time is the lease's end: what a dead worker held becomes due by itself.
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
    -- Most contacts never send a picture: then nothing is looked up for each message.
    with_media := exists (select from media m where m.contact_id = c.contact_id);
    return jsonb_build_object(
        'tenant', c.tenant_id, 'conversation', c.id, 'contact', c.contact_id, 'account', c.account_id, 'queue', c.queue,
        'token', c.lease_token, 'turn', t.id, 'number', t.number, 'tries', t.tries, 'history_from', c.history_from,
        'summary', c.summary, 'summary_until', c.summary_until, 'open_s', extract(epoch from now() - t.opened_at), 'apologised', t.apologised_at is not null,
        'watched', exists (select from watchers w where w.conversation_id = c.id and w.until > now()),
        'stopped', (select stopped_at is not null from contacts where tenant_id = c.tenant_id and id = c.contact_id),
        -- Has the bot never answered this contact? A person's answer is none of the bot's.
        'first', not exists (select from turns h where h.conversation_id = c.id and h.state = 'answered' and h.answered_by is null)
            and not exists (select from conversations v join turns h on h.conversation_id = v.id and h.state = 'answered' and h.answered_by is null
                where v.tenant_id = c.tenant_id and v.contact_id = c.contact_id and v.id <> c.id),
        'identities', (select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'value', value) order by kind, created_at desc), '[]')
            from contact_identities where tenant_id = c.tenant_id and contact_id = c.contact_id),
        'messages', (select jsonb_agg(jsonb_build_object('id', id, 'text', text, 'content_type', content_type, 'supported', supported,
                'event_key', event_key, 'age_s', extract(epoch from now() - coalesce(occurred_at, received_at)),
                'media', case when with_media then (select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'kind', m.kind,
                    'reference', m.reference, 'state', m.state, 'media_type', m.media_type) order by m.n), '[]')
                    from media m where m.inbox_id = inbox.id) else '[]' end)
                -- The platform's clock, since webhooks come in any order.
                order by coalesce(occurred_at, received_at), arrival)
            from inbox where turn_id = t.id),
        'history', (select coalesce(jsonb_agg(jsonb_build_object('number', h.number, 'asked', h.asked, 'answer', h.answer,
                'media', case when with_media then (select coalesce(jsonb_agg(m.id order by m.created_at, m.n), '[]')
                    from inbox i join media m on m.inbox_id = i.id where i.turn_id = h.id and m.state = 'fetched') else '[]' end)
                order by h.number), '[]')
            from turns h where h.conversation_id = c.id and h.state = 'answered' and h.in_history and h.asked is not null and h.answer is not null
                and h.number >= c.history_from),
        'memories', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'text', text) order by created_at desc, id), '[]')
            from (select id, kind, text, created_at from memories
                where tenant_id = c.tenant_id and contact_id = c.contact_id and created_at <= c.session_at
                    -- What was superseded in this session of talk stays until the next one: the prompt's beginning must not change.
                    and (valid_to is null or (superseded_by is not null and valid_to > c.session_at))
                order by created_at desc, id limit 20) as newest)
    );
end
$function$;
