create or replace function claim_item(p_queue text, p_boot uuid, p_lease double precision) returns jsonb language plpgsql as $$
declare
    b batches;
    i batch_items;
    first uuid := tenant_in_turn(p_queue);
begin
    for b in
        select * from batches where queue = p_queue and state = 'running' and (hold_until is null or hold_until <= now())
        order by tenant_id is distinct from first, created_at, id
    loop
        loop
            select * into i from batch_items where batch_id = b.id and ready_at <= now() order by ready_at, n limit 1 for update skip locked;
            exit when not found;
            if i.state = 'running' and i.tries >= 9 then
                -- Ten workers died while they had it: there must not be an eleventh.
                update batch_items set state = 'failed', reason = 'error:lost', ready_at = null, leased_by = null, token = token + 1,
                    finished_at = now() where batch_id = i.batch_id and n = i.n;
                continue;
            end if;
            update batch_items set state = 'running', token = token + 1, leased_by = p_boot, tries = tries + (state = 'running')::integer,
                ready_at = now() + make_interval(secs => p_lease)
            where batch_id = i.batch_id and n = i.n returning * into i;
            return jsonb_build_object('batch', i.batch_id, 'n', i.n, 'token', i.token, 'tries', i.tries, 'request', i.request, 'tenant', b.tenant_id)
                || (select jsonb_build_object('persona', p.text, 'may_leave', x.data_may_leave) from bots x
                    left join personas p on p.tenant_id = x.tenant_id and p.bot_id = x.id and p.version = x.persona_version
                    where x.tenant_id = b.tenant_id and x.id = b.bot_id);
        end loop;
    end loop;
    return null;
end
$$;
