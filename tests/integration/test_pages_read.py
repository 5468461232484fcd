"""What a turn reads is its own: it does not grow with what everybody else has said."""

from __future__ import annotations

from bots.storage import claims
from bots.storage.claims import Claim
from bots.storage.database import to_json, unit
from bots.storage.turns import Finishing, NewEnd, NewEpisode, NewFact, TurnResult
from tests.support.cluster import Cluster
from tests.support.pages_read import pages
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message, a_phone


def _others_write(storage: StorageFixture, start: int, people: int) -> None:
    for first in range(start, start + people, 100):
        storage.let_in(
            *(a_message("I live in Porto", by=(a_phone(f"34600{n:06}"),)) for n in range(first, min(first + 100, start + people)))
        )


def _count(cluster: Cluster, storage: StorageFixture) -> None:
    """Let Postgres count the rows as they are now: it plans for so many, and a plan stays."""
    assert storage.worker.url.database is not None
    with cluster.engine(storage.worker.url.database).execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("analyze")


def _claim(storage: StorageFixture) -> Claim:
    (claim,) = claims.claim_turns(storage.crossing, QUEUE, boot=storage.boot, lease_s=60, session_s=1800, most=1)
    return claim


def _pages_of_a_finish(storage: StorageFixture) -> int:
    """Pages that the end of a turn reads, with a fact, an end, and a turn that can be recalled."""
    claim = _claim(storage)
    source = claim.messages[0].id
    result = TurnResult(
        state="answered",
        asked="I live in Porto",
        answer="Good.",
        parts=["Good."],
        facts=[NewFact(kind="lives_in", text="Porto", source=source, topic="")],
        ends=[NewEnd(kind="likes", text="tea", source=source)],
        untold=[source],
        episode=NewEpisode(config="english", asked="I live in Porto", answered="Good."),
    )
    one = to_json([Finishing(contact=claim.contact, turn=claim.turn, token=claim.token, result=result)])
    with unit(storage.worker) as connection:
        return pages(connection, "select finish_turns(%s, 60, %s::jsonb)", storage.boot, one)


def test_the_end_of_a_turn_reads_no_more_when_others_have_said_much(cluster: Cluster, storage: StorageFixture) -> None:
    _others_write(storage, 0, 20)
    _count(cluster, storage)
    # The first ones read catalogs.
    few = [_pages_of_a_finish(storage) for _ in range(4)][-1]
    _others_write(storage, 20, 1000)
    _count(cluster, storage)
    many = [_pages_of_a_finish(storage) for _ in range(4)][-1]

    assert many < few * 1.3, (few, many)


def test_a_claim_reads_no_more_when_others_have_said_much(cluster: Cluster, storage: StorageFixture) -> None:
    def of_a_claim() -> int:
        with unit(storage.crossing) as connection:
            return pages(connection, "select claim_turns(%s, %s, 60, 1800, 1, '{}', '{}')", QUEUE, storage.boot)

    _others_write(storage, 0, 20)
    _count(cluster, storage)
    few = [of_a_claim() for _ in range(4)][-1]
    _others_write(storage, 20, 1000)
    _count(cluster, storage)
    many = [of_a_claim() for _ in range(4)][-1]

    assert many < few * 1.3, (few, many)


def test_memories_can_be_written_where_no_schema_is_searched_as_when_a_backup_is_restored(storage: StorageFixture) -> None:
    _others_write(storage, 0, 1)
    claim = _claim(storage)
    with unit(storage.crossing) as connection:
        connection.exec_driver_sql("set local search_path = ''")
        words = connection.exec_driver_sql(
            "insert into public.memories (tenant_id, contact_id, kind, text, created_by) values (%s, %s, 'likes', 'Café', 'ana') returning words",
            (claim.tenant, claim.contact),
        ).scalar_one()

    assert words == " cafe "
