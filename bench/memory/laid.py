"""Many contacts whose turns lie in the tables as time would have put them, and a few whose turns came through the functions that a worker calls.

Guarantee: both lie in the same runs, which `sizes` and `expected` show.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from bench.memory.talks import a_contact, a_turn
from bots.storage import episodes
from inference.embed_server import DIMENSIONS, MODEL
from tests.support.storage_fixture import QUEUE, StorageFixture

#: As in lay_episodes: rows move once there are so many, and so many runs of a size become one of the next, two times.
_RUN, _MERGES, _SIZES = 8, 4, 3
#: Turns of one talk, two minutes apart; a talk begins every other day.
_TALK = 10
_EVERY, _PAUSE = timedelta(days=2), timedelta(minutes=2)
#: Words of a talk, and how many each side of a turn has.
_VOCABULARY, _STEMS = 2000, 16
#: Texts and vectors that turns take in turn.
_POOL = 1000
#: Contacts of one statement.
_AT_ONCE = 1000

_COLUMNS = "tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person, time_words, embedder, vector"
_FILL_POOL = (
    "insert into pool select %s, %s::halfvec, word_numbers('english', x, 0) || word_numbers('english', x, 1), x from (select %s) as one(x)"
)
#: Everybody, in the order in which their turns come.
_PEOPLE = """
create unlogged table people as
select (row_number() over (order by random()))::integer as place, tenant_id, id as conversation_id, contact_id from conversations
"""
_AT = (
    f"%(begin)s::timestamptz + {_EVERY.days} * (s.n / {_TALK}) * interval '1 day' + (s.n %% {_TALK}) * interval '{_PAUSE.seconds} seconds'"
)
_TURN = "md5(q.conversation_id::text || s.n)::uuid"
_DRAWN = f"pool p on p.n = (q.place * 31 + s.n * 17) %% {_POOL}"
#: One turn of everybody, as they come.
_TURNS = f"""
insert into turns (tenant_id, id, conversation_id, contact_id, number, state, opened_at, finished_at, asked, answer)
select q.tenant_id, {_TURN}, q.conversation_id, q.contact_id, s.n, 'answered', {_AT}, {_AT}, p.text, p.text
from people q cross join (values (%(n)s::integer)) s(n) join {_DRAWN}
"""
#: Turns of some contacts, one contact after the other.
_ROWS = f"""
select q.tenant_id, q.contact_id, {_TURN}, %(bot)s::uuid, q.conversation_id, s.n, {_AT}, 'english', p.words, 3, false, true, 0, %(made_by)s::smallint, p.vector
from people q cross join lateral generate_series(%(first)s::integer, %(last)s::integer) s(n) join {_DRAWN}
where q.place between %(from)s and %(to)s order by q.place, s.n
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Turns whose rows lie together, by number; of size None they still lie as they came."""

    first: int
    last: int
    size: int | None


def runs(turns: int) -> list[Run]:
    """How so many turns of a contact lie once all is settled, in the order in which their rows were written."""
    found, at = list[Run](), 1
    for size in reversed(range(_SIZES)):
        rows = _RUN * _MERGES**size
        while turns - at + 1 >= rows:
            found.append(Run(first=at, last=at + rows - 1, size=size))
            at += rows
    return [*found, Run(first=at, last=turns, size=None)] if at <= turns else found


def build(owner: Connection, storage: StorageFixture, contacts: int, turns: int) -> None:
    """Make contacts with so many turns each, by statements over all of them."""
    # Rows that are made here refer to nothing that is missing.
    for setting in ("synchronous_commit = off", "session_replication_role = replica", "timezone = 'UTC'", "work_mem = '512MB'"):
        owner.exec_driver_sql(f"set {setting}")
    _pool(owner)
    owner.exec_driver_sql("insert into contacts (tenant_id) select %s from generate_series(1, %s)", (storage.account.tenant_id, contacts))
    owner.exec_driver_sql(
        "insert into conversations (tenant_id, account_id, contact_id, queue, newest_at) select tenant_id, %s, id, %s, now() from contacts",
        (storage.account.id, QUEUE),
    )
    owner.exec_driver_sql(_PEOPLE)
    owner.exec_driver_sql("analyze people, pool")
    made_by, begin = owner.exec_driver_sql("select embedder_of(%s)", (MODEL,)).scalar_one(), _begin(turns)
    for n in range(1, turns + 1):
        owner.exec_driver_sql(_TURNS, {"n": n, "begin": begin})
    for run in runs(turns):
        table, more = ("fresh_episodes", "") if run.size is None else ("episodes", f", {run.size}")
        columns = f"{_COLUMNS}{', run' if more else ''}"
        statement = f"insert into {table} ({columns}) select *{more} from ({_ROWS}) x"
        for first, last, people in _in_portions(run, contacts):
            values = {"first": first, "last": last, "from": people[0], "to": people[1]}
            owner.exec_driver_sql(statement, values | {"bot": storage.account.bot_id, "begin": begin, "made_by": made_by})
    owner.exec_driver_sql("reset session_replication_role")
    owner.exec_driver_sql("vacuum analyze")
    owner.exec_driver_sql("checkpoint")


def write(owner: Connection, storage: StorageFixture, contacts: int, turns: int) -> None:
    """Make them through the functions that a worker calls: turns of all of them come in turn, and are settled once there are some."""
    _pool(owner)
    texts = list(owner.exec_driver_sql("select text from pool order by n").scalars())
    chance, begin = random.Random(5), _begin(turns)
    with storage.crossing.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        with connection.begin():
            people = [a_contact(connection, storage) for _ in range(contacts)]
        for first in range(1, turns + 1, _RUN):
            with connection.begin():
                for n in range(first, min(first + _RUN, turns + 1)):
                    for contact, conversation in people:
                        at = begin + _EVERY * (n // _TALK) + _PAUSE * (n % _TALK)
                        text = chance.choice(texts)
                        a_turn(connection, storage, contact, conversation, n, at=at, asked=text, answer=text, language="en")
            _settle(storage, chance)
            # As autovacuum does where there is more.
            owner.exec_driver_sql("vacuum episodes, fresh_episodes")
    owner.exec_driver_sql("vacuum analyze")


def _settle(storage: StorageFixture, chance: random.Random) -> None:
    storage.do("update conversations set settle_at = now() where settle_at is not null")
    while (claimed := episodes.claim(storage.crossing, QUEUE.replace("reply", "batch"), model=MODEL, most=16, lease_s=600)) is not None:
        vectors = [vector(chance) for _ in claimed.turns]
        assert episodes.settle(storage.worker, claimed, model=MODEL, vectors=vectors)


def sizes(owner: Connection, contact: UUID) -> dict[int | None, int]:
    """How many rows of a contact are in runs of each size."""
    statement = "select run, count(*) from episodes where contact_id = %s group by run union all select null, count(*) from fresh_episodes where contact_id = %s"
    return {run: count for run, count in owner.exec_driver_sql(statement, (contact, contact)).all() if count}


def expected(turns: int) -> dict[int | None, int]:
    """The same, as `runs` says."""
    found = dict[int | None, int]()
    for run in runs(turns):
        found[run.size] = found.get(run.size, 0) + run.last - run.first + 1
    return found


def vector(chance: random.Random) -> list[float]:
    """Any vector of the embedder's size."""
    return [round(chance.random() - 0.5, 4) for _ in range(DIMENSIONS)]


def words(chance: random.Random, count: int, *, frequent: int = 3) -> str:
    """Words of which a few are frequent, as in any talk; in a question they are less so."""
    return " ".join(f"word{int(_VOCABULARY * chance.random() ** frequent)}" for _ in range(count))


def _pool(owner: Connection) -> None:
    chance = random.Random(3)
    owner.exec_driver_sql("create unlogged table pool (n integer primary key, vector halfvec, words integer[], text text)")
    for n in range(_POOL):
        owner.exec_driver_sql(_FILL_POOL, (n, str(vector(chance)), words(chance, _STEMS)))


def _begin(turns: int) -> datetime:
    return datetime.now(UTC) - _EVERY * (turns // _TALK + 2)


def _in_portions(run: Run, contacts: int) -> Iterator[tuple[int, int, Sequence[int]]]:
    """The statements that write a run of everybody: a turn of all contacts at once where rows lie as they came, else some contacts after the others."""
    if run.size is None:
        for n in range(run.first, run.last + 1):
            yield n, n, (1, contacts)
        return
    for start in range(1, contacts + 1, _AT_ONCE):
        yield run.first, run.last, (start, min(start + _AT_ONCE - 1, contacts))
