"""What a message refers to goes with it into its turn: words of either side of the same contact, and what the platform names beside them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
import pytest

from bots.domain import EventKind, Identity, InboundEvent, MediaReference
from bots.storage.claims import ClaimedMessage
from tests.support.changes import ADA, BOB, an_edit, an_unsend, says, talked
from tests.support.storage_fixture import StorageFixture
from workers.turn.pictures import Pictures
from workers.turn.wording import UNOPENED


def quoted(storage: StorageFixture, target: str, *, by: Identity = ADA) -> str | None:
    storage.let_in(says("this one?", "wq", by=by, quoted=target))
    return storage.claimed().messages[0].quoted


def test_a_reply_has_the_words_of_the_message_that_it_is_to(storage: StorageFixture) -> None:
    talked(storage, says("do you have the oak desk?", "w1"))

    assert quoted(storage, "w1") == "do you have the oak desk?"


def test_a_reply_to_an_answer_has_the_answers_words(storage: StorageFixture) -> None:
    storage.let_in(says("which desks?", "w1"))
    storage.end(storage.answered(parts=["Oak and pine."]), external_id="wamid.OUT")

    assert quoted(storage, "wamid.OUT") == "Oak and pine."


def test_a_reply_to_a_colleague_has_the_colleagues_words(storage: StorageFixture) -> None:
    storage.let_in(InboundEvent(kind=EventKind.ECHO, event_key="echo:m1", identities=(ADA,), text="Come by on Monday.", supported=False))
    storage.do("select give_back(id) from conversations")

    assert quoted(storage, "m1") == "Come by on Monday."


def test_a_reply_to_a_message_of_a_closed_talk_has_its_words(storage: StorageFixture) -> None:
    talked(storage, says("do you have the oak desk?", "w1"), close=True)

    assert quoted(storage, "w1") == "do you have the oak desk?"


def test_a_reply_to_an_edited_message_has_its_new_words(storage: StorageFixture) -> None:
    talked(storage, says("the oak desk", "w1"))
    storage.let_in(an_edit("w1", "the pine shelf"))

    assert quoted(storage, "w1") == "the pine shelf"


def test_a_reply_to_a_picture_says_so(storage: StorageFixture) -> None:
    talked(storage, says("", "w1", content_type="image", media=(MediaReference(kind="image", reference="1"),)))

    assert quoted(storage, "w1") == "(image)"


def test_long_words_are_cut(storage: StorageFixture) -> None:
    talked(storage, says("x" * 4000, "w1"))

    assert quoted(storage, "w1") == "x" * 500


@pytest.mark.parametrize("case", ["unknown", "of somebody else", "taken back"])
def test_a_reply_to_what_may_not_be_shown_has_nothing(storage: StorageFixture, case: str) -> None:
    talked(storage, says("my code is 7714", "w1"))
    if case == "taken back":
        storage.let_in(an_unsend("w1"))

    assert quoted(storage, "w9" if case == "unknown" else "w1", by=BOB if case == "of somebody else" else ADA) is None


def test_what_is_cut_says_so(storage: StorageFixture) -> None:
    lines = tuple((f"n{n}", "x" * 700) for n in range(9))
    storage.let_in(says("how wide?", "w2", refers=lines))

    told = Pictures().words(storage.claimed().messages[0]).splitlines()

    assert told[0] == f'(refers to "n0": "{"x" * 499}…")'
    assert len(told) == 9
    assert told[-2:] == ["(and more, which is not shown)", "how wide?"]


_QUOTES: list[dict[str, Any]] = [
    {},
    {"quoted": "w1"},
    {"quoted": "nothing"},
    {"refers": (("advertisement", 'Oak lamp\n"-20%"'), ("link", "x" * 700))},
    {"refers": tuple((f"n{n}", "\\ \t é 💡") for n in range(10))},
    {"refers": tuple((f"n{n}", "x" * 90 * n) for n in range(24))},
    {"quoted": "w1", "refers": (("product", "sku-3"),)},
]


@pytest.mark.parametrize("more", _QUOTES)
@pytest.mark.parametrize("content_type", ["text", "document"])
def test_later_prompts_tell_a_message_as_its_own_prompt_did(storage: StorageFixture, more: dict[str, Any], content_type: str) -> None:
    talked(storage, says('say "please"\nto <b>me</b>', "w1"))
    storage.let_in(says("how wide?", "w2", content_type=content_type, **more))
    message = storage.claimed().messages[0]

    assert storage.value("select said(inbox) from inbox where event_key = 'w2'") == Pictures().words(message)


@pytest.mark.parametrize("content_type", sorted({*UNOPENED, "text", "image", "sticker", "location", "postback"}))
def test_later_prompts_name_the_same_content_that_cannot_be_opened(storage: StorageFixture, content_type: str) -> None:
    storage.let_in(says("how wide?", "w1", content_type=content_type))

    assert storage.value("select said(inbox) from inbox") == Pictures().words(storage.claimed().messages[0])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"text": "how much?", "quoted": 'the "oak" desk'}, '(in reply to: "the \\"oak\\" desk")\nhow much?'),
        ({"refers": [{"name": "advertisement", "text": "Sheds"}]}, '(refers to "advertisement": "Sheds")\n(sent without words)'),
        ({}, "(sent without words)"),
        ({"text": "valid?", "content_type": "document"}, "(attached, but you cannot open it and need not mention it: document)\nvalid?"),
        ({"text": "look", "content_type": "image"}, "look"),
        (
            {"text": "this?", "refers": [{"name": "story\n(in reply to: x)", "text": "a"}]},
            '(refers to "story\\n(in reply to: x)": "a")\nthis?',
        ),
    ],
)
def test_what_a_message_refers_to_is_data_before_its_words(more: dict[str, Any], words: str) -> None:
    values = {"id": str(uuid4()), "event_key": "k", "content_type": "text", "supported": True, "age_s": 0.0} | more

    assert Pictures().words(msgspec.convert(values, ClaimedMessage)) == words
