-- Summaries of turns for which prompts have no more room: work that can wait, done along with batches.

-- Claims a conversation to summarise, of the profile of a batch queue, for p_lease seconds. Returns it with the turns in question
-- (bots.storage.summaries.SummaryClaim); the end of the claim is its token. Null where nothing is due.
-- Locks: the conversation; locked ones are skipped. Called by: crossing (workers). Not repeated after a lost connection.
create function claim_summary(p_queue text, p_lease double precision) returns jsonb language plpgsql as $$
declare
    c conversations;
    reply text := 'reply.' || substr(p_queue, 7);
begin
    select * into c from conversations
    where summarise_at <= now() and profile_queue(queue) = reply
    order by summarise_at limit 1 for update skip locked;
    if not found then
        return null;
    end if;
    update conversations set summarise_at = now() + make_interval(secs => p_lease) where id = c.id returning * into c;
    return jsonb_build_object('tenant', c.tenant_id, 'conversation', c.id, 'contact', c.contact_id, 'account', c.account_id,
        'token', c.summarise_at, 'until', c.summarise_to, 'summary', c.summary,
        'tries', c.summarise_tries,
        'turns', (select coalesce(jsonb_agg(jsonb_build_object('number', h.number, 'asked', h.asked, 'answer', h.answer, 'at', h.opened_at) order by h.number), '[]')
            from turns h where h.conversation_id = c.id and h.state = 'answered' and h.in_history and h.asked is not null and h.answer is not null
                and h.number > c.summary_until and h.number <= c.summarise_to));
end
$$;

-- Records the calls of work that no person waits for (p_as: summary, remember) with the last turn that it covers, whether it succeeded or not. The
-- same calls again are not recorded again. p_stored: with their prompts; without where the contact may meanwhile have taken back something in them.
-- Locks: none; the caller holds that of the conversation. Called by: finish_summary, put_off_summary, finish_remembering, put_off_remembering.
create function pay_background(c conversations, p_as text, p_until integer, p_calls jsonb, p_stored boolean) returns void language sql as $$
    insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, tokens_cached, tokens_out,
        first_token_ms, total_ms, outcome, cost, estimated)
    select t.tenant_id, t.id, t.contact_id, n + coalesce((select max(attempt) from model_calls m where m.turn_id = t.id), 0), x->>'endpoint',
        x->>'model', case when p_stored then x->'prompt' else '[]' end, (x->>'tokens_in')::integer, (x->>'tokens_cached')::integer, (x->>'tokens_out')::integer,
        (x->>'first_token_ms')::double precision, (x->>'total_ms')::double precision,
        p_as || case x->>'outcome' when 'ok' then '' else ':' || (x->>'outcome') end, (x->>'cost')::double precision,
        coalesce((x->>'estimated')::boolean, false)
    from jsonb_array_elements(p_calls) with ordinality as calls(x, n)
    join turns t on t.conversation_id = c.id and t.number = p_until
    where not exists (select from model_calls m where m.turn_id = t.id and starts_with(m.outcome, p_as) and m.endpoint = x->>'endpoint'
        and m.total_ms is not distinct from (x->>'total_ms')::double precision and m.prompt in (x->'prompt', '[]'))
$$;

-- Writes the summary of the turns up to p_until. Where more is to be summarised, that is due at once. Returns false, and records only the
-- calls, when it is too late or the contact has asked meanwhile to forget.
-- Locks: the conversation. Called by: worker, within the contact's own rows (it sets app.contact_id).
create function finish_summary(p_contact uuid, p_conversation uuid, p_token timestamptz, p_summary text, p_until integer,
    p_calls jsonb) returns boolean language plpgsql as $$
declare
    c conversations;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    select * into c from conversations where id = p_conversation for update;
    perform pay_background(c, 'summary', p_until, p_calls, c.summarise_at is not distinct from p_token);
    update conversations set summary = p_summary, summary_until = p_until, summarise_tries = 0,
        summarise_at = case when summarise_to > p_until then now() end,
        summarise_to = case when summarise_to > p_until then summarise_to end
    where id = c.id and summarise_at = p_token;
    return found;
end
$$;

-- Records that there is no summary yet. It is due again after p_after seconds; null: it failed, and is due after a minute, then ten, then
-- an hour each time. Returns false for whoever came too late. The calls are recorded either way.
-- Locks: the conversation. Called by: worker, within the contact's own rows (it sets app.contact_id).
create function put_off_summary(p_contact uuid, p_conversation uuid, p_token timestamptz, p_after double precision, p_until integer,
    p_calls jsonb) returns boolean language plpgsql as $$
declare
    c conversations;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    select * into c from conversations where id = p_conversation for update;
    perform pay_background(c, 'summary', p_until, p_calls, c.summarise_at is not distinct from p_token);
    update conversations set
        summarise_at = case when p_after is not null then now() + make_interval(secs => p_after)
            else now() + interval '1 minute' * (array[1, 10, 60])[least(summarise_tries, 2) + 1] end,
        summarise_tries = summarise_tries + case when p_after is null then 1 else 0 end
    where id = c.id and summarise_at = p_token;
    return found;
end
$$;
