create or replace function is_automatic(p_account uuid, p_conversation uuid, p_app text, p_text text, p_at timestamptz, p_within double precision)
returns boolean language sql stable as $$
    with near as (
        select kind <> 'echo' as asks, reason = 'automatic' as is_automatic, p_at - coalesce(occurred_at, received_at) as before
        from inbox
        where conversation_id = p_conversation and kind in ('message', 'unsent', 'standby', 'system', 'echo')
        order by arrival desc limit 20
    )
    select (exists (select from near where asks and before < make_interval(secs => p_within) and before > interval '-1 second')
        and (not exists (select from near where asks and before >= make_interval(secs => p_within) and before < interval '1 minute')
            or exists (select from near where is_automatic and before < interval '1 minute')
            -- Neither of the platform's two inboxes, where both people and the platform itself write.
            or coalesce(p_app, '263902037430900') not in ('263902037430900', '1217981644879628')))
    or (length(btrim(p_text)) >= 12 and 2 <= (
        select count(distinct contact_id) from (select contact_id from inbox
            where kind = 'echo' and received_at > now() - interval '1 day' and conversation_id <> p_conversation
                and md5(account_id::text || lower(regexp_replace(btrim(text), '\s+', ' ', 'g')))
                    = md5(p_account::text || lower(regexp_replace(btrim(p_text), '\s+', ' ', 'g')))
            limit 100) same))
$$;

create or replace function answered_elsewhere(p_conversation uuid, p_echo uuid, p_text text, p_seconds double precision) returns void language plpgsql as $$
declare
    c conversations;
    t uuid;
begin
    select * into c from conversations where id = p_conversation for update;
    -- Whoever took the conversation over without a time limit keeps it.
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
    -- The answer is known by its turn, too, since it may be changed later.
    update inbox set turn_id = t where id = p_echo;
    update conversations set waiting_since = null where id = c.id;
end
$$;

create or replace function release_greeted(p_conversation uuid, p_within double precision) returns void language plpgsql as $$
declare
    since timestamptz;
begin
    select taken_at into since from conversations where id = p_conversation and taken_until is not null;
    update inbox i set reason = 'automatic'
    where i.conversation_id = p_conversation and i.kind = 'echo' and i.turn_id is null and i.received_at >= since
        and i.reason is distinct from 'automatic'
        and is_automatic(i.account_id, i.conversation_id, null, i.text, coalesce(i.occurred_at, i.received_at), p_within);
    if found and not exists (select from inbox where conversation_id = p_conversation and kind = 'echo' and received_at >= since
            and reason is distinct from 'automatic') then
        perform give_back(p_conversation);
    end if;
end
$$;
