CREATE OR REPLACE FUNCTION public.change_message(p_change inbox, p_facts jsonb, p_stops boolean, p_quiet interval, OUT p_emptied uuid[])
 RETURNS uuid[]
 LANGUAGE plpgsql
AS $function$
declare
    m inbox;
    c conversations;
    t turns;
    moment timestamptz := coalesce(p_change.occurred_at, p_change.received_at);
    gone boolean := p_change.kind = 'revoke';
    -- A running turn has read it: as its question, in the history, in a quotation, or as a memory.
    stale boolean := gone;
begin
    select * into m from inbox
    where account_id = p_change.account_id and event_key = any(array[p_change.target, 'standby:' || p_change.target])
        and contact_id = p_change.contact_id and kind in ('message', 'echo', 'standby', 'unknown', 'unsent')
    -- It may have come in standby, too; the one that can be answered counts.
    order by content_type = 'unsent', starts_with(event_key, 'standby:') limit 1;
    if not found then
        if starts_with(p_change.target, 'echo:') then
            perform change_answer(p_change.account_id, p_change.contact_id, substr(p_change.target, 6));
        end if;
        return;
    end if;
    if (m.kind = 'echo') <> starts_with(p_change.target, 'echo:') then
        return;
    end if;
    select * into c from conversations where id = m.conversation_id for update;
    select * into m from inbox where id = m.id;
    if not gone then
        -- Where it came in standby, too, one of the two may have the new words already.
        p_change.text := coalesce(p_change.text, (select text from inbox
            where account_id = m.account_id and event_key = any(array[p_change.target, 'standby:' || p_change.target])
                and contact_id = m.contact_id and edited_at = moment limit 1));
    end if;
    -- From now on the words are in the message alone.
    update inbox set text = null where id = p_change.id;
    if m.content_type = 'unsent' and not gone then
        -- The body that it came in has the new words.
        p_emptied := array[p_change.envelope_id];
    end if;
    if m.content_type = 'unsent' or (not gone and (m.edited_at > moment or coalesce(btrim(p_change.text), '') = '')) then
        return;
    end if;
    select * into t from turns where id = m.turn_id;
    if gone then
        update inbox set kind = case kind when 'echo' then kind else 'unsent' end, content_type = 'unsent', text = null, quoted = null,
            refers = null, turn_id = case when t.state = 'open' then null else turn_id end
        where id = m.id;
        delete from media where inbox_id in (select id from inbox
            where account_id = m.account_id and event_key = any(array[p_change.target, 'standby:' || p_change.target]) and contact_id = m.contact_id);
        select array_agg(envelope_id) into p_emptied from inbox
        where account_id = m.account_id and (event_key = any(array[p_change.target, 'standby:' || p_change.target])
            or (target = p_change.target and kind in ('edit', 'revoke')));
        update inbox set text = null where account_id = m.account_id and target = p_change.target and kind = 'edit';
        update inbox set kind = 'unsent', content_type = 'unsent', text = null, quoted = null, refers = null
        where account_id = m.account_id and event_key = 'standby:' || p_change.target and contact_id = m.contact_id and id <> m.id;
        -- Every prompt since then may repeat it.
        update model_calls set prompt = '[]' where contact_id = m.contact_id and created_at >= m.received_at and prompt <> '[]';
    else
        update inbox set text = p_change.text, edited_at = moment, supported = supported or kind = 'message'
        where id = m.id or (account_id = m.account_id and event_key = 'standby:' || p_change.target and contact_id = m.contact_id);
        if m.text is not distinct from p_change.text then
            return;
        end if;
    end if;

    if m.kind = 'echo' then
        update turns set answer = case when not gone then p_change.text end where id = m.turn_id;
    elsif gone or t.state <> 'open' then
        p_facts := unlearn(m, case when gone or t.answered_by is not null then '[]' else coalesce(p_facts, '[]') end);
        if jsonb_array_length(p_facts) > 0 and exists (
            select from accounts a join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id
            join contacts n on n.tenant_id = a.tenant_id and n.id = m.contact_id
            where a.tenant_id = m.tenant_id and a.id = m.account_id and b.memory_on and n.stopped_at is null
        ) then
            perform remember_facts(m.tenant_id, m.contact_id, t.id,
                (select jsonb_agg(x || jsonb_build_object('source', m.id)) from jsonb_array_elements(p_facts) x));
        end if;
        if p_stops and not gone and t.id is not null then
            update contacts set stopped_at = coalesce(stopped_at, now()) where tenant_id = m.tenant_id and id = m.contact_id;
        end if;
    end if;

    -- The turn of the message, and those of the messages that quote it.
    for t in
        select * from turns where id in (
            select m.turn_id
            union
            select i.turn_id from inbox i join conversations v on v.id = i.conversation_id
            where v.tenant_id = m.tenant_id and v.contact_id = m.contact_id and i.quoted = regexp_replace(m.event_key, '^echo:', ''))
    loop
        if t.state <> 'open' then
            perform retell(t.id);
            perform renew_summary(t.conversation_id, t.number);
        elsif not exists (select from inbox where turn_id = t.id) then
            update turns set state = 'skipped', reason = 'unsent', finished_at = now() where id = t.id;
        end if;
        stale := stale or t.state = 'open';
    end loop;
    if stale then
        update conversations set lease_token = lease_token + 1, leased_by = null, leased_until = null,
            ready_at = case when taken_by is null and closed_at is null then now() + p_quiet end
        where id in (c.id, p_change.conversation_id) and leased_by is not null;
    end if;
    update conversations set
        waiting_since = (select min(received_at) from inbox where conversation_id = c.id and turn_id is null and kind = 'message')
    where id = c.id and waiting_since is not null;
    perform tell_page(c.id, m.contact_id);
end
$function$;

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
    -- Most contacts never send a picture: then there is no lookup for each message.
    with_media := exists (select from media m where m.contact_id = c.contact_id);
    return jsonb_build_object(
        'tenant', c.tenant_id, 'conversation', c.id, 'contact', c.contact_id, 'account', c.account_id, 'queue', c.queue,
        'token', c.lease_token, 'turn', t.id, 'number', t.number, 'tries', t.tries, 'history_from', c.history_from,
        'summary', c.summary, 'summary_until', c.summary_until, 'open_s', extract(epoch from now() - t.opened_at), 'apologised', t.apologised_at is not null,
        'watched', exists (select from watchers w where w.conversation_id = c.id and w.until > now()),
        'stopped', (select stopped_at is not null from contacts where tenant_id = c.tenant_id and id = c.contact_id),
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
        'history', (select coalesce(jsonb_agg(jsonb_build_object('number', h.number, 'asked', h.asked, 'answer', h.answer,
                'media', case when with_media then (select coalesce(jsonb_agg(m.id order by m.created_at, m.n), '[]')
                    from inbox i join media m on m.inbox_id = i.id where i.turn_id = h.id and m.state = 'fetched') else '[]' end)
                order by h.number), '[]')
            from turns h where h.conversation_id = c.id and h.state = 'answered' and h.in_history and h.asked is not null and h.answer is not null
                and h.number >= c.history_from),
        'memories', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'kind', kind, 'text', text) order by created_at desc, id), '[]')
            from (select id, kind, text, created_at from memories
                where tenant_id = c.tenant_id and contact_id = c.contact_id and created_at <= c.session_at
                    -- A memory that was replaced in this session stays until the next one: the prompt's beginning must not change.
                    and (valid_to is null or (superseded_by is not null and valid_to > c.session_at))
                order by created_at desc, id limit 20) as newest)
    );
end
$function$;

CREATE OR REPLACE FUNCTION public.pay_summary(c conversations, p_until integer, p_calls jsonb, p_stored boolean)
 RETURNS void
 LANGUAGE sql
AS $function$
    insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, tokens_cached, tokens_out,
        first_token_ms, total_ms, outcome, cost, estimated)
    select t.tenant_id, t.id, t.contact_id, n + coalesce((select max(attempt) from model_calls m where m.turn_id = t.id), 0), x->>'endpoint',
        x->>'model', case when p_stored then x->'prompt' else '[]' end, (x->>'tokens_in')::integer, (x->>'tokens_cached')::integer, (x->>'tokens_out')::integer,
        (x->>'first_token_ms')::double precision, (x->>'total_ms')::double precision,
        case x->>'outcome' when 'ok' then 'summary' else 'summary:' || (x->>'outcome') end, (x->>'cost')::double precision,
        coalesce((x->>'estimated')::boolean, false)
    from jsonb_array_elements(p_calls) with ordinality as calls(x, n)
    join turns t on t.conversation_id = c.id and t.number = p_until
    where not exists (select from model_calls m where m.turn_id = t.id and m.outcome like 'summary%' and m.endpoint = x->>'endpoint'
        and m.total_ms is not distinct from (x->>'total_ms')::double precision and m.prompt in (x->'prompt', '[]'))
$function$;

CREATE OR REPLACE FUNCTION public.remember_facts(p_tenant uuid, p_contact uuid, p_turn uuid, p_facts jsonb)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
    f jsonb;
    made uuid;
begin
    for f in select x from jsonb_array_elements(p_facts) x loop
        if exists (
            select from memories where tenant_id = p_tenant and contact_id = p_contact and kind = f->>'kind' and valid_to is null
                and lower(text) = lower(f->>'text')
        ) then
            continue;
        end if;
        insert into memories (tenant_id, contact_id, kind, text, single, source_inbox_id, source_turn_id, created_by)
        values (p_tenant, p_contact, f->>'kind', f->>'text', (f->>'single')::boolean, (f->>'source')::uuid, p_turn,
            -- The rules of bots/extract; another name when they change, so that memories of different versions can be told apart.
            'rules-2')
        returning id into made;
        if (f->>'single')::boolean then
            -- A newer value of a single-valued kind replaces the older one; so does liking what was disliked, and the other way round.
            update memories set valid_to = now(), superseded_by = made
            where tenant_id = p_tenant and contact_id = p_contact and id <> made and valid_to is null and kind = f->>'kind';
        elsif f->>'kind' in ('likes', 'dislikes') then
            update memories set valid_to = now(), superseded_by = made
            where tenant_id = p_tenant and contact_id = p_contact and id <> made and valid_to is null and lower(text) = lower(f->>'text')
                and kind = case f->>'kind' when 'likes' then 'dislikes' else 'likes' end;
        end if;
    end loop;
end
$function$;
