drop function if exists keep_house, claim_send, end_attempt, finish_turn, journal, remember_facts, work_waiting, is_head, heartbeat, release_leases, renew_leases,
    claim_turn, accept_events, find_contact, join_contacts, apply_status, climb, tell_page, status_rank;
