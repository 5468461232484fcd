"""Databases of the version before: what was remembered keeps its times, what was forgotten goes, and what was said long ago can be recalled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command as alembic
from alembic.config import Config

from bots.recall import question
from bots.storage import episodes
from bots.storage.database import to_json, unit
from bots.storage.episodes import Recalled
from bots.storage.turns import NewEpisode
from tests.support.cluster import Cluster
from tests.support.one_worker import BATCHES, OneWorker, one_worker
from tests.support.recalling import recall
from workers.embed_turns import embed_one
from workers.index_turns import index_one
from workers.turn.recalling import fitting

_ROOT = Path(__file__).parents[2]
_BEFORE = "0009"
_SAID = "My brother moved to Gothenburg"
_MEMORY = (
    "insert into memories (tenant_id, id, contact_id, kind, text, single, source_inbox_id, source_turn_id, created_by, created_at, valid_to, superseded_by)"
    " select tenant_id, %s, contact_id, %s, %s, %s, id, turn_id, 'rules-2', received_at, %s, %s from inbox where text = %s"
)


@pytest.fixture
def worker(cluster: Cluster) -> Iterator[OneWorker]:
    with one_worker(cluster) as made:
        made.profile("first")
        yield made


@pytest.fixture
def to(cluster: Cluster, worker: OneWorker) -> Callable[[str], None]:
    """Brings the database to a revision: down to the one before there was recall, or up."""
    return partial(_to, cluster, str(worker.storage.crossing.url.database))


def _to(cluster: Cluster, database: str, revision: str) -> None:
    config = Config(str(_ROOT / "alembic.ini"))
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    with cluster.engine(database).connect() as connection:
        config.attributes["connection"] = connection
        (alembic.downgrade if revision == _BEFORE else alembic.upgrade)(config, revision)
        connection.commit()


def _recalled(worker: OneWorker, asked: str = "Where did my brother move?") -> list[Recalled]:
    contact = worker.storage.value("select id from contacts")
    sought = question.read(asked, language="en", today=datetime.now(UTC).date())
    assert sought is not None
    return list(fitting(recall(worker.storage, contact, sought)))


def test_memories_keep_what_they_say_and_when_and_those_that_were_forgotten_are_gone(worker: OneWorker, to: Callable[[str], None]) -> None:
    texts = ("I am Ana", "I am Bea", "I have a cat", "I like tea", "I dislike tea", "I live in Rome", "I live in Oslo")
    for text in texts:
        worker.ask(text)
    to(_BEFORE)
    worker.storage.do("delete from memories")
    worker.storage.do("update inbox set occurred_at = received_at - interval '1 hour' where text = 'I am Bea'")
    worker.storage.do("update inbox set occurred_at = received_at + interval '1 year' where text = 'I have a cat'")
    ended = datetime(2026, 2, 1, tzinfo=UTC)
    ids = {text: uuid4() for text in texts}
    for text, kind, value, single, until, by in (
        ("I am Ana", "name", "Ana", True, ended, "I am Bea"),
        ("I am Bea", "name", "Bea", True, None, None),
        ("I have a cat", "pet", "cat", False, None, None),
        ("I like tea", "likes", "tea", False, ended, "I dislike tea"),
        ("I dislike tea", "dislikes", "tea", False, None, None),
        # Forgotten, and what it had replaced.
        ("I live in Rome", "place", "Rome", True, ended, "I live in Oslo"),
        ("I live in Oslo", "place", "Oslo", True, ended, None),
    ):
        worker.storage.do(_MEMORY, ids[text], kind, value, single, until, ids[by] if by else None, text)
    to("head")

    columns = "m.kind, m.text, topic, chain, said_at = received_at, said_at = occurred_at, valid_to, ended_at, superseded_by"
    rows = worker.storage.rows(f"select {columns} from memories m join inbox i on i.id = source_inbox_id order by arrival")
    assert [tuple(row) for row in rows] == [
        ("name", "Ana", "", "name/", True, None, ended, ended, ids["I am Bea"]),
        ("name", "Bea", "", "name/", False, True, None, None, None),
        # What claims to be from the future was said when it came.
        ("pet", "cat", None, "pet cat ", True, False, None, None, None),
        ("likes", "tea", None, "taste tea ", True, None, ended, ended, ids["I dislike tea"]),
        ("dislikes", "tea", None, "taste tea ", True, None, None, None, None),
        ("place", "Rome", "", "place/", True, None, ended, ended, None),
    ]
    # What is said now takes the place of what was remembered then; what had been replaced by something forgotten does not come back.
    worker.ask("My name is Cleo, and I live in Lima")
    living = worker.storage.rows("select text from memories where valid_to is null and kind in ('name', 'place') order by kind")
    assert [text for (text,) in living] == ["Cleo", "Lima"]
    to(_BEFORE)
    rows = worker.storage.rows("select text, single, valid_to is null from memories order by created_at, text")
    assert [tuple(row) for row in rows if row[0] in ("Bea", "Cleo", "cat")] == [
        ("Bea", True, False),
        ("cat", False, True),
        ("Cleo", True, True),
    ]


def test_facts_as_processes_of_the_version_before_name_them_replace_each_other(worker: OneWorker) -> None:
    for number, name in enumerate(("Ana", "Bea"), 1):
        worker.ask("Hello")
        worker.storage.do(
            "select remember(i.contact_id, turn_id, jsonb_build_array(jsonb_build_object('kind', 'name', 'text', %s::text, 'single', true,"
            " 'source', i.id)), '[]', 'rules-2') from inbox i join turns t on t.id = turn_id where t.number = %s",
            name,
            number,
        )

    assert worker.storage.rows("select text, topic from memories where valid_to is null") == [("Bea", "")]


def test_turns_from_before_there_was_recall_are_recalled_once_they_are_indexed(worker: OneWorker, to: Callable[[str], None]) -> None:
    for text in (_SAID, "/help", *(f"The weather in town {n} is fine" for n in range(70))):
        worker.ask(text)
    to(_BEFORE)
    to("head")
    before = _recalled(worker)
    worker.ask("The new boat is red")
    newest = worker.storage.rows("select number from fresh_episodes")
    worker.storage.do("update conversations set settle_at = now()")
    while embed_one(worker.deps, BATCHES) or index_one(worker.deps):
        pass

    assert before == []
    assert len(newest) == 1
    assert _recalled(worker)[0].asked == _SAID
    assert worker.storage.rows("select index_to, settle_at from conversations") == [(0, None)]
    counted = "select count(*), count(distinct turn_id), min(number) from (select turn_id, number from episodes union all select turn_id, number from fresh_episodes) x"
    assert worker.storage.rows(counted) == [(72, 72, 1)]
    assert not worker.storage.value("select exists (select from fresh_episodes e join turns t on t.id = e.turn_id where not in_history)")


def test_a_turn_of_a_process_of_the_version_before_is_recalled_and_the_others_are_not_indexed_again(worker: OneWorker) -> None:
    worker.ask("The new boat is red")
    worker.storage.do("update conversations set settle_at = null")
    newest = worker.storage.value("select xmin::text from fresh_episodes")
    worker.say(_SAID)
    claim = worker.storage.claimed()
    result = {
        "state": "answered",
        "asked": _SAID,
        "answer": "I see.",
        "in_history": True,
        "close": False,
        "drop_summary": False,
        "retry_s": 0,
    }
    lists: dict[str, list[object]] = {name: [] for name in ("parts", "calls", "recalls", "facts", "forget")}
    worker.storage.do(
        "select finish_turn(%s, %s, %s, %s, 60, %s::jsonb)",
        claim.contact, claim.turn, claim.token, worker.storage.boot, to_json(result | lists),
    )  # fmt: skip
    before = _recalled(worker)
    while index_one(worker.deps):
        pass

    assert _SAID not in {one.asked for one in before}
    assert _recalled(worker)[0].asked == _SAID
    assert worker.storage.value("select xmin::text from fresh_episodes order by said_at limit 1") == newest


def test_turns_whose_words_were_forgotten_while_they_were_indexed_are_read_again(worker: OneWorker, to: Callable[[str], None]) -> None:
    worker.ask(_SAID)
    to(_BEFORE)
    to("head")
    claimed = episodes.claim_unindexed(worker.deps.crossing, most=64, lease_s=60)
    assert claimed is not None
    assert episodes.claim_unindexed(worker.deps.crossing, most=64, lease_s=60) is None, "it is claimed"
    worker.storage.do("update turns set asked = 'My brother moved', answer = null")

    made = [NewEpisode(config="english", asked=_SAID, answered="") for _ in claimed.turns]
    assert not episodes.index(worker.deps.worker, claimed, made)
    assert worker.storage.rows("select * from fresh_episodes") == []
    assert index_one(worker.deps)
    assert [one.asked for one in _recalled(worker)] == ["My brother moved"]
    assert _recalled(worker, "What about Gothenburg?") == []


@pytest.mark.parametrize(
    "off", ["update contacts set memory_off_at = now()", "update contacts set stopped_at = now()", "update bots set memory_on = false"]
)
def test_of_whoever_wants_nothing_remembered_nothing_is_indexed(worker: OneWorker, to: Callable[[str], None], off: str) -> None:
    worker.ask(_SAID)
    to(_BEFORE)
    to("head")
    with unit(worker.storage.web if "bots" in off else worker.storage.crossing) as connection:
        connection.exec_driver_sql(off)

    assert index_one(worker.deps)
    assert not index_one(worker.deps)
    assert worker.storage.rows("select * from fresh_episodes") == []


def test_turns_to_index_are_one_task_for_whoever_works_batches(worker: OneWorker) -> None:
    worker.ask(_SAID)
    worker.storage.do("update conversations set settle_at = null, index_to = 9")
    worker.storage.do(
        "insert into worker_heartbeats (name, boot_id, slots, queues) values ('w', %s, 4, array['batch.default'])", worker.deps.boot
    )

    assert worker.storage.rows("select queue, due from batches_waiting(0)") == [("batch.default", 1)]
