CREATE OR REPLACE FUNCTION public.heartbeat(p_name text, p_boot uuid, p_queues text[], p_slots integer, p_busy integer, p_first boolean)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
declare
    before uuid;
    freed integer := 0;
begin
    select boot_id into before from worker_heartbeats where name = p_name for update;
    if p_first and before <> p_boot then
        freed := release_leases(before);
    end if;
    insert into worker_heartbeats (name, boot_id, queues, slots, busy, at) values (p_name, p_boot, p_queues, p_slots, p_busy, now())
    on conflict (name) do update set boot_id = excluded.boot_id, queues = excluded.queues, slots = excluded.slots, busy = excluded.busy,
        at = excluded.at;
    return freed;
end
$function$;
