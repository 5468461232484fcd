-- Summaries of what prompts have no more room for: work that can wait, beside batches.

-- A conversation that is to be summarised, with the turns in question. Until its time is over nobody else gets it; that time is its token.
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
        'turns', (select coalesce(jsonb_agg(jsonb_build_object('number', h.number, 'asked', h.asked, 'answer', h.answer) order by h.number), '[]')
            from turns h where h.conversation_id = c.id and h.state = 'answered' and h.in_history and h.asked is not null and h.answer is not null
                and h.number > c.summary_until and h.number <= c.summarise_to));
end
$$;

-- What summarising took is written beside the last turn that it is about: it is paid for whatever came of it.
create function pay_summary(c conversations, p_until integer, p_calls jsonb) returns void language sql as $$
    insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, tokens_cached, tokens_out,
        first_token_ms, total_ms, outcome, cost)
    select t.tenant_id, t.id, t.contact_id, n + coalesce((select max(attempt) from model_calls m where m.turn_id = t.id), 0), x->>'endpoint',
        x->>'model', x->'prompt', (x->>'tokens_in')::integer, (x->>'tokens_cached')::integer, (x->>'tokens_out')::integer,
        (x->>'first_token_ms')::double precision, (x->>'total_ms')::double precision,
        case x->>'outcome' when 'ok' then 'summary' else x->>'outcome' end, (x->>'cost')::double precision
    from jsonb_array_elements(p_calls) with ordinality as calls(x, n)
    join turns t on t.conversation_id = c.id and t.number = p_until
$$;

-- False for whoever came too late, or when the contact wanted it forgotten meanwhile.
create function finish_summary(p_contact uuid, p_conversation uuid, p_token timestamptz, p_summary text, p_until integer, p_calls jsonb)
returns boolean language plpgsql as $$
declare
    c conversations;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    update conversations set summary = p_summary, summary_until = p_until,
        summarise_at = case when summarise_to > p_until then now() end,
        summarise_to = case when summarise_to > p_until then summarise_to end
    where id = p_conversation and summarise_at = p_token returning * into c;
    if not found then
        return false;
    end if;
    perform pay_summary(c, p_until, p_calls);
    return true;
end
$$;

-- No summary came of it: again after a while, or not at all.
create function put_off_summary(p_contact uuid, p_conversation uuid, p_token timestamptz, p_after double precision, p_until integer,
    p_calls jsonb) returns boolean language plpgsql as $$
declare
    c conversations;
begin
    perform set_config('app.contact_id', p_contact::text, true);
    update conversations set summarise_at = now() + make_interval(secs => p_after),
        summary_until = case when p_after is null then p_until else summary_until end,
        summarise_to = case when p_after is null then null else summarise_to end
    where id = p_conversation and summarise_at = p_token returning * into c;
    if not found then
        return false;
    end if;
    perform pay_summary(c, p_until, p_calls);
    return true;
end
$$;

-- As before, and conversations that are to be summarised are due there, too.
create or replace function batches_waiting(p_reserve integer) returns table (queue text, due bigint, running bigint, slots bigint)
language sql stable as $$
    with w as (
        select q as queue, h.boot_id, greatest(h.slots - p_reserve, 1) as n
        from worker_heartbeats h, unnest(h.queues) q where h.at > now() - interval '15 seconds' and q like 'batch.%' and h.slots > 0
    ), s as (
        select w.queue, sum(w.n) as n from w group by w.queue
    ), z as (
        select 'batch.' || substr(profile_queue(x.queue), 7) as queue, count(*) as n
        from (select c.queue from conversations c where c.summarise_at <= now() limit 1000) x group by 1
    )
    select s.queue, d.n + coalesce(z.n, 0), r.n + p.n, s.n
    from s
    left join z on z.queue = s.queue
    cross join lateral (
        select count(*) as n from (
            select from batches b join batch_items i on i.batch_id = b.id
            where b.queue = s.queue and b.state = 'running' and (b.hold_until is null or b.hold_until <= now()) and i.ready_at <= now()
            limit 1000
        ) as item
    ) as d
    cross join lateral (
        select count(*) as n from batches b join batch_items i on i.batch_id = b.id
        where b.queue = s.queue and i.leased_by is not null and i.ready_at > now()
    ) as r
    cross join lateral (
        select count(*) as n from conversations c
        where profile_queue(c.queue) = 'reply.' || substr(s.queue, 7)
            and c.leased_by is not null and c.leased_until > now()
            and c.leased_by in (select w.boot_id from w where w.queue = s.queue)
    ) as p
    where d.n + coalesce(z.n, 0) > 0
$$;
