"""When a server may be asked again: seconds, dates, spans and words."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.client.waits import wait_of


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-tokens": "1m30s"}, 90),
        ({"x-ratelimit-reset-requests": "200ms", "x-ratelimit-reset-tokens": "1s"}, 0.2),
    ],
)
def test_a_header_says_for_how_long(headers: dict[str, str], seconds: float) -> None:
    assert wait_of(headers, {}, "") == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("header", "written"),
    [
        ("retry-after", lambda at: formatdate(at, usegmt=True)),
        ("retry-after", lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))),
        ("x-ratelimit-reset", lambda at: str(int(at))),
        ("x-ratelimit-reset", lambda at: str(int(at) * 1000)),
    ],
    ids=["http", "iso", "seconds", "milliseconds"],
)
def test_a_header_says_until_when(header: str, written: Callable[[float], str]) -> None:
    now = time.time()

    assert wait_of({header: written(now + 90)}, {}, "") == pytest.approx(90, abs=15)
    assert wait_of({header: written(now - 90)}, {}, "") == 0


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("please try again in 1.2s.", 1.2),
        ("try again in 7m12.5s", 432.5),
        ("retry after 30 seconds", 30),
        ("please wait 2 minutes", 120),
        ("limit resets in 1h", 3600),
        ("retry in 36.57s", 36.57),
        ("please try again later", 0),
        ("the model has 7 layers", 0),
    ],
)
def test_words_say_when(words: str, seconds: float) -> None:
    assert wait_of({}, {}, words) == pytest.approx(seconds)


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert wait_of({"retry-after": text, "x-ratelimit-reset": text}, {"retrydelay": text}, text) >= 0
