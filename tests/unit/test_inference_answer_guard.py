"""The guard: what is no answer never reaches a person, and what is one is not touched."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.answer_guard import check
from inference.errors import GarbageAnswer
from inference.scripted.script import BAD_TEXTS
from inference.types import Answer, Message, Usage

_PERSONA = "You are Bo, the friendly assistant of a small book shop in Porto. You answer briefly, and you never give away discounts."
_PROMPT = (Message(role="system", content=_PERSONA), Message(role="user", content="hi"))


def _guarded(text: str, finish_reason: str = "stop") -> str:
    answer = Answer(text=text, usage=Usage(), first_token_ms=1, total_ms=2, finish_reason=finish_reason)
    return check(answer, _PROMPT)


@pytest.mark.parametrize("mode", sorted(BAD_TEXTS))
def test_what_the_scripted_model_says_badly_is_rejected(mode: str) -> None:
    with pytest.raises(GarbageAnswer):
        _guarded(BAD_TEXTS[mode], "length" if mode == "loop" else "stop")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "\u200b\u200d\ufeff",
        "...",
        "<|im_end|>",
        "<think>I wonder what",
        "<think>all thought</think>",
        "</s>",
        "<|eot|><|header_start|>user<|header_end|>\n\nhi",
        "<｜end▁of▁sentence｜>",
        "[INST] hi [/INST]",
        "<start_of_turn>user\nhi<end_of_turn>",
        "User: hi\nAssistant: hello",
        "system\nYou are a bot.",
        "### Human: and now?",
        f"Sure! My instructions: {_PERSONA}",
        f"*{_PERSONA.upper()}*",
        _PERSONA.partition(". ")[2],
        "\ufffd" * 40,
        "a" * 40_000,
        "na " * 200,
        "-" * 500,
        "Hello.\n" * 40,
        "I like novels, and so does he. " * 12,
    ],
)
def test_no_answer_at_all_is_rejected(text: str) -> None:
    with pytest.raises(GarbageAnswer):
        _guarded(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Hi\x00 there\x07!", "Hi there!"),
        ("Hi!<|im_end|>\n<|im_start|>user\nmore", "Hi!"),
        ("Hi!<|eot_id|>", "Hi!"),
        ("Hi!<|eot|><|header_start|>assistant<|header_end|>", "Hi!"),
        ("Hi!</s>", "Hi!"),
        ("Hi!<end_of_turn>\n", "Hi!"),
        ("Hi!<turn|>", "Hi!"),
        ("Hi!<｜end▁of▁sentence｜>", "Hi!"),
        ("<|im_start|>assistant\nHi!", "Hi!"),
        ("<|header_start|>assistant<|header_end|>\n\nHi!", "Hi!"),
        ("<start_of_turn>model\nHi!", "Hi!"),
        ("assistant\nHi!", "Hi!"),
        ("Assistant: Hi!", "Hi!"),
        ("<think>Who is it?</think>\n\nHi!", "Hi!"),
        ("Hi!\nUser: and you?\nAssistant: fine", "Hi!"),
        ("Hi!\n\nHuman: and you?", "Hi!"),
        ("Hi!\nuser\nand you?\nassistant\nfine", "Hi!"),
        ("safe \u202egnp.exe", "safe gnp.exe"),
        ("one\r\ntwo", "one\ntwo"),
        ("half \ud800 a pair", "half  a pair"),
    ],
)
def test_what_can_be_cleaned_for_sure_is_cleaned(text: str, wanted: str) -> None:
    assert _guarded(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "👍",
        "42",
        "Não sei, mas o João sabe!",
        "ha ha ha ha ha ha ha ha",
        "AI: what is it? A long story.\nThe assistant of today reads.",
        "Use these:\nUser: admin\nHost: local",
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |",
        "```html\n<s>old</s> <b>new</b>\n```",
        "x |> f and g <| y, if a < b and c > d",
        "\n".join(f"{n}. Book number {n} of the list, by writer {n * 7}" for n in range(1, 40)),
        "今日はいい天気ですね。散歩に行きましょう。",
        "שלום, מה שלומך היום?",
    ],
)
def test_a_good_answer_is_not_touched(text: str) -> None:
    if text.startswith("AI:"):
        assert _guarded(text) == text.removeprefix("AI:").strip()
    else:
        assert _guarded(text) == text


def test_a_long_good_answer_that_ends_in_a_loop_is_rejected_when_the_limit_cut_it() -> None:
    text = " ".join(f"Sentence {n} tells of {n * n} different things." for n in range(30)) + " and so on" * 40

    with pytest.raises(GarbageAnswer, match="repeats"):
        _guarded(text, "length")


def test_it_is_quick_on_the_worst_text() -> None:
    texts = ["ab" * 15_000 + "c", "a" * 31_999, "<" * 31_999, ("x" * 239 + "y") * 130, "\n" * 31_999, "<think>" * 4000, " <s>" * 7999]
    began = time.process_time()
    for text in texts:
        try:
            _guarded(text, "length")
        except GarbageAnswer:
            continue

    assert time.process_time() - began < 5.0


@given(st.text())
def test_any_text_is_returned_clean_or_rejected(text: str) -> None:
    try:
        clean = _guarded(text)
    except GarbageAnswer:
        return

    assert clean.strip() == clean != ""
    assert "\x00" not in clean
    assert "<|im_" not in clean
