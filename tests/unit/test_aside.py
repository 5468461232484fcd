"""What stands right before a new message: the time where a talk goes on after a pause, facts, and earlier turns as quoted data."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from bots.storage.claims import PastTurn
from bots.storage.turns import NewFact
from workers.turn import aside, prompt
from workers.turn.aside import Aside

_ZONE = ZoneInfo("Europe/Lisbon")
_NOW = datetime(2026, 11, 30, 17, 56, tzinfo=_ZONE)
_PERSONA = (
    "You are the assistant of a small clinic in Porto. Answer briefly, in the language of the person, and never invent a time or a price. "
    * 3
)


def _count(text: str) -> int:
    return len(text) // 3 + 1


@dataclass(frozen=True)
class Earlier:
    asked: str = "My knee hurts"
    answer: str = "Since when?"
    said_at: datetime = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    signals: tuple[str, ...] = ("words",)
    turn: UUID = field(default_factory=uuid4)


def a_prompt(history: list[PastTurn], text: str, now: datetime = _NOW, **more: object) -> prompt.Prompt:
    return prompt.build(persona=_PERSONA, memories=(), history=history, texts=[text], budget=10_000, count=_count, now=now, **more)  # type: ignore[arg-type] - some of its arguments


def test_a_talk_begins_with_the_day_and_the_time_and_small_talk_has_nothing_else_beside_it() -> None:
    built = a_prompt([], "Hello!")

    assert [(message.role, message.content) for message in built.messages[1:]] == [
        ("user", "What day and what time is it?"),
        ("assistant", "It is Monday, 30 November 2026, 17:56 (Europe/Lisbon)."),
        ("user", "Hello!"),
    ]


def test_the_time_is_told_again_after_a_pause_or_on_another_day_and_not_with_each_message() -> None:
    times = [_NOW, _NOW + timedelta(minutes=3), _NOW + timedelta(minutes=9), _NOW + timedelta(minutes=11), _NOW + timedelta(hours=7)]
    history = [PastTurn(number=n, asked="hm", answer="yes", at=at.astimezone(UTC)) for n, at in enumerate(times, start=1)]
    built = a_prompt(history, "And now?", _NOW + timedelta(hours=7, minutes=5))
    told = [message.content.removesuffix(" (Europe/Lisbon).")[-5:] for message in built.messages[1:]]

    assert " ".join(told) == "it is? 17:56 hm yes hm yes hm yes it is? 18:07 hm yes it is? 00:56 hm yes now?".replace(
        "it is?", "s it?"
    ).replace("now?", " now?")
    assert built.messages[-4].content.startswith("It is Tuesday, 1 December 2026, 00:56")


def test_facts_and_earlier_turns_are_told_by_the_assistant_right_before_the_message() -> None:
    facts = [NewFact(kind="allergy", text="peanuts", source=uuid4())]
    built = a_prompt(
        [PastTurn(number=1, asked="Hi", answer="Hello!", at=_NOW)], "Can I eat this?", aside=Aside(facts=facts, recalled=[Earlier()])
    )

    assert [(message.role, message.content) for message in built.messages[5:]] == [
        ("user", "What did we say before that matters here?"),
        ("assistant", 'On 2 March 2026 you wrote "My knee hurts", and I answered "Since when?".'),
        ("user", "What have I told you about myself?"),
        ("assistant", 'You told me about yourself: You are allergic to "peanuts" and must not have anything with it.'),
        ("user", "What am I allergic to?"),
        ("assistant", 'You are allergic to "peanuts" and must not have anything with it.'),
        ("user", "Can I eat this?"),
    ]


def test_earlier_turns_are_told_in_the_order_of_their_days_in_the_contacts_zone() -> None:
    _, told = aside.exchange(
        Aside(recalled=[Earlier(asked="b", answer=""), Earlier(asked="a", answer="", said_at=datetime(2025, 1, 5, tzinfo=UTC))]),
        language="de",
        zone=ZoneInfo("Asia/Tokyo"),
    )

    assert told.content == 'Am 5. Januar 2025 hast du geschrieben "a". Am 3. März 2026 hast du geschrieben "b".'


@given(st.text(), st.text(), st.sampled_from(["en", "fr", "ar", "tr"]))
def test_no_earlier_turn_can_close_its_quotes_or_open_a_line(asked: str, answer: str, language: str) -> None:
    _, message = aside.exchange(Aside(recalled=[Earlier(asked=asked, answer=answer)]), language=language)
    told = message.content
    strings = re.findall(r'"(?:[^"\\]|\\.)*"', told)

    assert len(strings) == (2 if answer else 1)
    assert "\n" not in told
    assert all(isinstance(json.loads(string), str) for string in strings)
    assert "<|im_" not in told


def test_of_what_was_recalled_the_best_are_told_as_far_as_there_is_room() -> None:
    found = [Earlier(asked=f"{n} " + "word " * 50) for n in range(30)]
    kept = aside.fitting(found, language="en", zone=UTC, count=_count)

    assert 3 <= len(kept) < 30
    assert list(kept) == found[: len(kept)]


def test_an_engine_is_not_asked_for_the_tokens_of_what_fits_in_any_case() -> None:
    found = [Earlier(), Earlier(asked="And the other one?", answer="That one as well, but less.")]

    def nobody(_text: str) -> int:
        raise AssertionError

    assert aside.fitting(found, language="en", zone=UTC, count=nobody) == found


def _shared(first: str, second: str) -> int:
    return next((n for n, (one, other) in enumerate(zip(first, second, strict=False)) if one != other), min(len(first), len(second)))


def test_consecutive_prompts_of_an_ordinary_talk_share_all_that_they_could() -> None:
    """What an engine has in its cache after a turn is that prompt and the answer; the next one shares it up to the new message."""
    history: list[PastTurn] = []
    shared = possible = 0
    before = ""
    for n in range(40):
        # A message every two minutes; with every eighth of them something is told beside it.
        now = _NOW + timedelta(minutes=2 * n)
        beside = Aside(facts=[NewFact(kind="pet", text=f"dog {n}", source=uuid4())]) if n % 8 == 7 else Aside()
        words, answer = f"please tell me more about the cake, {n}", f"It is made of figs, almonds and honey, and it costs thirty, {n}."
        built = a_prompt(history, words, now, aside=beside)
        text = "".join(f"<{message.role}>{message.content}" for message in built.messages)
        if before:
            shared += _shared(before, text)
            possible += len("".join(f"<{message.role}>{message.content}" for message in a_prompt(history, "", now).messages[:-1]))
        before = f"{text}<assistant>{answer}"
        history.append(PastTurn(number=n + 1, asked=words, answer=answer, at=now.astimezone(UTC)))

    assert shared / possible >= 0.95
