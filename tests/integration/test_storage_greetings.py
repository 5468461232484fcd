"""What the platform's own inbox sends by itself silences nobody: greetings, away lines, other apps, one text for many. A colleague still does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bots.domain import DeliveryStatus, EventKind, Identity, IdentityKind, InboundEvent, StatusUpdate
from bots.storage import accounts
from bots.storage.database import unit
from tests.support.storage_fixture import StorageFixture, a_message

ADA, BOB, CY, DEE = (Identity(kind=IdentityKind.PSID, value=f"600{n}") for n in range(4))
PAGE_INBOX, INSTAGRAM_INBOX, SOME_APP = "263902037430900", "1217981644879628", "41"
GREETING = "Thanks for writing to us, we answer soon."
T0 = datetime.now(UTC) - timedelta(minutes=10)


def says(text: str = "are you open?", *, by: Identity = ADA, at: float = 0.0, **more: Any) -> InboundEvent:
    return a_message(text, by=(by,), occurred_at=T0 + timedelta(seconds=at), **more)


def an_echo(
    at: float | None, text: str | None = GREETING, *, to: Identity = ADA, mid: str = "m_9", app_id: str | None = None
) -> InboundEvent:
    return InboundEvent(
        kind=EventKind.ECHO,
        event_key=f"echo:{mid}",
        identities=(to,),
        text=text,
        supported=False,
        app_id=app_id,
        occurred_at=None if at is None else T0 + timedelta(seconds=at),
        status=StatusUpdate(external_id=mid, status=DeliveryStatus.SENT),
    )


def holder(storage: StorageFixture, of: Identity = ADA) -> str | None:
    return storage.value(
        "select taken_by from conversations join contact_identities using (contact_id) where value = %s and closed_at is null", of.value
    )


@pytest.mark.parametrize("app_id", [None, PAGE_INBOX, INSTAGRAM_INBOX, SOME_APP])
@pytest.mark.parametrize("text", [GREETING, None, "Hi!"])
def test_what_leaves_within_seconds_of_a_message_is_no_colleague(storage: StorageFixture, app_id: str | None, text: str | None) -> None:
    storage.let_in(says())

    storage.let_in(an_echo(1.2, text, app_id=app_id))

    assert holder(storage) is None
    assert [message.text for message in storage.claimed().messages] == ["are you open?"]
    assert storage.rows("select text, reason, turn_id from inbox where kind = 'echo'") == [(text, "automatic", None)]


@pytest.mark.parametrize(
    ("at", "app_id", "is_held"),
    [
        (0.0, PAGE_INBOX, False),
        (-0.5, PAGE_INBOX, False),
        (3.9, PAGE_INBOX, False),
        (4.0, PAGE_INBOX, True),
        (4.0, None, True),
        (4.0, INSTAGRAM_INBOX, True),
        (3.9, SOME_APP, False),
        (4.0, SOME_APP, True),
        (600.0, PAGE_INBOX, True),
    ],
)
def test_from_some_seconds_on_it_may_be_a_colleague(storage: StorageFixture, at: float, app_id: str | None, *, is_held: bool) -> None:
    storage.let_in(says())

    storage.let_in(an_echo(at, app_id=app_id))

    assert (holder(storage) is not None) == is_held


@pytest.mark.parametrize(
    ("earlier", "app_id", "is_held"),
    [
        # A colleague may be answering what was written before.
        (-18.0, PAGE_INBOX, True),
        (-54.0, None, True),
        # Nobody would answer so late at that very moment.
        (-70.0, PAGE_INBOX, False),
        (-1.0, PAGE_INBOX, False),
        # An app that answers each message.
        (-18.0, SOME_APP, False),
    ],
)
def test_who_goes_on_writing_may_be_getting_an_answer(
    storage: StorageFixture, earlier: float, app_id: str | None, *, is_held: bool
) -> None:
    storage.let_in(says("hello", at=earlier), says())

    storage.let_in(an_echo(2.0, "Hello, Carla here.", app_id=app_id))

    assert (holder(storage) is not None) == is_held


def test_each_of_several_automatic_replies_is_one(storage: StorageFixture) -> None:
    storage.let_in(says("opening hours?"), an_echo(0.5, "From nine to six.", mid="m_1"))
    storage.let_in(says("and parking?", at=20.0), an_echo(20.5, "Behind the house.", mid="m_2"))

    assert holder(storage) is None
    assert storage.value("select count(*) from inbox where reason = 'automatic'") == 2


def test_how_many_seconds_is_a_setting(storage: StorageFixture) -> None:
    storage.let_in(says())

    storage.let_in(an_echo(5.0), automatic_s=20.0)

    assert holder(storage) is None


def test_a_colleague_who_writes_first_is_one(storage: StorageFixture) -> None:
    storage.let_in(an_echo(0.0, "Your lamp has come."))
    storage.let_in(says(at=30.0))

    assert holder(storage) == "the platform's inbox"
    assert storage.claim() is None


def test_a_colleague_who_answers_after_the_greeting_holds_the_bot_and_has_answered(storage: StorageFixture) -> None:
    storage.let_in(says(), an_echo(1.0), an_echo(40.0, "Yes, until six.", mid="m_10"))

    assert holder(storage) == "the platform's inbox"
    assert storage.rows("select asked, answer from turns") == [("are you open?", "Yes, until six.")]


def test_a_greeting_does_not_prolong_what_a_colleague_holds(storage: StorageFixture) -> None:
    storage.let_in(an_echo(0.0, "Your lamp has come."), hold_s=600.0)
    before = storage.value("select taken_until from conversations")

    storage.let_in(says(at=30.0), an_echo(31.0, mid="m_10"), hold_s=6000.0)

    assert storage.value("select taken_until from conversations") == before


@pytest.mark.parametrize("opened", [EventKind.SYSTEM, EventKind.STANDBY])
def test_a_greeting_to_somebody_who_opens_the_chat_is_no_colleague(storage: StorageFixture, opened: EventKind) -> None:
    event = InboundEvent(kind=opened, event_key="o1", identities=(ADA,), content_type="postback", supported=False, occurred_at=T0)

    storage.let_in(event, an_echo(1.0))

    assert holder(storage) is None


def test_a_greeting_whose_message_comes_later_lets_the_bot_go(storage: StorageFixture) -> None:
    storage.let_in(an_echo(1.0))
    held = holder(storage)

    storage.let_in(says())

    assert (held, holder(storage)) == ("the platform's inbox", None)
    assert storage.value("select reason from inbox where kind = 'echo'") == "automatic"
    assert [message.text for message in storage.claimed().messages] == ["are you open?"]


def test_a_colleague_beside_such_a_greeting_still_holds_the_bot(storage: StorageFixture) -> None:
    storage.let_in(an_echo(-300.0, "Your lamp has come.", mid="m_8"), an_echo(1.0))

    storage.let_in(says())

    assert holder(storage) == "the platform's inbox"


def test_the_same_words_to_many_are_no_colleague(storage: StorageFixture) -> None:
    storage.let_in(*(says(by=who, at=-900.0) for who in (ADA, BOB, CY)))
    spelled = ["We are closed on Monday.", "We  are closed\non Monday. ", "we are CLOSED on Monday."]

    for who, words in zip((ADA, BOB, CY), spelled, strict=True):
        storage.let_in(an_echo(0.0, words, to=who, mid=f"m_{who.value}"))

    assert [holder(storage, who) is not None for who in (ADA, BOB, CY)] == [True, True, False]


@pytest.mark.parametrize(
    "sent",
    [
        [(BOB, "We are closed on Monday.", 0), (BOB, "We are closed on Monday.", 0)],
        [(BOB, "We are closed on Monday.", 0), (CY, "We are closed on Tuesday.", 0)],
        [(BOB, "We are closed on Monday.", 90_000), (CY, "We are closed on Monday.", 90_000)],
    ],
)
def test_words_to_few_other_words_or_long_ago_are_a_colleagues(storage: StorageFixture, sent: list[tuple[Identity, str, int]]) -> None:
    for n, (who, words, age_s) in enumerate(sent):
        storage.let_in(an_echo(0.0, words, to=who, mid=f"m_{n}"))
        storage.do("update inbox set received_at = received_at - make_interval(secs => %s) where event_key = %s", age_s, f"echo:m_{n}")

    storage.let_in(an_echo(0.0, "We are closed on Monday.", to=ADA))

    assert holder(storage) == "the platform's inbox"


def test_a_short_word_that_people_use_all_day_is_a_colleagues(storage: StorageFixture) -> None:
    for who in (ADA, BOB, CY, DEE):
        storage.let_in(an_echo(0.0, "You're in!", to=who, mid=f"m_{who.value}"))

    assert holder(storage, DEE) == "the platform's inbox"


def test_words_of_another_account_do_not_count(storage: StorageFixture) -> None:
    for who in (BOB, CY):
        storage.let_in(an_echo(0.0, "We are closed on Monday.", to=who, mid=f"m_{who.value}"))
    with unit(storage.web) as connection:
        ours = storage.account
        other = accounts.add(
            connection,
            storage.keyring,
            tenant=ours.tenant_id,
            bot=ours.bot_id,
            channel=ours.channel,
            name="other",
            external_id="8",
            app_secret="second",
            access_token="token",
        )

    replace(storage, account=other).let_in(an_echo(0.0, "We are closed on Monday."))

    assert holder(storage) == "the platform's inbox"


# What a colleague changes


def test_a_colleague_who_corrects_an_answer_changes_what_the_history_says(storage: StorageFixture) -> None:
    storage.let_in(says(), an_echo(60.0, "Until six."))

    storage.let_in(
        InboundEvent(kind=EventKind.EDIT, event_key="echo:e1", identities=(ADA,), text="Until nine.", target="m_9", supported=False)
    )

    assert storage.rows("select asked, answer, in_history from turns") == [("are you open?", "Until nine.", True)]
    assert storage.rows("select kind, text from inbox where text is not null order by arrival") == [
        ("message", "are you open?"),
        ("echo", "Until nine."),
    ]


@pytest.mark.parametrize("target", ["m_9", "echo:m_9"])
def test_what_a_colleague_takes_back_leaves_the_history(storage: StorageFixture, target: str) -> None:
    storage.let_in(says(), an_echo(60.0, "Your code is 7714."))

    storage.let_in(InboundEvent(kind=EventKind.REVOKE, event_key="echo:r1", identities=(ADA,), target=target, supported=False))

    assert storage.rows("select asked, answer from turns") == [("are you open?", None)]
    assert storage.value("select count(*) from inbox where text like '%%7714%%'") == 0


@pytest.mark.parametrize(
    ("kind", "parts", "answer"),
    [(EventKind.REVOKE, 1, None), (EventKind.REVOKE, 2, None), (EventKind.EDIT, 1, "Until nine."), (EventKind.EDIT, 2, "Until six.")],
)
def test_what_a_colleague_does_to_an_answer_of_the_bot_changes_the_history(
    storage: StorageFixture, kind: EventKind, parts: int, answer: str | None
) -> None:
    storage.let_in(says())
    storage.end(storage.answered(answer="Until six.", parts=["Until six."] * parts), external_id="m_5")
    text = "Until nine." if kind is EventKind.EDIT else None

    storage.let_in(InboundEvent(kind=kind, event_key="echo:c1", identities=(BOB,), text=text, target="m_5", supported=False))
    storage.let_in(InboundEvent(kind=kind, event_key="c2", identities=(ADA,), text=text, target="m_5", supported=False))
    before = storage.value("select answer from turns")
    storage.let_in(InboundEvent(kind=kind, event_key="echo:c3", identities=(ADA,), text=text, target="m_5", supported=False))

    assert (before, storage.value("select answer from turns")) == ("Until six.", answer)


@pytest.mark.parametrize(("key", "target"), [("revoke:1", "m_9"), ("echo:r1", "w1")])
def test_neither_side_changes_what_the_other_wrote(storage: StorageFixture, key: str, target: str) -> None:
    storage.let_in(says(key="w1"), an_echo(60.0, "Until six."))

    storage.let_in(InboundEvent(kind=EventKind.REVOKE, event_key=key, identities=(ADA,), target=target, supported=False))

    assert storage.rows("select asked, answer from turns") == [("are you open?", "Until six.")]
