"""A database as some months of many contacts leave it: every table that grows, in the shares of a real service, with constraints and indexes on.

Nine contacts in ten have had two turns, the tenth twelve, over sixty days; rows lie in the order in which they came. All is made by statements
inside Postgres. Indexes are taken off while a table is filled, and made again as they were.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection

from tests.support.storage_fixture import QUEUE, StorageFixture

#: What is filled, in an order in which each row's own comes first.
TABLES = (
    "contacts",
    "contact_identities",
    "conversations",
    "turns",
    "envelopes",
    "envelope_contacts",
    "inbox",
    "inbox_keys",
    "outbox",
    "send_attempts",
    "statuses",
    "model_calls",
    "memories",
    "recalls",
    "fresh_episodes",
    "batch_items",
    "batches",
    "batch_counts",
    "identity_cases",
    "media",
    "audit",
    "operator_sessions",
    "send_limits",
)
DAYS, _MANY_TURNS, _FEW_TURNS = 60, 12, 2
#: Contacts of a small account of the same tenant, and of another tenant's.
SMALL = 20
#: With whom something went wrong, of each kind, however many contacts there are.
_TROUBLED = 600
#: A prime: the numbers of contacts come in no order.
_PRIME = 99_999_989

_FOREIGN = "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint where contype = 'f' and conparentid = 0 and (conrelid = any(%s::regclass[]) or confrelid = any(%s::regclass[]))"
_KEYS = "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint where contype in ('p', 'u') and conrelid = any(%s::regclass[])"
_INDEXES = """select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) from pg_index i
    where i.indrelid = any(%s::regclass[]) and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x'))"""

# An id as the table's own default makes it: by chance, or by time.
_MADE = """create function made(p_what text, p_at timestamptz, p_by_time boolean) returns uuid language sql immutable as $$
    select case when p_by_time then (lpad(to_hex((extract(epoch from p_at) * 1000)::bigint), 12, '0') || '7' || substr(md5(p_what), 14, 3) || '8'
        || substr(md5(p_what), 18))::uuid else md5(p_what)::uuid end
$$"""
_PEOPLE = f"""create unlogged table people as
select n, %(tenant)s::uuid as tenant, %(account)s::uuid as account, made(%(name)s || 'contact' || n, began, %(by_time)s) as contact,
    made(%(name)s || 'talk' || n, began, %(by_time)s) as talk, began, case when n %% 10 = 0 then {_MANY_TURNS} else {_FEW_TURNS} end as turns,
    (34600000000 + (n::bigint * 48271) %% {_PRIME})::text as phone
from generate_series(1, %(contacts)s) n, lateral (
    select now() - interval '1 hour' - ((n::bigint * 7919) %% {_PRIME}) / {_PRIME}::double precision * interval '{DAYS} days' as ended) e,
    lateral (select ended - (case when n %% 10 = 0 then {_MANY_TURNS} else {_FEW_TURNS} end - 1) * interval '20 hours' as began) b"""
_CAME = f"""create unlogged table came as
select q.tenant, q.account, q.contact, q.talk, q.n, k, q.turns, q.phone, at, made(%(name)s || 'turn' || n || '-' || k, at, %(by_time)s) as turn,
    made(%(name)s || 'in' || n || '-' || k, at, %(by_time)s) as message, made(%(name)s || 'out' || n || '-' || k, at, %(by_time)s) as answer,
    made(%(name)s || 'body' || n || '-' || k, at, %(by_time)s) as body, 'wamid.' || md5(%(name)s || n || '-' || k) || md5(k || '-' || n) as key,
    k = 2 and n <= {_TROUBLED} as is_dead,
    'word' || (n * 31 + k) %% 5000 || ' word' || (n * 17 + k * 7) %% 300 || ' order' || n || 'x' || k || ' and some more words of a message' as words
from people q, lateral generate_series(1, q.turns) k, lateral (select q.began + (k - 1) * interval '20 hours' as at) a
order by at"""
#: Syllables of which names are made: full names are rare, parts of them are not.
_NAME = "initcap((array['an','be','ca','do','el','fi','ga','hu','is','jo'])[1 + n %% 10] || (array['na','rto','la','ris','sa','en','ri','go','ma','nas'])[1 + (n / 10) %% 10])"
_SURNAME = "initcap(substr(translate(((n::bigint * 48271) %% 99999989)::text, '0123456789', 'bodiramuse'), 1, 8) || 'ez')"

_FILL = (
    f"insert into contacts (tenant_id, id, name, created_at) select tenant, contact, {_NAME} || ' ' || {_SURNAME}, began from people order by began",
    (
        "insert into contact_identities (tenant_id, scope, kind, value, contact_id, norm, created_at)"
        " select tenant, account::text, 'phone', phone, contact, phone, began from people order by began"
    ),
    (
        "insert into conversations (tenant_id, id, account_id, contact_id, queue, created_at, newest_at, session_at)"
        f" select tenant, talk, account, contact, '{QUEUE}', began, began + (turns - 1) * interval '20 hours', began from people order by began"
    ),
    (
        "insert into turns (tenant_id, id, conversation_id, contact_id, number, state, opened_at, claimed_at, finished_at, asked, answer, token)"
        " select tenant, turn, talk, contact, k, case when is_dead then 'dead' else 'answered' end, at + interval '1 s', at + interval '1 s',"
        " at + (2 + n %% 7) * interval '1 s', words, case when not is_dead then 'An answer to ' || words end, k from came order by at"
    ),
    (
        "insert into envelopes (tenant_id, id, account_id, body, state, received_at)"
        " select tenant, body, account, case when at > now() - interval '30 days' then convert_to(words || repeat(' json', 60), 'UTF8') end, 'parsed', at from came order by at"
    ),
    (
        "insert into envelopes (tenant_id, account_id, body, state, reason, received_at) select tenant, account, case when at > now() - interval '30 days'"
        f" then convert_to(repeat('{{', 600), 'UTF8') end, 'quarantined', 'not json', at from came where k = 1 and n <= {_TROUBLED} order by at"
    ),
    "insert into envelope_contacts select tenant, body, contact from came order by at",
    (
        "insert into inbox (tenant_id, id, account_id, event_key, kind, contact_id, conversation_id, envelope_id, text, content_type, supported, occurred_at,"
        " received_at, turn_id) select tenant, message, account, key, 'message', contact, talk, body, words, 'text', true, at, at, turn from came order by at"
    ),
    "insert into inbox_keys (tenant_id, account_id, event_key) select tenant, account, key from came order by at",
    "insert into inbox_keys (tenant_id, account_id, event_key) select tenant, account, key || ':delivered' from came order by at",
    # One in two hundred failed.
    (
        "insert into outbox (tenant_id, id, turn_id, part, account_id, contact_id, conversation_id, body, status, external_id, sends, reason, status_at, created_at,"
        " waits_since, attention_at) select tenant, answer, turn, 1, account, contact, talk, 'An answer to ' || words, case when (n + k) %% 200 = 0 or is_open then 'failed'"
        " else 'delivered' end, key || '.out', 1, case when (n + k) %% 200 = 0 or is_open then 'code:131026' end, at, at, at, case when is_open then at end"
        f" from came, lateral (select k = 1 and n <= {_TROUBLED} as is_open) o where not is_dead order by at"
    ),
    (
        "insert into send_attempts (tenant_id, message_id, contact_id, n, boot_id, started_at, finished_at, outcome, http_status)"
        " select tenant, answer, contact, 1, %(boot)s, at, at, 'accepted', 200 from came where not is_dead order by at"
    ),
    (
        "insert into statuses (tenant_id, account_id, external_id, status, occurred_at, correlation, received_at)"
        " select tenant, account, key || '.out', s, at, answer::text, at from came, unnest(array['sent', 'delivered']) s where not is_dead order by at"
    ),
    (
        "insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, tokens_in, tokens_cached, tokens_out, first_token_ms, total_ms,"
        " outcome, created_at, cost) select tenant, turn, contact, 1, 'local', 'm', jsonb_build_array(jsonb_build_object('role', 'user', 'content', words)), 200, 100, 40,"
        " 80, 900, case when (n + k) %% 300 = 0 then 'garbage' else 'ok' end, at + interval '2 s', 0.001 from came order by at"
    ),
    (
        "insert into memories (tenant_id, id, contact_id, kind, text, source_inbox_id, source_turn_id, created_by, created_at, said_at)"
        " select tenant, made('fact' || turn, at, %(by_time)s), contact, 'likes', 'thing' || n %% 1000, message, turn, 'rules-3', at, at from came where k = 1 order by at"
    ),
    (
        "insert into recalls (tenant_id, turn_id, memory_id, contact_id, rank, reason)"
        " select c.tenant, c.turn, made('fact' || f.turn, f.at, %(by_time)s), c.contact, 1, 'known' from came c join came f on f.contact = c.contact and f.k = 1"
        " where c.k > 1 order by c.at"
    ),
    (
        "insert into fresh_episodes (tenant_id, contact_id, turn_id, bot_id, conversation_id, said_at, number, sides, time_words, asks, first_person, config, words)"
        " select tenant, contact, turn, %(bot)s, talk, at, k, 3, 0, false, true, 'english', word_numbers('english', words, 0) || word_numbers('english', words, 1)"
        f" from came where turns = {_MANY_TURNS} order by at"
    ),
    # Cases about two contacts: those of the troubled are open.
    (
        f"insert into identity_cases (tenant_id, account_id, former_id, holder_id, reason, state, opened_at) select f.tenant, f.account, f.contact, h.contact, 'message',"
        f" case when f.n <= {_TROUBLED} then 'open' else 'two_people' end, f.began from people f join people h on h.n = f.n + 1 where f.n %% 2 = 1 and"
        f" (f.n <= {_TROUBLED} or f.n %% 100 = 1) order by f.began"
    ),
    (
        "insert into media (tenant_id, contact_id, inbox_id, n, kind, reference, state, media_type, data, created_at) select tenant, contact, message, 1, 'image', key,"
        " case when is_new then 'fetched' else 'refused' end, 'image/jpeg', case when is_new then convert_to(repeat(md5(key), 60), 'UTF8') end, at"
        " from came, lateral (select at > now() - interval '30 days' as is_new) x where n %% 100 = 3 and k = 1 order by at"
    ),
    (
        "insert into audit (tenant_id, at, actor, action, subject, detail) select tenant, began, 'ada', 'conversation.take', 'conversation ' || talk, '{\"for_s\": 600}'"
        " from people where n %% 10 = 0 order by began"
    ),
    (
        "insert into send_limits (tenant_id, scope, account_id, contact_id, until) select tenant, 'person', account, contact, now() + interval '1 day' from people"
        " where n %% 1000 = 0"
    ),
)
#: What operators did: old batches, and browsers that are still signed in.
_DONE = (
    (
        "insert into batches (tenant_id, bot_id, name, queue, state, total, created_by, created_at, started_at, finished_at) select %(tenant)s, %(bot)s, 'old ' || n,"
        " 'batch.default', 'done', 100, 'bench', at, at, at from generate_series(1, %(contacts)s / 100) n, lateral (select now() - n * interval '1 minute' as at) a"
    ),
    (
        "insert into batch_counts (tenant_id, batch_id, state, n, tokens_in, tokens_cached, tokens_out, cost, priced, estimated) select tenant_id, id, 'done', 100, 9000,"
        " 0, 900, 0.1, 100, 0 from batches where name like 'old %%'"
    ),
    (
        "with one as (insert into operators (tenant_id, name, role) values (%(tenant)s, 'ada', 'owner') returning id) insert into operator_sessions (tenant_id,"
        " token_sha256, operator_id, expires_at) select %(tenant)s, sha256(convert_to('session' || n, 'UTF8')), id, now() + n * interval '1 minute' from one,"
        " generate_series(1, %(contacts)s / 100) n"
    ),
)


def build(owner: Connection, storage: StorageFixture, contacts: int) -> dict[str, int]:
    """Fill a database in which nothing was said yet, and return how many rows each table has."""
    for setting in ("synchronous_commit = off", "timezone = 'UTC'", "work_mem = '256MB'", "maintenance_work_mem = '512MB'"):
        owner.exec_driver_sql(f"set {setting}")
    owner.exec_driver_sql(_MADE)
    by_time = owner.exec_driver_sql(
        "select coalesce((select column_default from information_schema.columns where table_name = 'turns' and column_name = 'id'), '') like 'new_id%%'"
    ).scalar_one()
    values = {"by_time": by_time, "bot": storage.account.bot_id, "boot": uuid4(), "tenant": storage.account.tenant_id}
    small = storage.another_account("small").hex
    with _bare(owner, TABLES):
        _fill(owner, values | {"account": storage.account.id, "name": "", "contacts": contacts})
        _fill(owner, values | {"account": UUID(small), "name": "small", "contacts": SMALL})
        tenant, account = _another_tenant(owner, storage)
        _fill(owner, values | {"tenant": tenant, "account": account, "name": "other", "contacts": SMALL})
        for statement in _DONE:
            owner.exec_driver_sql(statement, values | {"contacts": contacts})
    # Its triggers count it, so the counts must have their index.
    _batch(owner, storage, contacts)
    owner.exec_driver_sql("vacuum analyze")
    owner.exec_driver_sql("checkpoint")
    return {table: owner.exec_driver_sql(f"select count(*) from {table}").scalar_one() for table in TABLES}


def _fill(owner: Connection, values: dict[str, Any]) -> None:
    for name, statement in (("people", _PEOPLE), ("came", _CAME)):
        owner.exec_driver_sql(f"drop table if exists {name}")
        owner.exec_driver_sql(statement, values)
        owner.exec_driver_sql(f"analyze {name}")
    for statement in _FILL:
        owner.exec_driver_sql(statement, values)
    owner.exec_driver_sql("drop table came, people")


def _another_tenant(owner: Connection, storage: StorageFixture) -> tuple[UUID, UUID]:
    """A tenant with an account of its own, like the first one's."""
    tenant, bot, account = uuid4(), uuid4(), uuid4()
    owner.exec_driver_sql("insert into tenants (tenant_id, name) values (%s, 'another')", (tenant,))
    owner.exec_driver_sql("insert into bots (tenant_id, id, name, fallback_text) values (%s, %s, 'b', 'f')", (tenant, bot))
    owner.exec_driver_sql(
        "insert into accounts (tenant_id, id, bot_id, channel, name, external_id) select %s, %s, %s, channel, 'another', 'another' from accounts where id = %s",
        (tenant, account, bot, storage.account.id),
    )
    return tenant, account


def _batch(owner: Connection, storage: StorageFixture, items: int) -> None:
    """A batch with as many items as there are contacts, half of them answered."""
    batch = owner.exec_driver_sql(
        "insert into batches (tenant_id, bot_id, name, queue, state, total, created_by, started_at) values (%s, %s, 'grown', 'batch.default', 'running', %s, 'bench',"
        " now() - interval '1 hour') returning id",
        (storage.account.tenant_id, storage.account.bot_id, items),
    ).scalar_one()
    owner.exec_driver_sql(
        "insert into batch_items (tenant_id, batch_id, n, custom_id, request, state, ready_at, answer, tokens_in, tokens_out, cost, finished_at)"
        " select %s, %s, n, 'q' || n, '{\"text\": \"a question\"}', case when n %% 2 = 0 then 'done' else 'waiting' end, case when n %% 2 = 1 then now() end,"
        " case when n %% 2 = 0 then 'an answer' end, 100, 20, 0.001, case when n %% 2 = 0 then now() - interval '40 minutes' end from generate_series(1, %s) n",
        (storage.account.tenant_id, batch, items),
    )


@contextmanager
def _bare(owner: Connection, tables: Sequence[str]) -> Generator[None]:
    """Take indexes, keys and references off these tables while the block lasts."""
    tables_of = (list(tables),)
    foreign = owner.exec_driver_sql(_FOREIGN, (list(tables), list(tables))).all()
    keys = owner.exec_driver_sql(_KEYS, tables_of).all()
    indexes = owner.exec_driver_sql(_INDEXES, tables_of).all()
    for table, name, _ in [*foreign, *keys]:
        owner.exec_driver_sql(f"alter table {table} drop constraint {name}")
    for name, _ in indexes:
        owner.exec_driver_sql(f"drop index {name}")
    yield
    for _, made in indexes:
        owner.exec_driver_sql(made.replace("%", "%%"))
    for table, name, made in [*keys, *foreign]:
        owner.exec_driver_sql(f"alter table {table} add constraint {name} {made}")
