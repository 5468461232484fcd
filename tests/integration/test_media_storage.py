"""Pictures in Postgres: named, fetched or refused within their contact, gone with it, and gone when their time is over."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from bots.domain import EventKind, InboundEvent, MediaReference
from bots.storage import inbox, media, setups
from bots.storage.database import unit
from tests.support.storage_fixture import StorageFixture, a_bsuid, a_message, a_phone

DATA = b"jpeg bytes"


def a_picture_message(text: str | None = None, *, references: tuple[str, ...] = ("111",), **more: object) -> InboundEvent:
    found = tuple(MediaReference(kind="image", reference=one, media_type="image/jpeg") for one in references)
    return a_message(text, content_type="image", media=found, **more)  # type: ignore[arg-type]  # a caption may be missing


def keep(storage: StorageFixture, contact: UUID, picture: UUID, data: bytes = DATA) -> bool:
    with unit(storage.worker, contact=contact) as connection:
        return media.fetched(connection, picture, media_type="image/jpeg", width=4, height=3, data=data)


def load(storage: StorageFixture, contact: UUID, *pictures: UUID) -> list[bytes]:
    with unit(storage.worker, contact=contact) as connection:
        return [found.data for found in media.load(connection, pictures).values()]


def test_a_claim_brings_the_pictures_of_its_messages_in_their_order(storage: StorageFixture) -> None:
    storage.let_in(a_picture_message("look", references=("1", "2")), a_message("and?"))

    claim = storage.claimed()

    assert [[(one.reference, one.state, one.media_type) for one in message.media] for message in claim.messages] == [
        [("1", "named", "image/jpeg"), ("2", "named", "image/jpeg")],
        [],
    ]


def test_a_second_delivery_names_no_second_picture(storage: StorageFixture) -> None:
    event = a_picture_message()
    storage.let_in(event)
    storage.let_in(event)

    assert storage.value("select count(*) from media") == 1


def test_what_was_fetched_comes_back_with_the_history_and_what_was_refused_does_not(storage: StorageFixture) -> None:
    storage.let_in(a_picture_message("look", references=("1", "2")))
    claim = storage.claimed()
    first, second = (one.id for one in claim.messages[0].media)

    assert keep(storage, claim.contact, first)
    with unit(storage.worker, contact=claim.contact) as connection:
        assert media.refused(connection, second, reason="gone")
        # What is settled stays so.
        assert not media.refused(connection, first, reason="gone")
    assert not keep(storage, claim.contact, second)
    storage.finish(claim, asked="(picture)\nlook")
    storage.let_in(a_message("again"))
    history = storage.claimed().history

    assert [turn.media for turn in history] == [[first]]
    assert load(storage, claim.contact, first, second) == [DATA]


def test_nobody_elses_scope_sees_or_changes_a_picture(storage: StorageFixture) -> None:
    storage.let_in(a_picture_message())
    storage.let_in(a_picture_message(by=(a_phone("34600999888"),)))
    one, other = storage.claimed(), storage.claimed()
    mine = one.messages[0].media[0].id
    keep(storage, one.contact, mine)

    assert load(storage, other.contact, mine) == []
    assert not keep(storage, other.contact, mine)
    with unit(storage.worker) as connection:
        assert media.load(connection, [mine]) == {}


def test_pictures_go_with_their_contact_when_two_are_found_to_be_one(storage: StorageFixture) -> None:
    storage.let_in(a_picture_message())
    claim = storage.claimed()
    picture = claim.messages[0].media[0].id
    keep(storage, claim.contact, picture)
    storage.finish(claim, asked="(picture)")
    storage.let_in(a_message("me too", by=(a_bsuid(),)))
    # The older contact is kept; make the other one the older.
    storage.do("update contacts set created_at = now() - interval '1 day' where id <> %s", claim.contact)
    storage.let_in(
        InboundEvent(
            kind=EventKind.SYSTEM, event_key="joined", identities=(a_bsuid(),), previous=(a_phone(),), content_type="user_id_update"
        )
    )
    kept: UUID = storage.value("select id from contacts")

    assert storage.value("select count(*) from contacts") == 1
    assert load(storage, kept, picture) == [DATA]


def test_removing_an_account_with_erasure_leaves_no_picture(storage: StorageFixture) -> None:
    storage.let_in(a_picture_message())
    claim = storage.claimed()
    keep(storage, claim.contact, claim.messages[0].media[0].id)

    with unit(storage.crossing) as connection:
        setups.erase(connection, tenant=storage.account.tenant_id, account=storage.account.id)

    assert storage.value("select count(*) from media") == 0


def test_an_erased_contact_takes_its_pictures_along_and_a_late_fetch_changes_nothing(storage: StorageFixture) -> None:
    storage.let_in(a_picture_message())
    claim = storage.claimed()
    storage.do("delete from contacts where id = %s", claim.contact)

    assert not keep(storage, claim.contact, claim.messages[0].media[0].id)
    assert storage.value("select count(*) from media") == 0


def test_bytes_go_when_their_time_is_over_and_the_row_says_so(storage: StorageFixture) -> None:
    storage.let_in(a_picture_message(references=("1", "2")))
    claim = storage.claimed()
    old, fresh = (one.id for one in claim.messages[0].media)
    keep(storage, claim.contact, old)
    keep(storage, claim.contact, fresh)
    storage.do("update media set created_at = now() - interval '31 days' where id = %s", old)

    storage.value("select keep_house(30)")

    assert load(storage, claim.contact, old, fresh) == [DATA]
    assert storage.rows("select state, reason from media where id = %s", old) == [("refused", "too_old")]


def test_a_picture_that_came_with_its_message_is_there_at_once(storage: StorageFixture) -> None:
    key = f"console:{uuid4()}"
    with unit(storage.crossing) as connection:
        (contact,) = inbox.accept(
            connection, storage.account, [a_picture_message(key=key)], queue="reply.default", debounce_s=0, debounce_cap_s=0
        )
        put = [
            media.put(connection, account=storage.account.id, event_key=key, media_type="image/jpeg", width=4, height=3, data=DATA)
            for _ in range(2)
        ]
    claim = storage.claimed()

    assert put == [True, False]
    assert [one.state for one in claim.messages[0].media] == ["fetched"]
    assert load(storage, contact, claim.messages[0].media[0].id) == [DATA]


@pytest.mark.parametrize(("caption", "told"), [(None, "(picture)\n(picture)"), ("look", "(picture)\n(picture)\nlook")])
@pytest.mark.parametrize(
    "answer",
    [
        "select answer_by_hand(id, 'ana', 'lovely', array['lovely'], gen_random_uuid()) from conversations",
        "select answered_elsewhere(id, null, 'lovely', 60) from conversations",
    ],
)
def test_what_a_person_answered_to_a_picture_stays_in_the_history_with_a_mark_for_it(
    storage: StorageFixture, answer: str, caption: str | None, told: str
) -> None:
    storage.let_in(a_picture_message(caption, references=("1", "2")))
    storage.do("select take_over(id, 'ana', 60) from conversations")
    storage.do(answer)
    storage.do("select give_back(id) from conversations")
    storage.let_in(a_message("and now?"))

    assert [(turn.asked, turn.answer, turn.media) for turn in storage.claimed().history] == [(told, "lovely", [])]


def test_what_a_person_answered_to_a_voice_message_stays_in_the_history(storage: StorageFixture) -> None:
    storage.let_in(a_message(None, content_type="audio", supported=False), a_message("did you hear it?"))
    storage.do("select take_over(id, 'ana', null) from conversations")
    storage.do("select answer_by_hand(id, 'ana', 'yes', array['yes'], gen_random_uuid()) from conversations")
    storage.do("select give_back(id) from conversations")
    storage.let_in(a_message("good"))

    assert [turn.asked for turn in storage.claimed().history] == ["(audio)\ndid you hear it?"]
