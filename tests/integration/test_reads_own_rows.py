"""What is done for one contact reads few rows, however many there are of others: under row security a condition that may leak finds no index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from bots.domain import DeliveryStatus, Outcome, Retry
from bots.recall import question
from bots.storage import chat, dialogue, episodes, memories, people, remembering, summaries, usage
from bots.storage.claims import Claim
from bots.storage.database import unit
from bots.storage.turns import Erasure, NewEnd, NewEpisode, NewFact, Recalled, RecalledTurn
from tests.support.changes import ADA, a_call, an_edit, an_unsend
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.recalling import BATCH
from tests.support.remembering import fact, said
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message, a_status, open_storage

#: So many rows of others in each table, and how many a step may read of any: those of one contact, and some of the catalog's order.
_OTHERS, _FEW = 20_000, 2_000
#: Each table with a row for each of many contacts. What refers to nothing is not asked: only how many rows are read.
_CROWD = f"""
set session_replication_role = replica;
create unlogged table crowd as
select n, gen_random_uuid() as contact, gen_random_uuid() as talk, gen_random_uuid() as turn, gen_random_uuid() as message, a.tenant_id, a.id as account, a.bot_id
from generate_series(1, {_OTHERS}) n, accounts a;
insert into contacts (tenant_id, id) select tenant_id, contact from crowd;
insert into contact_identities (tenant_id, scope, kind, value, norm, contact_id) select tenant_id, account::text, 'phone', '1' || n, '1' || n, contact from crowd;
insert into conversations (tenant_id, id, account_id, contact_id, queue) select tenant_id, talk, account, contact, '{QUEUE}' from crowd;
insert into turns (tenant_id, id, conversation_id, contact_id, number, state, asked, answer, finished_at)
select tenant_id, turn, talk, contact, 1, 'answered', 'and now?', 'then', now() from crowd;
insert into inbox (tenant_id, id, account_id, event_key, kind, contact_id, conversation_id, text, content_type, supported, turn_id)
select tenant_id, message, account, 'crowd' || n, 'message', contact, talk, 'and now?', 'text', true, turn from crowd;
insert into outbox (tenant_id, turn_id, part, account_id, contact_id, conversation_id, body, status, external_id)
select tenant_id, turn, 1, account, contact, talk, 'then', 'read', 'crowd' || n from crowd;
insert into send_attempts (tenant_id, message_id, contact_id, n, boot_id, outcome, finished_at)
select tenant_id, id, contact_id, 1, id, 'accepted', now() from outbox;
insert into model_calls (tenant_id, turn_id, contact_id, attempt, endpoint, model, prompt, outcome) select tenant_id, turn, contact, 1, 'e', 'm', '[]', 'ok' from crowd;
insert into memories (tenant_id, contact_id, kind, text, source_inbox_id, source_turn_id, created_by)
select tenant_id, contact, 'likes', 'cake ' || n, message, turn, 'rules' from crowd;
insert into recalls (tenant_id, turn_id, memory_id, contact_id, rank, reason) select tenant_id, turn, turn, contact, 1, 'said' from crowd;
insert into recalled_turns (tenant_id, turn_id, recalled_id, contact_id, rank, signals) select tenant_id, turn, turn, contact, 1, '{{words}}' from crowd;
insert into fresh_episodes (tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person, time_words)
select tenant_id, contact, turn, bot_id, talk, 1, now(), 'english', array[n], 3, false, false, 0 from crowd;
insert into envelopes (tenant_id, id, account_id, body, state) select tenant_id, turn, account, '\\x7b7d', 'parsed' from crowd;
insert into envelope_contacts (tenant_id, envelope_id, contact_id) select tenant_id, turn, contact from crowd;
drop table crowd;
analyze;
"""
_READ = "select relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables"

_CONNECTED = "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend' and datname = current_database()"

Step = Callable[[StorageFixture], object]


@pytest.fixture(scope="module")
def crowded(cluster: Cluster) -> Iterator[tuple[StorageFixture, Callable[[], dict[str, int]]]]:
    """A database full of others, and how many rows of each table were read so far."""
    database = cluster.database()
    storage = open_storage(cluster, database)
    owner = cluster.engine(database).execution_options(isolation_level="AUTOCOMMIT")

    def read() -> dict[str, int]:
        # What a connection read is told at the latest when it ends.
        for engine in (storage.web, storage.worker, storage.crossing):
            engine.dispose()
        with owner.connect() as connection:
            until(lambda: not connection.exec_driver_sql(_CONNECTED).scalar(), what="the connections ended")
            return {name: int(count) for name, count in connection.exec_driver_sql(_READ).all()}

    with owner.connect() as connection:
        connection.exec_driver_sql(_CROWD)
    try:
        yield storage, read
    finally:
        for engine in (storage.web, storage.worker, storage.crossing):
            engine.dispose()
        owner.dispose()
        cluster.drop(database)


def _states(storage: StorageFixture) -> None:
    told = said(
        storage, "My dog is Rex, and I live in Porto", key="s1", facts=[fact("pet", "dog Rex"), fact("place", "Porto")], episode=_episode()
    )
    said(storage, "I moved to Faro, and Rex died", key="s2", facts=[fact("place", "Faro")])
    said(
        storage,
        "what was my dog called?",
        key="s3",
        recalls=[Recalled(memory=_memory(storage, "Faro"), reason="said before")],
        recalled=[RecalledTurn(turn=told.turn, signals=["words"])],
        summarise_to=1,
        read_after_s=0.0,
        untold=[],
        episode=_episode(),
    )


def _ends(storage: StorageFixture) -> None:
    storage.let_in(a_message("I have no dog any more", by=(ADA,)))
    claim = storage.claimed()
    _finish(storage, claim, ends=[NewEnd(kind="pet", text="dog Rex", source=claim.messages[0].id)], untold=[claim.messages[0].id])


def _asks(storage: StorageFixture) -> None:
    asked = question.read("what was my dog called?", language="en", today=datetime.now(UTC).date(), zone="UTC", also="en")
    assert asked is not None
    contact, talk = _ada(storage)
    found = episodes.recall(
        storage.worker,
        contact=contact,
        bot=storage.account.bot_id,
        question=asked,
        vector=None,
        model="m",
        conversation=talk,
        history_from=3,
        limit=6,
        neighbours=2,
    )
    assert found
    assert remembering.later(storage.worker, contact=contact, since=datetime(2026, 1, 1, tzinfo=UTC))


def _notes(storage: StorageFixture) -> None:
    claimed = summaries.claim(storage.crossing, BATCH, lease_s=60)
    assert claimed is not None
    assert summaries.finish(storage.worker, claimed, "They have a dog.", until=1, calls=[])


def _reads_quietly(storage: StorageFixture) -> None:
    reading = remembering.claim(storage.crossing, BATCH, most=40, lease_s=60)
    assert reading is not None
    source = reading.messages[0].id
    facts = [NewFact(kind="likes", text="dogs", source=source)]
    assert remembering.finish(storage.worker, reading, until=reading.until, facts=facts, ends=[], by="a model", again_s=60, calls=[])


def _settles(storage: StorageFixture) -> None:
    storage.do("update conversations set settle_at = now() where settle_at is not null")
    claimed = episodes.claim(storage.crossing, BATCH, model="m", most=16, lease_s=60)
    assert claimed is not None
    assert episodes.settle(storage.worker, claimed, model="m", vectors=[(1.0, 0.0, 0.0)] * len(claimed.turns))


def _indexes(storage: StorageFixture) -> None:
    storage.do("delete from fresh_episodes where contact_id = %s", _ada(storage)[0])
    storage.do("update conversations set index_to = 3, settle_at = null where contact_id = %s", _ada(storage)[0])
    claimed = episodes.claim_unindexed(storage.crossing, most=8, lease_s=60)
    assert claimed is not None
    assert claimed.turns
    assert episodes.index(storage.worker, claimed, [_episode() for _ in claimed.turns])


def _edits(storage: StorageFixture) -> None:
    storage.let_in(an_edit("s1", "My dog is Max, and I live in Porto", facts=[fact("pet", "dog Max")]), an_unsend("s3"))


def _forgets_some(storage: StorageFixture) -> None:
    storage.let_in(a_message("/forget Faro", by=(ADA,)))
    claim = storage.claimed()
    wish = Erasure(memories=[_memory(storage, "Faro")], turns=[_turn(storage, "s2")], messages=[claim.messages[0].id])
    _finish(storage, claim, erase=wish, in_history=False)


def _lists(storage: StorageFixture) -> None:
    contact, talk = _ada(storage)
    with unit(storage.worker, contact=contact) as connection:
        memories.living(connection)
        memories.ended(connection)
        memories.all_of(connection, contact)
        memories.export(connection, contact)
        memories.shaped_last(connection, talk)
        memories.repeated_last(connection, talk)
        memories.listed_last(connection, talk)
        memories.said_last(connection, talk, before=3)
        memories.with_history(connection, contact, [_memory(storage, "dog Max")])


def _is_looked_at(storage: StorageFixture) -> None:
    contact, talk = _ada(storage)
    with unit(storage.web, contact=contact) as connection:
        dialogue.read(connection, contact=contact, conversation=talk)
        chat.lines(connection, contact)
        assert chat.what_happened(connection, _turn(storage, "s3")) is not None
        memories.count(connection, contact)
        memories.switches(connection, contact)
        people.find(connection, tenant=storage.account.tenant_id, contact=contact, search="Porto", limit=50)
        people.find(connection, tenant=storage.account.tenant_id, contact=contact, search="+34 600", limit=50)
    usage.contact_day(storage.worker, contact, bot=storage.account.bot_id)


def _is_sent_to(storage: StorageFixture) -> None:
    storage.let_in(a_message("one more thing", by=(ADA,)))
    sending = storage.finish(storage.claimed(), parts=["a", "b"], calls=[a_call("one more thing")])
    assert sending is not None
    storage.end(sending, Outcome.NOT_SENT, retry=Retry.LATER)
    storage.do("update outbox set not_before = now() where not_before is not null")
    again = storage.next_send()
    assert again is not None
    storage.end(again)
    storage.let_in(a_status(f"wamid.OUT{again.message.hex}", DeliveryStatus.DELIVERED))


def _is_corrected_by_hand(storage: StorageFixture) -> None:
    contact, _ = _ada(storage)
    with unit(storage.crossing) as connection:
        made = memories.correct(connection, contact=contact, memory=_memory(storage, "dog Max"), value="dog Maximilian", by="ana")
        memories.end(connection, contact=contact, memory=made, by="ana")
        memories.erase(connection, contact=contact, memories=[made])


def _forgets_everything(storage: StorageFixture) -> None:
    storage.let_in(a_message("delete everything", by=(ADA,)))
    _finish(storage, storage.claimed(), erase=Erasure(everything=True), in_history=False)
    storage.let_in(an_edit("s1", "My dog is Tom", n=2))


_STEPS: tuple[Step, ...] = (
    _states,
    _ends,
    _asks,
    _notes,
    _reads_quietly,
    _settles,
    _indexes,
    _edits,
    _forgets_some,
    _lists,
    _is_looked_at,
    _is_sent_to,
    _is_corrected_by_hand,
    _forgets_everything,
)


@pytest.mark.slow
def test_no_step_of_a_talk_reads_the_rows_of_others(crowded: tuple[StorageFixture, Callable[[], dict[str, int]]]) -> None:
    storage, read = crowded
    too_many: dict[str, dict[str, int]] = {}
    for step in _STEPS:
        before = read()
        step(storage)
        after = read()
        found = {name: after[name] - before[name] for name in after if after[name] - before[name] > _FEW}
        if found:
            too_many[step.__name__] = found

    assert not too_many, too_many


def _episode() -> NewEpisode:
    return NewEpisode(config="english", asked="my dog is called Rex", answered="hello")


def _finish(storage: StorageFixture, claim: Claim, **result: Any) -> None:
    """Answer, and have it sent."""
    sending = storage.finish(claim, **result)
    if sending is not None:
        storage.end(sending)


def _ada(storage: StorageFixture) -> tuple[UUID, UUID]:
    """The contact and the conversation."""
    (found,) = storage.rows("select contact_id, conversation_id from inbox where account_id = %s and event_key = 's1'", storage.account.id)
    return found[0], found[1]


def _memory(storage: StorageFixture, text: str) -> UUID:
    return storage.value(
        "select id from memories where contact_id = %s and text = %s order by created_at desc limit 1", _ada(storage)[0], text
    )


def _turn(storage: StorageFixture, key: str) -> UUID:
    return storage.value("select turn_id from inbox where account_id = %s and event_key = %s", storage.account.id, key)
