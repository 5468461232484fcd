"""When a reaction is an answer, and what a second one or its withdrawal does to that answer."""

from __future__ import annotations

from typing import Any

import pytest

from bots.domain import EventKind, Identity, InboundEvent
from tests.support.changes import ADA, BOB, history, says
from tests.support.storage_fixture import StorageFixture

_QUESTION = "wamid.OUT"


def reacts(emoji: str | None, n: int = 1, *, target: str = _QUESTION, by: Identity = ADA) -> InboundEvent:
    """The n-th reaction of somebody; None takes the one before away."""
    return InboundEvent(
        kind=EventKind.REACTION,
        event_key=f"reaction:{n}",
        identities=(by,),
        text=emoji,
        content_type="reaction",
        target=target,
        supported=False,
    )


def asked(storage: StorageFixture, *parts: str) -> None:
    """The bot has answered the person, with a question unless told otherwise."""
    storage.let_in(says("a table, please", "w1"))
    said = parts or ("Shall I book Friday for you?",)
    sending = storage.answered(parts=said, answer="\n".join(said))
    for n in range(len(said)):
        storage.end(sending, external_id=_QUESTION if n == 0 else f"{_QUESTION}{n}", next_part_s=0.0)
        if n + 1 < len(said):
            following = storage.next_send()
            assert following is not None
            sending = following


def wrote_by_hand(text: str) -> InboundEvent:
    """What the account said without us."""
    return InboundEvent(kind=EventKind.ECHO, event_key="echo:m1", identities=(ADA,), text=text, supported=False)


def stored(storage: StorageFixture, n: int = 1) -> Any:
    """Kind, text and content type of the n-th reaction."""
    return tuple(storage.rows("select kind, text, content_type from inbox where event_key = %s", f"reaction:{n}")[0])


@pytest.mark.parametrize("said", ["Shall I book Friday?", "Friday? 🙂", "¿El viernes?", "الجمعة؟", "金曜日ですか？", "(Is Friday good?)"])
def test_a_reaction_to_a_question_that_came_last_is_an_answer(storage: StorageFixture, said: str) -> None:
    asked(storage, said)
    storage.let_in(reacts("👍"))

    (message,) = storage.claimed().messages
    assert (message.text, message.quoted, message.content_type) == ("👍", said, "reaction")


@pytest.mark.parametrize(
    "case",
    [
        "no question",
        "of somebody else",
        "to one's own words",
        "to an earlier part",
        "taken away",
        "words since",
        "an answer since",
        "a colleague since",
    ],
)
def test_any_other_reaction_is_only_kept(storage: StorageFixture, case: str) -> None:
    if case == "no question":
        asked(storage, "We open at nine.")
    elif case == "to an earlier part":
        asked(storage, "Shall I book Friday?", "Or Monday?")
    else:
        asked(storage)
    if case in ("words since", "an answer since"):
        storage.let_in(says("I am not sure yet", "w2"))
        if case == "an answer since":
            storage.finish(storage.claimed(), parts=["Take your time."])
    elif case == "a colleague since":
        storage.do("update inbox set received_at = received_at - interval '2 minutes'")
        storage.let_in(wrote_by_hand("Friday is full."))
        storage.do("select give_back(id) from conversations")

    target = "w1" if case == "to one's own words" else _QUESTION
    storage.let_in(reacts(None if case == "taken away" else "👍", target=target, by=BOB if case == "of somebody else" else ADA))

    assert stored(storage)[0] == "reaction"
    assert storage.value("select count(*) from inbox where kind = 'message' and content_type = 'reaction'") == 0


def test_the_last_part_of_an_answer_can_be_reacted_to(storage: StorageFixture) -> None:
    asked(storage, "We are open on both days.", "Friday or Monday?")
    storage.let_in(reacts("👍", target=f"{_QUESTION}1"))

    assert stored(storage)[0] == "message"


def test_an_automatic_word_of_the_platform_since_does_not_matter(storage: StorageFixture) -> None:
    asked(storage)
    # A moment after the person's own message, so that it counts as automatic.
    storage.let_in(wrote_by_hand("We got your message."))
    assert storage.value("select reason from inbox where kind = 'echo'") == "automatic"
    storage.let_in(reacts("👍"))

    assert stored(storage)[0] == "message"


def test_a_second_reaction_before_the_answer_takes_the_place_of_the_first(storage: StorageFixture) -> None:
    asked(storage)
    storage.let_in(reacts("👍"))
    storage.let_in(reacts("👎", 2))

    (message,) = storage.claimed().messages
    assert message.text == "👎"
    assert stored(storage, 2)[:2] == ("edit", None)


def test_a_reaction_taken_away_before_the_answer_is_not_answered(storage: StorageFixture) -> None:
    asked(storage)
    storage.let_in(reacts("👍"))
    storage.let_in(reacts(None, 2))

    assert storage.claim() is None
    assert stored(storage) == ("unsent", None, "unsent")


@pytest.mark.parametrize("emoji", ["👎", None])
def test_what_becomes_of_an_answered_reaction_shows_in_later_prompts_and_is_not_answered_again(
    storage: StorageFixture, emoji: str | None
) -> None:
    asked(storage)
    storage.let_in(reacts("👍"))
    claim = storage.claimed()
    storage.finish(claim, asked="👍", answer="Booked.", parts=["Booked."])
    storage.let_in(reacts(emoji, 2))

    assert storage.claim() is None
    told = history(storage)
    assert "👍" not in str(told)
    assert ("👎" in str(told)) is (emoji == "👎")


def test_a_reaction_that_comes_twice_is_one_answer(storage: StorageFixture) -> None:
    asked(storage)
    storage.let_in(reacts("👍"))
    storage.let_in(reacts("👍"))

    assert len(storage.claimed().messages) == 1
    assert storage.value("select count(*) from inbox where event_key = 'reaction:1'") == 1


def test_somebody_elses_reaction_changes_nothing_of_the_first(storage: StorageFixture) -> None:
    asked(storage)
    storage.let_in(reacts("👍"))
    storage.let_in(reacts("👎", 2, by=BOB))

    (message,) = storage.claimed().messages
    assert message.text == "👍"
    assert stored(storage, 2)[:2] == ("reaction", "👎")


def test_a_reaction_to_another_message_changes_nothing_of_the_first(storage: StorageFixture) -> None:
    asked(storage)
    storage.let_in(reacts("👍"))
    storage.let_in(reacts("👎", 2, target="w1"))

    (message,) = storage.claimed().messages
    assert message.text == "👍"
    assert stored(storage, 2)[:2] == ("reaction", "👎")
