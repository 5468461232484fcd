-- What is running: worker processes and open chat pages. Losing these rows does no harm.

-- A worker process: which queues it consumes, how many slots it has. It counts as dead 15 seconds after its last report. Several that live at
-- once may have one name. holds_lock: one for as long as it lives (bots.storage.process_lock), so whoever can take that lock knows that it is dead.
create table worker_heartbeats (
    name text not null,
    boot_id uuid not null,
    queues text[] not null,
    slots integer not null,
    busy integer not null default 0,
    at timestamptz not null default now(),
    holds_lock boolean not null default false,
    -- Whether people of several tenants (2) or of several accounts (1) have written lately: then a crowd leaves some slots free (shares.sql).
    shared integer not null default 0,
    -- How many of its slots accounts hold whose sends take long, and how many of them by sends: {id: [slots, sends]}; null: there are none.
    held jsonb,
    constraint pk_worker_heartbeats primary key (name, boot_id)
);

-- Which conversations a chat page watches: partial texts are notified for these alone.
create unlogged table watchers (
    conversation_id uuid not null,
    until timestamptz not null,
    constraint pk_watchers primary key (conversation_id)
);
