drop function superseded(uuid,uuid,jsonb);

drop function end_turn(uuid,uuid,bigint,uuid,double precision,jsonb,boolean);

drop function write_ends(jsonb,uuid,double precision);

drop function end_turns(jsonb,uuid,double precision,boolean);

CREATE OR REPLACE FUNCTION public.finish_turn(p_contact uuid, p_turn uuid, p_token bigint, p_boot uuid, p_stale double precision, p_result jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
AS $function$
declare
    t turns;
    c conversations;
    state_now text := p_result->>'state';
    sending jsonb;
    placed outbox;
    leaves boolean;
    part_text text;
    part_number integer;
    waits boolean;
    closes boolean;
    more_since timestamptz;
    first_part integer := case when p_result->>'state' = 'wait' then 0 else 1 end;
    -- Workers of the version before say forget.
    wish jsonb := coalesce(p_result->'erase', case when jsonb_array_length(p_result->'forget') > 0
        then jsonb_build_object('memories', p_result->'forget') end);
    lost jsonb;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    if wish is not null then
        -- All that erase_words will lock, in its order: another erasing of this contact may run.
        perform from conversations where contact_id = p_contact order by id for update;
    end if;
    select * into t from turns where id = p_turn;
    select * into c from conversations where id = t.conversation_id for update;
    if not found then
        return null;
    end if;
    select * into t from turns where id = p_turn for update;
    if t.state = 'answered' and t.token = p_token then
        -- We committed this ourselves, and the answer was lost on the way: the same thread asks again, and has sent nothing yet.
        select jsonb_build_object('message', m.id, 'attempt', a.id, 'n', a.n, 'text', m.body, 'part', m.part, 'tenant', m.tenant_id,
            'contact', m.contact_id, 'account', m.account_id, 'turn', m.turn_id) into sending
        from outbox m join send_attempts a on a.message_id = m.id
        where m.turn_id = t.id and m.part = 1 and m.status = 'sending' and a.boot_id = p_boot and a.finished_at is null;
        return jsonb_build_object('state', t.state, 'sending', sending, 'again', true);
    end if;
    if t.state = 'open' and t.token = p_token and c.leased_by is null and state_now in ('wait', 'retry') then
        -- The same, for a turn that stays open.
        select jsonb_build_object('message', m.id, 'attempt', a.id, 'n', a.n, 'text', m.body, 'part', m.part, 'tenant', m.tenant_id,
            'contact', m.contact_id, 'account', m.account_id, 'turn', m.turn_id) into sending
        from outbox m join send_attempts a on a.message_id = m.id
        where m.turn_id = t.id and m.part = 0 and m.status = 'sending' and a.boot_id = p_boot and a.finished_at is null;
        return jsonb_build_object('state', t.state, 'sending', sending, 'again', true);
    end if;
    if t.state <> 'open' or t.token <> p_token or c.lease_token <> p_token then
        return null;
    end if;

    insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, tokens_cached, tokens_out,
        first_token_ms, total_ms, outcome, cost, estimated)
    select t.tenant_id, t.id, p_contact, (x->>'attempt')::integer + coalesce((select max(m.attempt) from model_calls m
            where m.turn_id = t.id and (m.tokens_in is not null or m.tokens_out is not null or m.cost is not null)), 0),
        x->>'endpoint', x->>'model', x->'prompt', (x->>'tokens_in')::integer,
        (x->>'tokens_cached')::integer, (x->>'tokens_out')::integer, (x->>'first_token_ms')::double precision,
        (x->>'total_ms')::double precision, x->>'outcome', (x->>'cost')::double precision, coalesce((x->>'estimated')::boolean, false)
    from jsonb_array_elements(p_result->'calls') x
    -- A turn that waits for its model for hours leaves one row per try, not thousands. Calls that cost something keep their own rows.
    on conflict (turn_id, attempt) do update set endpoint = excluded.endpoint, model = excluded.model, prompt = excluded.prompt, tokens_in = excluded.tokens_in,
        tokens_cached = excluded.tokens_cached, tokens_out = excluded.tokens_out, first_token_ms = excluded.first_token_ms,
        total_ms = excluded.total_ms, outcome = excluded.outcome, cost = excluded.cost, estimated = excluded.estimated, created_at = now();
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

    if jsonb_array_length(p_result->'parts') > 0 then
        -- Only the first unsettled message of the conversation may leave, and only where the account works and nothing limits its sends.
        leaves := not exists (select from outbox where conversation_id = c.id
                and (status in ('queued', 'sending') or (status = 'unknown' and not_before is not null)))
            and exists (select from accounts a where a.tenant_id = c.tenant_id and a.id = c.account_id and may_send(a)
                and not exists (select from send_limits x where x.scope = 'account' and x.account_id = a.id)
                and not exists (select from send_limits x where x.scope = 'person' and x.account_id = a.id and x.contact_id = p_contact)
                and not exists (select from send_limits x where x.scope = 'app' and x.app_id = a.app_id));
        for part_text, part_number in
            select x, n from jsonb_array_elements_text(p_result->'parts') with ordinality as p(x, n) order by n
        loop
            insert into outbox (tenant_id, turn_id, part, account_id, contact_id, conversation_id, body, status, sends, not_before)
            values (t.tenant_id, t.id, first_part + part_number - 1, c.account_id, p_contact, c.id, part_text,
                case when leaves then 'sending' else 'queued' end, case when leaves then 1 else 0 end,
                case when leaves then now() + make_interval(secs => p_stale) else now() end)
            on conflict do nothing returning * into placed;
            if leaves and placed.id is not null then
                sending := journal(placed, p_boot);
            end if;
            leaves := false;
        end loop;
    end if;

    update turns set
        state = case when state_now in ('wait', 'retry') then 'open' else state_now end,
        reason = p_result->>'reason',
        asked = p_result->>'asked',
        -- While a turn is open: what it has said already about what it did (bots.storage.turns).
        answer = coalesce(p_result->>'answer', case when state_now in ('wait', 'retry') then answer end),
        in_history = coalesce((p_result->>'in_history')::boolean, true),
        tries = tries + case when state_now in ('retry', 'dead') then 1 else 0 end,
        apologised_at = case when first_part = 0 and jsonb_array_length(p_result->'parts') > 0 then now() else apologised_at end,
        finished_at = case when state_now in ('wait', 'retry') then null else now() end
    where id = t.id;
    waits := state_now in ('wait', 'retry');
    closes := (p_result->>'close')::boolean;
    -- The turn covers the messages it was claimed with: what arrived meanwhile goes to the next turn.
    select min(received_at) into more_since from inbox where conversation_id = c.id and turn_id is null and kind = 'message';
    update conversations set
        leased_by = null, leased_until = null,
        history_from = coalesce((p_result->>'history_from')::integer, history_from),
        -- A summary must not repeat what the contact has asked to forget.
        summary = case when (p_result->>'drop_summary')::boolean then null else summary end,
        -- A turn that stays in the history, such as a /reset with text after it, is still to be summarised.
        summary_until = case when (p_result->>'drop_summary')::boolean then coalesce((p_result->>'history_from')::integer, t.number + 1) - 1
            else summary_until end,
        summary_after = case when (p_result->>'drop_summary')::boolean then coalesce((p_result->>'history_from')::integer, t.number + 1) - 1
            else summary_after end,
        summarise_at = case when (p_result->>'drop_summary')::boolean then null
            when p_result ? 'summarise_to' then coalesce(summarise_at, now()) else summarise_at end,
        summarise_to = case when (p_result->>'drop_summary')::boolean then null
            else greatest(summarise_to, (p_result->>'summarise_to')::integer) end,
        -- Once the talk is quiet: each turn puts it off.
        remember_at = case when p_result ? 'read_after_s' then now() + make_interval(secs => (p_result->>'read_after_s')::double precision)
            else remember_at end,
        session_at = case when p_result ? 'new_session' then now() else session_at end,
        -- Workers of the version before know nothing of recall, nor of ends: the background indexes their turns.
        index_to = case when state_now = 'answered' and not p_result ? 'ends' then greatest(index_to, t.number) else index_to end,
        closed_at = case when closes then now() end,
        -- A turn may wait long for its model, but what the contact says meanwhile may be /stop or /forget.
        hold_until = case when waits then now() + make_interval(secs => least((p_result->>'retry_s')::double precision,
            case state_now when 'wait' then 30 end)) end,
        ready_at = case
            when waits then now() + make_interval(secs => (p_result->>'retry_s')::double precision)
            when more_since is null or closes then null
            when ready_at >= c.leased_until then now()
            else ready_at end,
        waiting_since = case when waits or closes then null else more_since end
    where id = c.id;
    if closes and more_since is not null then
        -- What arrived while the conversation was being closed belongs to the next one.
        with fresh as (
            insert into conversations (tenant_id, account_id, contact_id, thread, queue, ready_at, waiting_since, newest_at)
            values (c.tenant_id, c.account_id, c.contact_id, c.thread, c.queue, now(), more_since, now()) returning id
        )
        update inbox set conversation_id = fresh.id from fresh
        where inbox.conversation_id = c.id and inbox.turn_id is null and kind = 'message';
    end if;
    if (p_result->>'drop_summary')::boolean and (p_result->>'history_from')::integer > t.number then
        -- Exports must not contain what the contact has asked to forget either: this conversation so far, and those that ended before it.
        update turns h set in_history = false from conversations v
        where v.tenant_id = t.tenant_id and v.contact_id = p_contact and h.conversation_id = v.id and h.in_history
            and (v.closed_at is not null or v.id = c.id) and (v.id <> c.id or h.number < (p_result->>'history_from')::integer);
    end if;
    if p_result ? 'episode' then
        perform remember_episode(t.id, p_result->'episode');
    end if;
    if lost is not null then
        perform erase_words(p_contact, t.id, wish, lost, case when (wish->>'everything')::boolean
            then array(select (x->>'source')::uuid from jsonb_array_elements((p_result->'facts') || (p_result->'ends')) x) else '{}' end);
    elsif t.claimed_at > t.opened_at and not waits then
        -- While it waited for its model it was told to forget: its own messages go now.
        perform forget_own(t.id);
    end if;
    perform tell_page(c.id, p_contact);
    return jsonb_build_object('state', state_now, 'sending', sending);
end
$function$;

drop function finish_turns(uuid,double precision,jsonb);
