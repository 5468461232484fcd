-- A budget a day is what one bot may spend on a contact.

-- What one bot's answers to a contact cost today in USD. The sum over all bots, spent_today(p_contact), is for processes of the version before.
create function spent_today(p_contact uuid, p_bot uuid) returns double precision language plpgsql as $$
begin
    perform set_config('app.contact_id', p_contact::text, true);
    return (select coalesce(sum(m.cost), 0) from model_calls m join turns t on t.tenant_id = m.tenant_id and t.id = m.turn_id
        join conversations c on c.tenant_id = t.tenant_id and c.id = t.conversation_id
        join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
        where m.contact_id = p_contact and m.created_at >= date_trunc('day', now(), 'UTC') and a.bot_id = p_bot);
end
$$;

-- As before; a bot's month is added up once, however many batches it has.
create or replace function hold_spent_batches(p_hold double precision) returns integer language plpgsql as $$
declare
    held integer;
begin
    with running as materialized (
        select distinct tenant_id, bot_id from batches
        where state = 'running' and (hold_until is null or hold_until < now() + make_interval(secs => p_hold / 2))
    ), months as materialized (
        select r.tenant_id, r.bot_id, b.budget_month, spent_this_month(r.tenant_id, r.bot_id) as spent
        from running r join bots b on b.tenant_id = r.tenant_id and b.id = r.bot_id and b.budget_month is not null
    )
    update batches set hold_until = now() + make_interval(secs => p_hold) from months m
    where batches.tenant_id = m.tenant_id and batches.bot_id = m.bot_id and m.spent >= m.budget_month
        and state = 'running' and (hold_until is null or hold_until < now() + make_interval(secs => p_hold / 2));
    get diagnostics held = row_count;
    return held;
end
$$;
