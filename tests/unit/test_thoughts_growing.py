"""A page that watches an answer grow sees no thoughts, no half of a mark, and no call of a tool."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.thoughts import FORMS, hiding, learned, without_thoughts
from inference.tool_calls import without_calls
from tests.unit.test_thoughts import SPEECH, THINKING

#: Words of the thoughts and parts of the marks in the tables.
_SECRET = ("ask", "Ask", "think", "THINK", "Think", "one", "two", "hm", "channel", "analysis", "commentary", "assistant", "Times", "notes", "when?", "process",
           "steps", "Is that", "budget", "Preguntan", "用户", "聞", "पूछ", "يسألون", "scratch", "reason", "prefix", "<", "◁", "[", "＜", "&", "summary")  # fmt: skip
_MORE = " Take it: it is much quicker than the bus."
_WATCHED = [
    (text.removesuffix("<|return|>"), stays.removesuffix("<|return|>"), form)
    for text, stays, form in THINKING
    if form
    and not text.startswith(
        (
            "```",
            "Answer: <think> they",
            "<think> is",
            "<think>Hm, the XML",
            "<think>they ask </think> the",
            "<think>They name",
            "<think>They ask.</thinking>",
        )
    )
]


def _seen(text: str, form: str, step: int) -> list[str]:
    seen: list[str] = []
    show = hiding(seen.append, form)
    for end in range(step, len(text) + step, step):
        show(text[:end])
    return seen


@pytest.mark.parametrize("step", [1, 7, 40])
@pytest.mark.parametrize(("text", "stays", "form"), _WATCHED)
def test_nobody_sees_thoughts_grow_whose_form_is_known(text: str, stays: str, form: str, step: int) -> None:
    seen = _seen(text + _MORE, form, step)

    assert [part for part in seen if any(word in part for word in _SECRET)] == []
    assert len(seen[-1].strip()) > len(stays.strip()) - 12


@pytest.mark.parametrize("step", [1, 7, 40])
@pytest.mark.parametrize(("text", "stays", "form"), [row for row in _WATCHED if not row[2].startswith("opened-")])
def test_nobody_sees_thoughts_grow_whose_form_is_not_known(text: str, stays: str, form: str, step: int) -> None:
    seen = _seen(text + _MORE, "", step)

    assert [part for part in seen if any(word in part for word in _SECRET)] == []
    assert len(seen[-1].strip()) > len(stays.strip()) - 12


@pytest.mark.parametrize(
    "text",
    [
        text
        for text in SPEECH
        if len(text) > 40 and "my thought process" not in text and not text.startswith(("## Think", "{", "gpt-oss", "<think> marks"))
    ],
)
def test_a_text_that_speaks_of_marks_grows(text: str) -> None:
    seen = _seen(text, "", 1)

    assert all(text.startswith(part) for part in seen)
    assert len(seen[-1]) > len(text) / 3


def test_an_ordinary_text_grows_by_each_piece() -> None:
    text = "The ferry leaves at seven, and at nine. Take the one at seven: it is quicker."

    assert _seen(text, "", 1) == [text[:end] for end in range(1, len(text) + 1)]
    assert _seen(text, "think", 1) == [text[:end] for end in range(1, len(text) + 1)]


@pytest.mark.parametrize("start", ["a", "an", "ana", "as", "c", "com", "Here is", "T"])
def test_a_text_that_begins_like_thoughts_is_shown_once_it_is_none(start: str) -> None:
    text = start + " ferry"

    assert _seen(text, "", 1)[-1] == text


def test_another_try_begins_anew() -> None:
    seen: list[str] = []
    show = hiding(seen.append, "think")
    show("<think>They ask")
    show("The ferry")
    show("The ferry leaves")

    assert seen == ["The ferry", "The ferry leaves"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('One moment.\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>', "One moment."),
        ('{"name": "ferry_times", "parameters": {"pier": "north"}}', ""),
        ('{"type": "function", "name": "ferry_times", "parameters": {"pier": "north"}}', ""),
        ('<function=ferry_times>{"pier": "north"}</function>', ""),
        ('```tool_code\nprint(ferry_times(pier="north"))\n```', ""),
        ('[ferry_times(pier="north")]', ""),
        ('<|python_tag|>ferry_times.call(pier="north")', ""),
        ('<\uff5ctool\u2581calls\u2581begin\uff5c>ferry_times {"pier": "north"}<\uff5ctool\u2581calls\u2581end\uff5c>', ""),
        ('commentary to=functions.ferry_times json{"pier": "north"}', ""),
        ('<|START_ACTION|>[{"tool_name": "ferry_times", "parameters": {}}]<|END_ACTION|>', ""),
        ('<think>They ask.</think>\n\n<tool_call>{"name": "f"}</tool_call>', ""),
        ('I look.\n```json\n{"name": "f", "parameters": {}}\n```', "I look."),
    ],
)
def test_nobody_sees_a_call_of_a_tool_grow(text: str, shown: str) -> None:
    seen = _seen(text, "", 1)

    assert (seen[-1] if seen else "") == shown
    assert not any(sign in part for part in seen for sign in '<{[`"')


@pytest.mark.parametrize(
    "text",
    ["<think>" + "They ask for times. " * 1500 + "</think>Seven.", "word " * 6000, "a < b and b > c. " * 1800, "<think>x</think>Seven. " * 1200,
     "The `<think>` tag. " * 1500, '{"a": 1}\n' * 3000, "[a](b) " * 4000, "<" * 20_000],
)  # fmt: skip
@pytest.mark.parametrize("form", ["", "think", "opened-think"])
def test_a_long_text_costs_little_however_often_it_grows(text: str, form: str) -> None:
    show = hiding(lambda _: None, form)
    parts = [text[:end] for end in range(4, len(text), 4)]
    began = time.process_time()
    for part in parts:
        show(part)

    assert time.process_time() - began < 2.5


_PIECES = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<thinking>", "[THINK]", "[/THINK]", "<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "assistantfinal", "analysis",
         "<tool_call>", "</tool_call>", '{"name": "f", "arguments": {', "}}", "[f(a=", ")]", "```", "```json\n", "`", '"', "\n", "\n\n", " ", ". ", ": ", "The ferry",
         "they ask", "tag", "和", "<", "[", "{", "&lt;", "Action: f\n", "Action Input:", "<answer>", "</answer>", "|", "- "]
    ),
    max_size=30,
)  # fmt: skip


@given(_PIECES, st.sampled_from(["", *FORMS]), st.integers(1, 9))
def test_any_text_can_grow_and_be_whole(pieces: list[str], form: str, step: int) -> None:
    text = "".join(pieces)
    clean = without_calls(without_thoughts(text, form))
    _seen(text, form, step)

    assert len(clean) <= len(text)
    assert learned(text) in ("", *FORMS)


@given(st.text(st.characters(exclude_characters="<[{`&＜◁✿#*")))
def test_a_text_without_marks_is_not_touched(text: str) -> None:
    assert without_calls(without_thoughts(f"It says: {text}")) == f"It says: {text}"
