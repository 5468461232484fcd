create or replace function model_refused(p_tenant uuid, p_endpoint text, p_kind text, p_status integer, p_said text, p_times integer) returns void
language sql as $$
    insert into model_refusals as r (tenant_id, endpoint, kind, status, said, times)
    values (p_tenant, p_endpoint, p_kind, p_status, p_said, p_times)
    on conflict (tenant_id, endpoint) do update set kind = excluded.kind, status = excluded.status, said = excluded.said,
        last_at = now(), times = r.times + excluded.times,
        attention_at = case when (r.kind, r.status) is distinct from (excluded.kind, excluded.status) then now() else r.attention_at end
$$;

create or replace function model_answered(p_tenant uuid, p_endpoint text) returns void language sql as $$
    delete from model_refusals where tenant_id = p_tenant and endpoint = p_endpoint
$$;
