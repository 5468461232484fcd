create or replace function superseded(p_conversation uuid, p_turn uuid, p_result jsonb) returns jsonb language sql stable as $$
    select jsonb_build_object('state', 'wait', 'reason', 'superseded', 'calls', p_result->'calls', 'parts', '[]'::jsonb, 'close', false, 'drop_summary', false,
        -- Whoever took the new message in has set when it is due; while nothing comes, that is the end of the lease.
        'retry_s', case when c.ready_at <> c.leased_until then greatest(extract(epoch from c.ready_at - now()), 0) else 0 end)
    from conversations c where c.id = p_conversation and exists (
        select from inbox where conversation_id = p_conversation and turn_id is null and kind = 'message'
            and received_at < (select max(received_at) from inbox where turn_id = p_turn) + interval '8 seconds')
$$;

create or replace function end_turn(p_contact uuid, p_turn uuid, p_token bigint, p_boot uuid, p_stale double precision, p_result jsonb, p_wait boolean)
returns jsonb language plpgsql as $$
declare
    own text := set_config('app.contact_id', p_contact::text, true);
    -- The turn, and what counts of its conversation.
    t record;
    -- Read once: a statement would set up each of these anew.
    part_count integer := coalesce(jsonb_array_length(p_result->'parts'), 0);
    paid integer := 0;
    leaves boolean;
    rest jsonb;
    drops boolean := coalesce((p_result->>'drop_summary')::boolean, false);
    begins integer := (p_result->>'history_from')::integer;
    ends timestamptz;
    due timestamptz := now() + make_interval(secs => (p_result->>'retry_s')::double precision);
    held timestamptz;
    notes integer := (p_result->>'summarise_to')::integer;
    reads timestamptz := now() + make_interval(secs => (p_result->>'read_after_s')::double precision);
    recalls boolean := p_result ? 'episode';
    renews boolean := p_result ? 'new_session';
    -- Workers of the version before know nothing of recall, nor of ends: the background indexes their turns.
    unread boolean := p_result->>'state' = 'answered' and not p_result ? 'ends';
    state_now text := p_result->>'state';
    sending jsonb;
    waits boolean := p_result->>'state' in ('wait', 'retry');
    closes boolean := coalesce((p_result->>'close')::boolean, false);
    more_since timestamptz;
    watched boolean;
    overtaken boolean := coalesce(p_result->>'reason' = 'superseded', false);
    instead jsonb;
    first_part integer := case when p_result->>'state' = 'wait' then 0 else 1 end;
    -- Workers of the version before say forget.
    wish jsonb := coalesce(p_result->'erase', case when jsonb_array_length(p_result->'forget') > 0
        then jsonb_build_object('memories', p_result->'forget') end);
    lost jsonb;
begin
    if wish is not null then
        -- All that erase_words will lock, in its order: another erasing of this contact may run.
        perform from conversations where contact_id = p_contact order by id for update;
    end if;
    if p_wait then
        select h.tenant_id, h.id, h.number, h.state, h.token, h.opened_at, h.claimed_at, v.id as conversation, v.account_id, v.thread, v.queue, v.lease_token,
            v.leased_by, v.leased_until into t
        from conversations v join turns h on h.conversation_id = v.id where h.id = p_turn for update;
    else
        select h.tenant_id, h.id, h.number, h.state, h.token, h.opened_at, h.claimed_at, v.id as conversation, v.account_id, v.thread, v.queue, v.lease_token,
            v.leased_by, v.leased_until into t
        from conversations v join turns h on h.conversation_id = v.id where h.id = p_turn for update skip locked;
    end if;
    if not found then
        return case when not p_wait then '"busy"'::jsonb end;
    end if;
    if t.state = 'answered' and t.token = p_token then
        -- We committed this ourselves, and the answer was lost on the way: the same thread asks again, and has sent nothing yet.
        select to_send(m, a.id) into sending from outbox m join send_attempts a on a.message_id = m.id
        where m.turn_id = t.id and m.part = 1 and m.status = 'sending' and a.boot_id = p_boot and a.finished_at is null;
        return jsonb_build_object('state', t.state, 'sending', sending, 'again', true);
    end if;
    if t.state = 'open' and t.token = p_token and t.leased_by is null and (waits or p_result ? 'takes_more') then
        -- The same, for a turn that stays open.
        select to_send(m, a.id) into sending from outbox m join send_attempts a on a.message_id = m.id
        where m.turn_id = t.id and m.part = 0 and m.status = 'sending' and a.boot_id = p_boot and a.finished_at is null;
        return jsonb_build_object('state', t.state, 'sending', sending, 'again', true);
    end if;
    if t.state <> 'open' or t.token <> p_token or t.lease_token <> p_token then
        return null;
    end if;
    -- What came meanwhile: whoever takes a message in holds the conversation, too, so this stays true. And whether its message may leave: only the first
    -- unsettled one of the conversation may, and only where the account works and nothing limits its sends.
    select (select min(received_at) from inbox i where i.conversation_id = t.conversation and i.turn_id is null and i.kind = 'message'),
        (select 1 from watchers w where w.conversation_id = t.conversation and w.until > now() limit 1) is not null,
        part_count > 0 and may_send(a) and (select 1 from outbox o where o.conversation_id = t.conversation and o.not_before is not null
            and o.status in ('queued', 'sending', 'unknown') limit 1) is null
        and (select 1 from send_limits x where x.scope = 'account' and x.account_id = a.id limit 1) is null
        and (select 1 from send_limits x where x.scope = 'person' and x.account_id = a.id and x.contact_id = p_contact limit 1) is null
        and (a.app_id is null or (select 1 from send_limits x where x.scope = 'app' and x.app_id = a.app_id limit 1) is null)
    into more_since, watched, leaves from accounts a where a.tenant_id = t.tenant_id and a.id = t.account_id;
    if more_since is not null and (p_result->>'takes_more')::boolean then
        instead := superseded(t.conversation, t.id, p_result);
        if instead is not null then
            return end_turn(p_contact, p_turn, p_token, p_boot, p_stale, instead, p_wait);
        end if;
    end if;

    if t.claimed_at > t.opened_at then
        -- A turn that waits for its model for hours leaves one row per try, not thousands. Calls that cost something keep their own rows.
        paid := coalesce((select max(attempt) from model_calls c
            where c.turn_id = t.id and (c.tokens_in is not null or c.tokens_out is not null or c.cost is not null)), 0);
    end if;
    if jsonb_array_length(p_result->'recalls') > 0 then
        insert into recalls (tenant_id, turn_id, memory_id, contact_id, rank, reason)
        select t.tenant_id, t.id, m.id, p_contact, r.n, r.reason
        from (select (x->>'memory')::uuid as memory, x->>'reason' as reason, n from jsonb_array_elements(p_result->'recalls') with ordinality as r(x, n)
            offset 0) r join memories m on m.id = r.memory
        on conflict do nothing;
    end if;
    if jsonb_array_length(p_result->'recalled') > 0 then
        insert into recalled_turns (tenant_id, turn_id, recalled_id, contact_id, rank, signals)
        select t.tenant_id, t.id, h.id, p_contact, r.n, array(select jsonb_array_elements_text(r.signals))
        from (select (x->>'turn')::uuid as turn, x->'signals' as signals, n from jsonb_array_elements(p_result->'recalled') with ordinality as r(x, n)
            offset 0) r join turns h on h.id = r.turn and h.contact_id = p_contact
        on conflict do nothing;
    end if;
    if p_result ?| array['memory_off', 'sensitive_off', 'sensitive_told'] then
        update contacts set
            memory_off_at = switched(memory_off_at, p_result->'memory_off'),
            sensitive_off_at = switched(sensitive_off_at, p_result->'sensitive_off'),
            sensitive_told_at = switched(sensitive_told_at, p_result->'sensitive_told')
        where tenant_id = t.tenant_id and id = p_contact;
    end if;
    -- Before what is new, so that it is not taken for known; the words go at the end, when this turn is stored.
    if wish is not null then
        lost := forget_memories(p_contact, wish);
    end if;
    if jsonb_array_length(p_result->'facts') > 0 or jsonb_array_length(p_result->'ends') > 0 then
        -- The rules of bots/extract; another name when they change, so that memories of different versions can be told apart.
        perform remember(p_contact, t.id, p_result->'facts', coalesce(p_result->'ends', '[]'), 'rules-3');
    end if;
    if jsonb_array_length(p_result->'untold') > 0 then
        update inbox set reason = 'untold' where turn_id = t.id and id = any(array(select x::uuid from jsonb_array_elements_text(p_result->'untold') x));
    end if;
    if p_result ? 'stopped' then
        update contacts set stopped_at = case when (p_result->>'stopped')::boolean then now() end
        where tenant_id = t.tenant_id and id = p_contact;
    end if;

    if waits then
        -- A turn may wait long for its model, but what the contact says meanwhile may be /stop or /forget.
        held := case when overtaken then null when state_now = 'wait' then least(due, now() + interval '30 seconds') else due end;
    else
        ends := now();
    end if;
    update turns set
        state = case when waits then 'open' else state_now end,
        reason = p_result->>'reason',
        asked = p_result->>'asked',
        -- While a turn is open: what it has said already about what it did (bots.storage.turns).
        answer = coalesce(p_result->>'answer', case when waits then answer end),
        in_history = coalesce((p_result->>'in_history')::boolean, true),
        tries = tries + case when state_now in ('retry', 'dead') then 1 else 0 end,
        apologised_at = case when first_part = 0 and part_count > 0 then now() else apologised_at end,
        finished_at = ends
    where id = t.id;
    -- The turn covers the messages it was claimed with: what arrived meanwhile goes to the next turn.
    update conversations v set
        leased_by = null, leased_until = null,
        history_from = coalesce(begins, v.history_from),
        -- A summary must not repeat what the contact has asked to forget.
        summary = case when drops then null else v.summary end,
        -- A turn that stays in the history, such as a /reset with text after it, is still to be summarised.
        summary_until = case when drops then coalesce(begins, t.number + 1) - 1 else v.summary_until end,
        summary_after = case when drops then coalesce(begins, t.number + 1) - 1 else v.summary_after end,
        summarise_at = case when drops then null when notes is not null then coalesce(v.summarise_at, now()) else v.summarise_at end,
        summarise_to = case when drops then null else greatest(v.summarise_to, notes) end,
        -- Once the talk is quiet: each turn puts it off.
        remember_at = coalesce(reads, v.remember_at),
        -- Its episode is embedded within a minute.
        settle_at = case when recalls then coalesce(v.settle_at, now() + interval '1 minute') else v.settle_at end,
        session_at = case when renews then now() else v.session_at end,
        index_to = case when unread then greatest(v.index_to, t.number) else v.index_to end,
        closed_at = case when closes then now() end,
        hold_until = held,
        ready_at = case when waits then due when more_since is null or closes then null when v.ready_at >= t.leased_until then now() else v.ready_at end,
        waiting_since = case when closes or (waits and not overtaken) then null else more_since end
    where v.id = t.conversation;
    if closes and more_since is not null then
        -- What arrived while the conversation was being closed belongs to the next one.
        with fresh as (
            insert into conversations (tenant_id, account_id, contact_id, thread, queue, ready_at, waiting_since, newest_at)
            values (t.tenant_id, t.account_id, p_contact, t.thread, t.queue, now(), more_since, now()) returning id
        )
        update inbox set conversation_id = fresh.id from fresh
        where inbox.conversation_id = t.conversation and inbox.turn_id is null and kind = 'message';
    end if;
    if drops and begins > t.number then
        -- Exports must not contain what the contact has asked to forget either: this conversation so far, and those that ended before it.
        update turns h set in_history = false from conversations v
        where v.tenant_id = t.tenant_id and v.contact_id = p_contact and h.conversation_id = v.id and h.in_history
            and (v.closed_at is not null or v.id = t.conversation) and (v.id <> t.conversation or h.number < begins);
    end if;
    if watched then
        perform tell_page(t.conversation, p_contact);
    end if;
    rest := jsonb_build_object('tenant', t.tenant_id, 'contact', p_contact, 'account', t.account_id, 'conversation', t.conversation, 'turn', t.id,
        'number', t.number, 'at', t.opened_at, 'paid', paid, 'calls', p_result->'calls', 'first_part', first_part, 'parts', p_result->'parts',
        'leaves', leaves, 'episode', p_result->'episode');
    if lost is null and (waits or t.claimed_at = t.opened_at) then
        return jsonb_build_object('state', state_now, 'rest', rest);
    end if;
    sending := write_ends(jsonb_build_array(rest), p_boot, p_stale)->t.id::text;
    if lost is not null then
        perform erase_words(p_contact, t.id, wish, lost, case when (wish->>'everything')::boolean
            then array(select (x->>'source')::uuid from jsonb_array_elements((p_result->'facts') || (p_result->'ends')) x) else '{}' end);
    else
        -- While it waited for its model it was told to forget: its own messages go now.
        perform forget_own(t.id);
    end if;
    return jsonb_build_object('state', state_now, 'sending', sending);
end
$$;

create or replace function write_ends(p_rests jsonb, p_boot uuid, p_stale double precision) returns jsonb language plpgsql as $$
declare
    sendings jsonb;
begin
    insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, tokens_cached, tokens_out,
        first_token_ms, total_ms, outcome, cost, estimated)
    select r.tenant, r.turn, r.contact, x.attempt + r.paid, x.endpoint, x.model, x.prompt, x.tokens_in, x.tokens_cached, x.tokens_out,
        x.first_token_ms, x.total_ms, x.outcome, x.cost, coalesce(x.estimated, false)
    from jsonb_to_recordset(p_rests) as r(tenant uuid, turn uuid, contact uuid, paid integer, calls jsonb)
        cross join lateral jsonb_to_recordset(r.calls) as x(attempt integer, endpoint text, model text, prompt jsonb, tokens_in integer,
            tokens_cached integer, tokens_out integer, first_token_ms double precision, total_ms double precision, outcome text,
            cost double precision, estimated boolean)
    where set_config('app.contact_id', r.contact::text, true) is not null
    on conflict (turn_id, attempt) do update set endpoint = excluded.endpoint, model = excluded.model, prompt = excluded.prompt,
        tokens_in = excluded.tokens_in, tokens_cached = excluded.tokens_cached, tokens_out = excluded.tokens_out,
        first_token_ms = excluded.first_token_ms, total_ms = excluded.total_ms, outcome = excluded.outcome, cost = excluded.cost,
        estimated = excluded.estimated, created_at = now();
    with placed as (
        insert into outbox (tenant_id, turn_id, part, account_id, contact_id, conversation_id, body, status, sends, not_before)
        select r.tenant, r.turn, r.first_part + x.n - 1, r.account, r.contact, r.conversation, x.body,
            case when r.leaves and x.n = 1 then 'sending' else 'queued' end, case when r.leaves and x.n = 1 then 1 else 0 end,
            case when r.leaves and x.n = 1 then now() + make_interval(secs => p_stale) else now() end
        from jsonb_to_recordset(p_rests) as r(tenant uuid, turn uuid, contact uuid, account uuid, conversation uuid, first_part integer,
                parts jsonb, leaves boolean)
            cross join lateral jsonb_array_elements_text(r.parts) with ordinality as x(body, n)
        where set_config('app.contact_id', r.contact::text, true) is not null
        on conflict (turn_id, part) do nothing returning *
    )
    select coalesce(jsonb_object_agg(m.turn_id, to_send(m::outbox, new_id())), '{}') into sendings from placed m where m.status = 'sending';
    insert into send_attempts (tenant_id, id, message_id, contact_id, n, boot_id)
    select x.tenant, x.attempt, x.message, x.contact, x.n, p_boot
    from jsonb_each(sendings) s cross join lateral jsonb_to_record(s.value) as x(tenant uuid, attempt uuid, message uuid, contact uuid, n integer)
    where set_config('app.contact_id', s.value->>'contact', true) is not null;
    perform remember_episodes(p_rests);
    return sendings;
end
$$;

create or replace function end_turns(p_turns jsonb, p_boot uuid, p_stale double precision, p_wait boolean) returns jsonb language plpgsql as $$
declare
    given jsonb;
    ended jsonb;
    made jsonb[] := '{}';
    rests jsonb[] := '{}';
    sendings jsonb;
begin
    for n in 0 .. jsonb_array_length(p_turns) - 1 loop
        given := p_turns->n;
        ended := end_turn((given->>'contact')::uuid, (given->>'turn')::uuid, (given->>'token')::bigint, p_boot, p_stale, given->'result', p_wait);
        made := made || coalesce(ended, 'null');
        rests := rests || case when ended ? 'rest' then array[ended->'rest'] end;
    end loop;
    if rests <> '{}' then
        sendings := write_ends(to_jsonb(rests), p_boot, p_stale);
    end if;
    return (select jsonb_agg(case when x ? 'rest' then jsonb_build_object('state', x->'state', 'sending', sendings->(x->'rest'->>'turn')) else x end
        order by n) from unnest(made) with ordinality as m(x, n));
end
$$;

create or replace function finish_turn(p_contact uuid, p_turn uuid, p_token bigint, p_boot uuid, p_stale double precision, p_result jsonb)
returns jsonb language plpgsql as $$
begin
    return nullif(end_turns(jsonb_build_array(jsonb_build_object('contact', p_contact, 'turn', p_turn, 'token', p_token, 'result', p_result)),
        p_boot, p_stale, true)->0, 'null');
end
$$;

create or replace function finish_turns(p_boot uuid, p_stale double precision, p_turns jsonb) returns jsonb language plpgsql as $$
begin
    perform set_config('lock_timeout', '200ms', true);
    return end_turns(p_turns, p_boot, p_stale, false);
end
$$;
