"""What a call tells an endpoint beside the prompt: only what its traits name, and everything that they name."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from inference.client import Breaker, ModelClient
from inference.errors import ModelRefused
from inference.prompt_style import UNSEEN_PICTURE, for_endpoint
from inference.scripted.played import IMAGE_TOKENS
from inference.types import Answer, Hints, Image, Message, Timeouts, Traits
from tests.support.model_servers import Scripted, scripted

_HI = (Message(role="system", content="You are Bo."), Message(role="user", content="hi there"))
_LONG = (Message(role="system", content="You are Bo. " * 20), Message(role="user", content="hi there"))
_HINTS = Hints(priority=5, cache_salt="k1", affinity=7)
_PICTURE = Image(media_type="image/png", data=b"\x89PNG...")
_LOOK = (Message(role="user", content="what is it?", images=(_PICTURE, _PICTURE)),)
_OURS = Traits(priority=True, cache_salt=True, vision=True, ranks=4)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    options = ("--flavour", "vllm", "--ranks", "4", "--cache-blocks", "1000", "--policy", "priority", "--vision")
    with scripted(tmp_path_factory.mktemp("model"), *options) as model:
        yield model


@pytest.fixture
def server(running: Scripted) -> Scripted:
    running.reset()
    running.clear_log()
    return running


def _chat(server: Scripted, messages: tuple[Message, ...] = _HI, traits: Traits | None = None, **more: Any) -> Answer:
    return ModelClient(server.endpoint(traits=traits), timeouts=Timeouts(), breaker=Breaker()).chat(messages, max_tokens=64, **more)


def test_a_plain_endpoint_gets_the_same_bytes_as_ever(server: Scripted) -> None:
    _chat(server, hints=_HINTS)
    _chat(server)

    for entry in server.log():
        assert msgspec.json.encode(entry["request"]) == (
            b'{"model":"scripted","max_tokens":64,"temperature":0.3,"top_p":0.9,"stream":true,"stream_options":{"include_usage":true}}'
        )
        assert entry["messages"] == [{"role": "system", "content": "You are Bo."}, {"role": "user", "content": "hi there"}]


def test_an_endpoint_gets_each_field_that_it_understands(server: Scripted) -> None:
    _chat(server, traits=_OURS, hints=_HINTS)
    (entry,) = server.log()

    assert (entry["request"]["priority"], entry["request"]["cache_salt"]) == (5, "k1")


def test_a_model_that_thinks_aloud_gets_room_for_it_beside_the_answer(server: Scripted) -> None:
    _chat(server, traits=Traits(reasoning=True))
    _chat(server)
    thinking, plain = (entry["request"]["max_tokens"] for entry in server.log())

    assert plain == 64
    assert thinking > 10 * plain


def test_what_says_nothing_is_not_sent(server: Scripted) -> None:
    _chat(server, traits=_OURS)

    assert {"priority", "cache_salt"}.isdisjoint(server.log()[0]["request"])


_INTERVAL = Traits(stream_interval=True)


def _pieces(server: Scripted, traits: Traits, *, times: int = 2, watched: bool = False, **more: Any) -> list[int | None]:
    """The tokens of a piece that each of several calls in a row wants, of one client whose server writes forty words a second."""
    server.script(answer=" ".join(f"w{n}" for n in range(20)), word_s=0.025)
    client = ModelClient(server.endpoint(traits=traits), timeouts=Timeouts(silence_s=10), breaker=Breaker())
    texts = [client.chat(_HI, max_tokens=64, on_text=(lambda _text: None) if watched else None, **more).text for _ in range(times)]
    assert len(set(texts)) == 1
    return [entry["request"].get("stream_interval") for entry in server.log()]


def test_tokens_come_several_at_once_as_soon_as_the_pace_is_known(server: Scripted) -> None:
    first, *later = _pieces(server, _INTERVAL, times=3)

    assert first is None
    assert all(piece is not None and 10 <= piece <= 20 for piece in later)


def test_somebody_who_watches_sees_each_token(server: Scripted) -> None:
    assert _pieces(server, _INTERVAL, watched=True) == [None, None]


@pytest.mark.parametrize("traits", [Traits(), Traits(stream_interval=True, reasoning=True)])
def test_a_server_that_does_not_take_it_or_that_thinks_sends_each_token(server: Scripted, traits: Traits) -> None:
    assert _pieces(server, traits) == [None, None]


def test_a_conversation_goes_to_its_rank_each_time(server: Scripted) -> None:
    for affinity in (0, 1, 2, 3, 7, 7, 2**63 + 1):
        _chat(server, traits=_OURS, hints=Hints(affinity=affinity))

    assert [entry["rank"] for entry in server.log()] == [0, 1, 2, 3, 3, 3, 1]


def test_a_rank_knows_the_prefixes_that_came_to_it_and_no_others(server: Scripted) -> None:
    cached = [_chat(server, _LONG, _OURS, hints=Hints(affinity=rank, cache_salt="ranks")).usage.tokens_cached for rank in (0, 1, 0, 1)]

    assert cached == [0, 0, 48, 48]


def test_nothing_is_shared_between_two_salts(server: Scripted) -> None:
    cached = [
        _chat(server, _LONG, _OURS, hints=Hints(affinity=0, cache_salt=salt)).usage.tokens_cached for salt in ("t1", "t1", "t2", "t1")
    ]

    assert cached == [0, 48, 0, 48]


def test_a_model_with_eyes_gets_pictures_before_the_text(server: Scripted) -> None:
    seen = _chat(server, _LOOK, _OURS)
    *pictures, text = server.log()[0]["messages"][0]["content"]

    assert text == {"type": "text", "text": "what is it?"}
    assert [part["type"] for part in pictures] == ["image_url", "image_url"]
    for part in pictures:
        head, _, data = part["image_url"]["url"].partition(",")
        assert (head, b64decode(data)) == ("data:image/png;base64", _PICTURE.data)
    assert seen.usage.tokens_in == 1 + 2 * IMAGE_TOKENS + 3


def test_a_picture_without_words_is_sent_alone(server: Scripted) -> None:
    _chat(server, (Message(role="user", content="", images=(_PICTURE,)),), _OURS)

    assert [part["type"] for part in server.log()[0]["messages"][0]["content"]] == ["image_url"]


@pytest.mark.parametrize(
    ("message", "traits"), [(_LOOK[0], Traits()), (Message(role="assistant", content="see", images=(_PICTURE,)), _OURS)]
)
def test_a_picture_that_cannot_be_shown_is_refused_here_and_never_dropped(server: Scripted, message: Message, traits: Traits) -> None:
    with pytest.raises(ModelRefused):
        _chat(server, (message,), traits)

    assert server.log() == []


def test_a_blind_model_is_told_of_the_picture_instead(tmp_path_factory: pytest.TempPathFactory) -> None:
    with scripted(tmp_path_factory.mktemp("blind"), "--flavour", "vllm") as blind:
        with pytest.raises(ModelRefused):
            _chat(blind, _LOOK, Traits(vision=True))

        answer = _chat(blind, tuple(for_endpoint(_LOOK, Traits())))

    assert answer.text == f"You said: {UNSEEN_PICTURE}\n{UNSEEN_PICTURE}\nwhat is it?"


@pytest.mark.parametrize("template", ["gemma", "mistral"])
def test_a_template_that_is_strict_takes_what_was_made_for_it(tmp_path_factory: pytest.TempPathFactory, template: str) -> None:
    talk = (*_HI, Message(role="user", content="and you?"), Message(role="system", content="It is Monday."))
    traits = Traits(system_role=template == "mistral", roles_alternate=True)
    with scripted(tmp_path_factory.mktemp("strict"), "--flavour", "vllm", "--template", template) as strict:
        # What was not measured is learned from the refusals.
        answers = [_chat(strict, talk), _chat(strict, tuple(for_endpoint(talk, traits)))]

    assert all("and you?" in answer.text and "It is Monday." in answer.text for answer in answers)
