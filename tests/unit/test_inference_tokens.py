"""The estimate errs on the safe side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.tokens import TokenCounter, estimate
from inference.types import Endpoint


@pytest.mark.parametrize(
    ("text", "true_count"),
    # As SmolLM2's tokenizer counts them: a small English vocabulary, so the worst for everything else.
    [
        ("hello world, how are you today?", 8),
        ("Olá, meu nome é João e moro no Porto; gosto de café!", 23),
        ("Привет, как дела? Меня зовут Иван", 25),
        ("今日はいい天気ですね", 18),
        ("नमस्ते दुनिया", 13),
        ("😀👍🏽 ok", 10),
        ("https://example.org/a?b=c&d=19283", 19),
        ("def f(x):\n    return x**2\n", 11),
    ],
)
def test_the_estimate_is_not_below_a_real_count(text: str, true_count: int) -> None:
    assert true_count <= estimate(text) <= 3 * true_count + 3


@given(st.text())
def test_any_text_has_an_estimate_within_its_bytes(text: str) -> None:
    raw = text.encode("utf-8", "replace")

    assert 0 <= estimate(text) <= 2 * len(raw)


def test_what_the_server_counted_elsewhere_is_kept_without_asking() -> None:
    counter = TokenCounter(Endpoint(name="x", url="http://127.0.0.1:9/v1", model="m"), cache_size=2)
    for text, tokens in (("one", 11), ("two", 22), ("three", 33)):
        counter.remember(text, tokens)

    assert (counter.count("three"), counter.count("two"), counter.count("")) == (33, 22, 0)


def test_texts_that_surely_fit_are_not_asked_about() -> None:
    counter = TokenCounter(Endpoint(name="x", url="http://127.0.0.1:9/v1", model="m"))

    assert counter.fits(["hello", "world"], 10)
