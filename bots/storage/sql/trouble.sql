-- Trouble of an account: what a refusal, a failed status or a notice of the platform means for all of its messages.

-- The platform refused to send a message. p_scope: whom that concerns (message, person, account, app); p_retry: ask_operator parks the
-- account until an operator resumes it.
-- Locks: the account. Called by: end_attempt.
create function send_refused(m outbox, p_scope text, p_retry text, p_code integer) returns void language plpgsql as $$
begin
    if p_retry = 'ask_operator' then
        update accounts set state = 'needs_attention', state_reason = coalesce('code:' || p_code::text, 'rejected')
        where tenant_id = m.tenant_id and id = m.account_id and state = 'active';
    end if;
end
$$;
