-- The home page's numbers, counted by hour and day, so that no page reads the rows that they count.

-- What happened in one hour or day (UTC), written by count_figures. The sums stay when a contact or an account is erased, since they name neither.
create table figures (
    tenant_id uuid not null references tenants,
    step text not null constraint ck_figures_step check (step in ('hour', 'day')),
    at timestamptz not null,
    messages bigint not null default 0,
    -- Turns that the bot answered, and turns that a person answered.
    answers bigint not null default 0,
    by_hand bigint not null default 0,
    tokens_in bigint not null default 0,
    tokens_cached bigint not null default 0,
    tokens_out bigint not null default 0,
    calls_estimated bigint not null default 0,
    -- How many of the bot's answers took how long: a number for each bin of bin_of, the shortest first, up to the last that is not 0.
    took integer[] not null default '{}',
    constraint pk_figures primary key (tenant_id, step, at)
);

-- How often something failed in one hour: what (send, turn or model) and its code. Model calls that went well are there, too.
create table figure_failures (
    tenant_id uuid not null references tenants,
    at timestamptz not null,
    what text not null,
    code text not null,
    n bigint not null,
    constraint pk_figure_failures primary key (tenant_id, at, what, code)
);

-- Up to which time figures are complete; which hour's failed sends are counted again next, and when some last were. One row.
create table figures_until (
    one boolean not null default true constraint ck_figures_until_one check (one),
    at timestamptz not null,
    sends_hour timestamptz not null,
    sends_at timestamptz not null,
    constraint pk_figures_until primary key (one)
);
insert into figures_until (at, sends_hour, sends_at) values (now() - interval '8 days', '-infinity', '-infinity');

-- How far the rows of old turns that nobody needs were swept, by tenant.
create table swept (
    tenant_id uuid not null references tenants,
    turns_until timestamptz not null,
    constraint pk_swept primary key (tenant_id)
);
