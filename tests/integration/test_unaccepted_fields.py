"""An endpoint that nobody measured: what its server refuses is left out of a call, and of those after it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from inference.client import Breaker, ModelClient
from inference.errors import ModelRefused
from inference.types import Endpoint, Message, Timeouts
from tests.support.odd_server import Told, complaint, odd_server

_TALK = [Message(role="system", content="Be kind."), Message(role="user", content="Hi.")]


def _client(url: str) -> ModelClient:
    return ModelClient(Endpoint(name="x", url=url, model="m"), timeouts=Timeouts(first_token_s=5, total_s=5), breaker=Breaker(failures=1))


def _refuses(*fields: str) -> Any:
    def chat(body: dict[str, Any]) -> Told | None:
        refused = [field for field in fields if field in body]
        return complaint(f"Unsupported parameter: '{refused[0]}' is not supported with this model.", param=refused[0]) if refused else None

    return chat


@pytest.mark.parametrize(
    ("fields", "asked"),
    [((), 1), (("stream_options",), 2), (("max_tokens", "temperature"), 3), (("max_tokens", "top_p", "stream_options"), 4)],
)
def test_a_call_is_made_without_what_is_refused_and_later_ones_at_once(fields: tuple[str, ...], asked: int) -> None:
    seen: list[dict[str, Any]] = []
    with odd_server(chat=_refuses(*fields), asked=seen) as url:
        client = _client(url)
        first = client.chat(_TALK, max_tokens=20)
        after_first = len(seen)
        second = client.chat(_TALK, max_tokens=20)

    assert (first.text, second.text, after_first, len(seen)) == ("OK", "OK", asked, asked + 1)
    assert seen[-1]["max_completion_tokens" if "max_tokens" in fields else "max_tokens"] == 20
    assert [field for field in fields if field in seen[-1]] == []


def test_a_template_without_a_system_role_gets_the_persona_in_the_first_message() -> None:
    seen: list[dict[str, Any]] = []

    def chat(body: dict[str, Any]) -> Told | None:
        return complaint("System role not supported", status=500) if body["messages"][0]["role"] == "system" else None

    with odd_server(chat=chat, asked=seen) as url:
        client = _client(url)
        answers = [client.chat(_TALK, max_tokens=20).text for _ in range(2)]

    assert (answers, len(seen)) == (["OK", "OK"], 3)
    assert [message["role"] for message in seen[-1]["messages"]] == ["user"]
    assert "Be kind." in seen[-1]["messages"][0]["content"]


def test_a_field_that_is_refused_in_vain_is_kept_and_the_refusal_is_told() -> None:
    seen: list[dict[str, Any]] = []
    with odd_server(chat=lambda _: complaint("Unknown parameter: 'stream_options'."), asked=seen) as url:
        client = _client(url)
        for _ in range(2):
            with pytest.raises(ModelRefused):
                client.chat(_TALK, max_tokens=20)

    assert ["stream_options" in body for body in seen] == [True, False, True, False]


def test_an_error_that_nothing_could_be_left_out_for_is_freed_at_once_with_its_connection() -> None:
    with odd_server(chat=lambda _body: complaint("No such model.", status=404)) as url:
        client = _client(url)
        refused = None
        gc.collect()
        gc.disable()
        try:
            try:
                client.chat(_TALK, max_tokens=20)
            except ModelRefused as error:
                refused = weakref.ref(error)
            # Nothing that only a collector of cycles would find, which runs when it likes.
            assert refused is not None
            assert refused() is None
        finally:
            gc.enable()
