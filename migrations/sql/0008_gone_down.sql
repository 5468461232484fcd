CREATE OR REPLACE FUNCTION public.accept_events(p_tenant uuid, p_account uuid, p_scope text, p_queue text, p_body bytea, p_quarantine text, p_events jsonb, p_debounce double precision, p_cap double precision, p_hold double precision)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
declare
    envelope uuid := gen_random_uuid();
    fresh text[];
    e jsonb;
    contact uuid;
    talk uuid;
    item uuid;
    touched uuid[] := '{}';
    once boolean := false;
    quiet interval := make_interval(secs => p_debounce);
    longest interval := make_interval(secs => p_cap);
begin
    -- All keys at once and in one order: two copies of a batch, shuffled, must not wait for each other in a ring.
    with put as (
        insert into inbox_keys (tenant_id, account_id, event_key)
        select distinct p_tenant, p_account, x->>'key' from jsonb_array_elements(p_events) x order by 3
        on conflict do nothing returning event_key
    )
    select coalesce(array_agg(event_key), '{}') into fresh from put;
    if p_quarantine is not null then
        -- A captured body replays for ever: it is kept once.
        insert into inbox_keys (tenant_id, account_id, event_key) values (p_tenant, p_account, 'quarantine:' || encode(sha256(p_body), 'hex'))
        on conflict do nothing;
        once := found;
    end if;
    if cardinality(fresh) > 0 or once then
        insert into envelopes (tenant_id, id, account_id, body, state, reason)
        values (p_tenant, envelope, p_account, p_body, case when p_quarantine is null then 'parsed' else 'quarantined' end, p_quarantine);
    end if;
    for e in
        select x from jsonb_array_elements(p_events) with ordinality as t(x, n)
        where x->>'key' = any(fresh) and x->>'kind' <> 'status'
        order by x->'identities'->0->>'kind', x->'identities'->0->>'value', n
    loop
        if not (e->>'key' = any(fresh)) then
            continue;
        end if;
        fresh := array_remove(fresh, e->>'key');
        contact := null;
        talk := null;
        if jsonb_array_length(e->'identities') > 0 then
            contact := find_contact(p_tenant, p_scope, e->'identities', e->>'name', e->>'kind' = 'system');
            if e->>'kind' = 'system' then
                -- A change of handle names the new one first: the old one may soon be somebody else's.
                delete from contact_identities x using jsonb_array_elements(e->'identities') with ordinality as i(h, n)
                where x.tenant_id = p_tenant and x.scope = p_scope and x.kind = h->>'kind' and x.value = h->>'value' and exists (
                    select from jsonb_array_elements(e->'identities') with ordinality as j(h2, n2)
                    where h2->>'kind' = h->>'kind' and n2 < n and h2->>'value' <> h->>'value');
            end if;
            touched := touched || contact;
            insert into envelope_contacts values (p_tenant, envelope, contact) on conflict do nothing;
            -- Locks the conversation: finishing a turn takes the same lock before it looks for what came meanwhile.
            insert into conversations as c (tenant_id, account_id, contact_id, queue, ready_at, waiting_since, newest_at)
            select p_tenant, p_account, contact, p_queue,
                case when m then now() + case when at_once then interval '0' else quiet end end,
                case when m then now() end, case when m then now() end
            from (select e->>'kind' = 'message' as m, (e->>'at_once')::boolean as at_once) as is_
            on conflict (account_id, contact_id, thread) where closed_at is null do update set
                -- A conversation that lives on one engine stays there while its bot's profile is the same.
                queue = case when starts_with(c.queue, excluded.queue || '.@') then c.queue else excluded.queue end,
                ready_at = case when c.taken_by is not null then null when excluded.ready_at is null then c.ready_at else greatest(c.hold_until,
                    least(excluded.ready_at, greatest(now(), coalesce(c.waiting_since, now()) + longest))) end,
                waiting_since = case when excluded.newest_at is null then c.waiting_since else coalesce(c.waiting_since, now()) end,
                newest_at = coalesce(excluded.newest_at, c.newest_at)
            returning id into talk;
        end if;
        if e->>'kind' = 'echo' and talk is not null then
            -- Ours, or typed by a person into the platform's own inbox?
            continue when settle_echo(p_account, talk, e->'status'->>'external_id', e->>'text');
            perform answered_elsewhere(talk, e->>'text', p_hold);
        end if;
        insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, envelope_id, text, content_type, supported,
            reason, occurred_at)
        values (p_tenant, p_account, e->>'key', e->>'kind', contact, talk, envelope, e->>'text', e->>'content_type',
            (e->>'supported')::boolean, e->>'reason', to_timestamp((e->>'at')::double precision))
        returning id into item;
        if contact is not null and e ? 'media' then
            insert into media (tenant_id, contact_id, inbox_id, n, kind, reference, media_type)
            select p_tenant, contact, item, n, x->>'kind', x->>'reference', x->>'media_type'
            from jsonb_array_elements(e->'media') with ordinality as m(x, n);
        end if;
        if talk is not null then
            perform tell_page(talk, contact);
        end if;
    end loop;
    for e in
        select x from jsonb_array_elements(p_events) as t(x)
        where x->>'key' = any(fresh) and x->>'kind' = 'status'
        order by x->'status'->>'external_id', status_rank(x->'status'->>'status')
    loop
        if e->'status' ? 'watermark' then
            perform apply_watermark(p_tenant, p_account, p_scope, e->'identities', e->'status'->>'status',
                to_timestamp((e->'status'->>'watermark')::double precision));
            continue;
        end if;
        insert into statuses (tenant_id, account_id, external_id, status, occurred_at, correlation, error_code)
        values (p_tenant, p_account, e->'status'->>'external_id', e->'status'->>'status', to_timestamp((e->>'at')::double precision),
            e->'status'->>'correlation', (e->'status'->>'code')::integer)
        on conflict do nothing;
        perform apply_status(p_account, e->'status'->>'external_id', e->'status'->>'status', (e->'status'->>'correlation')::uuid,
            (e->'status'->>'code')::integer);
    end loop;
    return jsonb_build_object('envelope', envelope, 'contacts', to_jsonb(touched));
end
$function$;

CREATE OR REPLACE FUNCTION public.answered_elsewhere(p_conversation uuid, p_text text, p_seconds double precision)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
    c conversations;
    t uuid;
begin
    select * into c from conversations where id = p_conversation for update;
    -- Whoever took the conversation over without an end keeps it.
    if c.taken_by is null or c.taken_until is not null then
        perform take_over(c.id, 'the platform''s inbox', p_seconds);
    end if;
    if not exists (select from inbox where conversation_id = c.id and turn_id is null and kind = 'message') then
        return;
    end if;
    insert into turns (tenant_id, conversation_id, contact_id, number, state, reason, token, asked, answer, answered_by, claimed_at, finished_at)
    select c.tenant_id, c.id, c.contact_id, (select coalesce(max(number), 0) + 1 from turns where conversation_id = c.id), 'answered',
        'elsewhere', c.lease_token, unanswered(c.id), p_text, 'the platform''s inbox', now(), now()
    returning id into t;
    update inbox set turn_id = t where conversation_id = c.id and turn_id is null and kind = 'message';
    update conversations set waiting_since = null where id = c.id;
end
$function$;

CREATE OR REPLACE FUNCTION public.claim_send(p_boot uuid, p_stale double precision, p_reconcile double precision)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
declare
    m outbox;
    unknowns integer;
    policy text;
    parked uuid[];
    resent boolean;
begin
    select coalesce(array_agg(id), '{}') into parked from accounts where state <> 'active';
    loop
        select * into m from outbox o
        where o.not_before <= now() and o.account_id <> all (parked) and is_head(o)
        order by o.not_before limit 1 for update skip locked;
        if not found then
            return null;
        end if;
        if m.status = 'sending' then
            -- Journaled, and nobody came back: it may have left.
            update send_attempts set finished_at = now(), outcome = 'unknown' where message_id = m.id and finished_at is null;
            update outbox set status = 'unknown', status_at = now(), attention_at = now(),
                not_before = now() + make_interval(secs => p_reconcile) where id = m.id;
            continue;
        end if;
        if m.status = 'unknown' then
            select count(*) into unknowns from send_attempts where message_id = m.id and outcome = 'unknown';
            select unknown_send into policy from accounts where tenant_id = m.tenant_id and id = m.account_id;
            if policy = 'never' or unknowns > 1 then
                update outbox set not_before = null, reason = 'unknown', status_at = now() where id = m.id;
                update outbox set not_before = now() where turn_id = m.turn_id and part = m.part + 1 and status = 'queued';
                continue;
            end if;
        elsif m.status <> 'queued' then
            update outbox set not_before = null where id = m.id;
            continue;
        end if;
        resent := m.status = 'unknown';
        update outbox set status = 'sending', status_at = now(), attention_at = null, sends = sends + 1,
            not_before = now() + make_interval(secs => p_stale)
        where id = m.id returning * into m;
        return journal(m, p_boot) || jsonb_build_object(
            'resent', resent,
            'identities', (select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'value', value) order by kind, created_at desc), '[]')
                from contact_identities where tenant_id = m.tenant_id and contact_id = m.contact_id));
    end loop;
end
$function$;

CREATE OR REPLACE FUNCTION public.end_attempt(p_contact uuid, p_attempt uuid, p_outcome text, p_external_id text, p_http integer, p_code integer, p_trace text, p_retry text, p_retry_after double precision, p_reconcile double precision, p_next_part double precision)
 RETURNS text
 LANGUAGE plpgsql
AS $function$
declare
    a send_attempts;
    m outbox;
    s record;
    failures integer;
    climbs boolean;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    -- The message first, as everywhere: two that lock in other orders wait for each other.
    select * into m from outbox where id = (select message_id from send_attempts where id = p_attempt) for update;
    update send_attempts set finished_at = now(), outcome = p_outcome, http_status = p_http, error_code = p_code, trace_id = p_trace
    where id = p_attempt and finished_at is null returning * into a;
    if not found then
        -- Repeated after a lost answer, or judged unknown meanwhile: an acceptance is still worth knowing.
        select * into a from send_attempts where id = p_attempt;
        if not found then
            return null;
        end if;
        if p_outcome = 'accepted' and a.outcome = 'unknown' then
            update send_attempts set outcome = 'accepted' where id = p_attempt;
        elsif a.outcome is distinct from p_outcome then
            return null;
        end if;
    end if;
    if p_outcome = 'accepted' then
        perform pg_advisory_xact_lock(hashtext(m.account_id::text || p_external_id));
        climbs := m.status in ('queued', 'sending', 'unknown');
        update outbox set external_id = coalesce(external_id, p_external_id), not_before = null, attention_at = case when status = 'failed' then attention_at end,
            status = case when climbs then 'accepted' else status end, status_at = case when climbs then now() else status_at end
        where id = m.id;
        if climbs then
            update outbox set not_before = now() + make_interval(secs => p_next_part)
            where turn_id = m.turn_id and part = m.part + 1 and status = 'queued';
            perform tell_page(m.conversation_id, m.contact_id);
        end if;
        -- A status may have overtaken our own answer.
        for s in select status, error_code from statuses where account_id = m.account_id and external_id = p_external_id
            order by status_rank(status) nulls first loop
            perform climb(m.id, s.status, s.error_code);
        end loop;
        return 'accepted';
    end if;
    if status_rank(m.status) > status_rank('unknown') or m.status = 'failed' then
        return m.status;
    end if;
    select count(*) into failures from send_attempts where message_id = m.id and outcome in ('not_sent', 'rejected');
    if p_outcome = 'unknown' then
        update outbox set status = 'unknown', status_at = now(), attention_at = now(),
            not_before = now() + make_interval(secs => p_reconcile) where id = m.id;
    elsif p_retry = 'never' or m.created_at < now() - interval '24 hours' then
        update outbox set status = 'failed', status_at = now(), attention_at = now(), not_before = null,
            reason = coalesce('code:' || p_code::text, p_outcome) where id = m.id;
        update outbox set not_before = now() where turn_id = m.turn_id and part = m.part + 1 and status = 'queued';
    else
        update outbox set status = 'queued', status_at = now(), attention_at = null, reason = coalesce('code:' || p_code::text, p_outcome),
            not_before = now() + make_interval(secs => coalesce(p_retry_after,
                -- Meta's advice for a pair of number and contact is 4^n seconds, n from 0; else 2^n.
                case when p_code = 131056 then 4 ^ least(failures - 1, 5) else 2 ^ least(failures, 9) end * (0.8 + random() * 0.4)))
        where id = m.id;
        if p_retry = 'ask_operator' then
            update accounts set state = 'needs_attention', state_reason = coalesce('code:' || p_code::text, p_outcome)
            where tenant_id = m.tenant_id and id = m.account_id and state = 'active';
        end if;
    end if;
    perform tell_page(m.conversation_id, m.contact_id);
    return (select status from outbox where id = m.id);
end
$function$;

CREATE OR REPLACE FUNCTION public.find_contact(p_tenant uuid, p_scope text, p_identities jsonb, p_name text, p_moves boolean)
 RETURNS uuid
 LANGUAGE plpgsql
AS $function$
declare
    found_ids uuid[];
    contact uuid;
    other uuid;
    placed integer;
begin
    for attempt in 1..5 loop
        select array_agg(id order by created_at, id) into found_ids from (
            select distinct c.id, c.created_at
            from jsonb_array_elements(p_identities) i
            join contact_identities x on x.tenant_id = p_tenant and x.scope = p_scope and x.kind = i->>'kind' and x.value = i->>'value'
            join contacts c on c.tenant_id = p_tenant and c.id = x.contact_id
        ) as owners;
        -- A phone that comes with another business id than its contact's, and without a notice of the change, was given to somebody else:
        -- a stranger must not land in this contact's talk.
        if cardinality(found_ids) = 1 and not p_moves and exists (
            select from contact_identities where tenant_id = p_tenant and scope = p_scope and contact_id = found_ids[1] and kind = 'bsuid'
        ) and exists (
            select from jsonb_array_elements(p_identities) i where i->>'kind' = 'bsuid'
        ) and not exists (
            select from jsonb_array_elements(p_identities) i join contact_identities x on x.tenant_id = p_tenant and x.scope = p_scope
                and x.kind = 'bsuid' and x.value = i->>'value' and x.contact_id = found_ids[1]
            where i->>'kind' = 'bsuid'
        ) then
            delete from contact_identities x using jsonb_array_elements(p_identities) i
            where x.tenant_id = p_tenant and x.scope = p_scope and x.kind = i->>'kind' and x.value = i->>'value';
            found_ids := null;
        end if;
        if found_ids is null then
            insert into contacts (tenant_id, name) values (p_tenant, p_name) returning id into contact;
        else
            contact := found_ids[1];
            foreach other in array found_ids[2:] loop
                perform join_contacts(p_tenant, contact, other);
            end loop;
        end if;
        if found_ids is not null and jsonb_array_length(p_identities) = 1 then
            return contact;
        end if;
        insert into contact_identities (tenant_id, scope, kind, value, contact_id)
        select p_tenant, p_scope, i->>'kind', i->>'value', contact from jsonb_array_elements(p_identities) i
        order by 3, 4
        on conflict do nothing;
        get diagnostics placed = row_count;
        if found_ids is not null or placed = jsonb_array_length(p_identities) then
            return contact;
        end if;
        -- Somebody else made this contact at the same moment: use theirs.
        delete from contact_identities where tenant_id = p_tenant and contact_id = contact;
        delete from contacts where tenant_id = p_tenant and id = contact;
    end loop;
    raise exception 'a contact could not be placed' using errcode = 'serialization_failure';
end
$function$;

CREATE OR REPLACE FUNCTION public.pay_summary(c conversations, p_until integer, p_calls jsonb)
 RETURNS void
 LANGUAGE sql
AS $function$
    insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, tokens_cached, tokens_out,
        first_token_ms, total_ms, outcome, cost)
    select t.tenant_id, t.id, t.contact_id, n + coalesce((select max(attempt) from model_calls m where m.turn_id = t.id), 0), x->>'endpoint',
        x->>'model', x->'prompt', (x->>'tokens_in')::integer, (x->>'tokens_cached')::integer, (x->>'tokens_out')::integer,
        (x->>'first_token_ms')::double precision, (x->>'total_ms')::double precision,
        case x->>'outcome' when 'ok' then 'summary' else 'summary:' || (x->>'outcome') end, (x->>'cost')::double precision
    from jsonb_array_elements(p_calls) with ordinality as calls(x, n)
    join turns t on t.conversation_id = c.id and t.number = p_until
    where not exists (select from model_calls m where m.turn_id = t.id and m.outcome like 'summary%' and m.endpoint = x->>'endpoint'
        and m.total_ms is not distinct from (x->>'total_ms')::double precision and m.prompt = x->'prompt')
$function$;

CREATE OR REPLACE FUNCTION public.remember_facts(p_tenant uuid, p_contact uuid, p_turn uuid, p_facts jsonb, p_by text)
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
        values (p_tenant, p_contact, f->>'kind', f->>'text', (f->>'single')::boolean, (f->>'source')::uuid, p_turn, p_by)
        returning id into made;
        if (f->>'single')::boolean then
            -- A newer value of a single kind supersedes; so does liking what was disliked, and the other way round.
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
