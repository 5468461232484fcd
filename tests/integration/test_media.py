"""The whole way of a picture: from the platform's webhook by its media servers to the model, and back as an answer."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from bots.domain import ChannelKind
from tests.support.cluster import Cluster
from tests.support.drawing import a_picture, opened
from tests.support.fakes import Model
from tests.support.processes import until
from tests.support.seats import seat
from tests.support.stack import WINDOWS, Stack

_LOST = "I could not open your picture. Could you send it again, or tell me in words what it shows?"
_numbers = iter(range(10_000, 99_999))


class Studio(Stack):
    """A service with a second model, which can see pictures."""

    eyes: Model


@pytest.fixture(scope="module")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A service whose model can see pictures."""
    quick = {"CHINWAG_MEDIA_PATIENCE_S": "2", "CHINWAG_MEDIA_DEADLINE_S": "1", "CHINWAG_IMAGES_PER_PROMPT": "3"}
    with Studio(cluster, tmp_path_factory.mktemp("pictures"), settings=WINDOWS | quick) as running:
        eyes = Model(running.processes.start("eyes", ["inference.scripted", "--vision", "--model", "eyes"], {}).wait_listening())
        with closing(eyes):
            running.eyes = eyes
            seat(running, "eyes", eyes.url, vision=True)
            for channel in (ChannelKind.MESSENGER, ChannelKind.INSTAGRAM):
                running.add_page(channel, channel.value)
            running.start_web()
            running.start_dispatcher()
            running.start_worker()
            yield running
            running.wait_settled()
            running.check()


class Sitter:
    """One person who shows pictures to an account."""

    def __init__(self, stack: Studio, channel: ChannelKind = ChannelKind.WHATSAPP) -> None:
        self.stack, self.channel, self.number = stack, channel, f"34600{next(_numbers):06d}"
        self.ask(stack.eyes)
        self._log = max((entry["n"] for entry in stack.platform.log()), default=0)

    def ask(self, model: Model) -> None:
        """Look at this model's prompts from now on."""
        self.model, self._seen = model, max((entry["n"] for entry in model.log()), default=0)

    def show(self, *pictures: bytes, words: str | None = None, **more: Any) -> str:
        """Send pictures, and return the message's id."""
        given = {"pictures": [{"data": base64.b64encode(one).decode()} for one in pictures]} if pictures else {}
        given |= more | ({"text": words} if words is not None else {})
        account = "test" if self.channel is ChannelKind.WHATSAPP else self.channel.value
        answer = self.stack.platform.person_writes(account=account, channel=self.channel.value, **{"from": self.number}, **given)
        assert answer["http_status"] == 200
        self.stack.accepted.add(answer["message_id"])
        return answer["message_id"]

    def turn(self, message: str) -> dict[str, Any]:
        """The turn of a message, once it has ended."""
        ended = "select t.* from turns t join inbox i on i.turn_id = t.id where i.event_key = :key and t.state <> 'open'"
        until(lambda: self.stack.rows(ended, key=message), what="the turn's end", timeout_s=20)
        return self.stack.rows(ended, key=message)[0]

    def said(self, message: str) -> list[str]:
        """What answers a message."""
        turn = self.turn(message)
        return [row["body"] for row in self.stack.rows("select body from outbox where turn_id = :turn order by part", turn=turn["id"])]

    def media(self, message: str) -> list[dict[str, Any]]:
        """Its pictures in the database."""
        found = "select m.* from media m join inbox i on i.id = m.inbox_id where i.event_key = :key order by m.n"
        return self.stack.rows(found, key=message)

    def prompts(self) -> list[list[dict[str, Any]]]:
        """What the model was asked since this person came."""
        return [entry["messages"] for entry in self.model.log() if entry["n"] > self._seen]

    def fetches(self) -> list[tuple[str, str]]:
        """What the platform's media servers were asked meanwhile: step and outcome."""
        return [(one["type"], one["outcome"]) for one in self.stack.platform.log(self._log) if one["kind"] == "picture"]


def _parts(message: dict[str, Any]) -> tuple[str, list[bytes]]:
    """A user message's words, and its pictures' bytes."""
    content = message["content"]
    if isinstance(content, str):
        return content, []
    images = [one["image_url"]["url"] for one in content if one["type"] == "image_url"]
    assert all(url.startswith("data:image/jpeg;base64,") for url in images)
    words = "\n".join(one["text"] for one in content if one["type"] == "text")
    return words, [base64.b64decode(url.partition(",")[2]) for url in images]


def test_a_picture_with_words_reaches_the_model_as_an_image_and_is_answered(service: Studio) -> None:
    ada = Sitter(service)

    message = ada.show(a_picture(2000, 1000, colour="blue"), words="What colour is this?")
    said = ada.said(message)
    ((*_, asked),) = ada.prompts()
    words, (image,) = _parts(asked)

    assert said
    assert words == "(picture)\nWhat colour is this?"
    assert opened(image).size == (1344, 672)
    assert opened(image).getpixel((9, 9))[2] > 200
    assert ada.fetches() == [("find", "accepted"), ("fetch", "accepted")]
    (kept,) = ada.media(message)
    assert (kept["state"], kept["width"], kept["height"], bytes(kept["data"]) == image) == ("fetched", 1344, 672, True)


def test_the_record_of_a_call_counts_the_pictures_and_does_not_hold_them(service: Studio) -> None:
    ada = Sitter(service)
    turn = ada.turn(ada.show(a_picture(), words="look"))

    (call,) = service.rows("select prompt from model_calls where turn_id = :turn", turn=turn["id"])

    assert call["prompt"][-1] == {"role": "user", "content": "(picture)\nlook", "images": 1}
    assert "base64" not in json.dumps(call["prompt"])


@pytest.mark.parametrize("channel", [ChannelKind.MESSENGER, ChannelKind.INSTAGRAM])
def test_several_pictures_of_a_page_come_in_order_and_without_a_token(service: Studio, channel: ChannelKind) -> None:
    ben = Sitter(service, channel)

    message = ben.show(a_picture(80, 40, kind="PNG"), a_picture(40, 80, kind="WEBP"), words="Which is wider?")
    ben.turn(message)
    words, images = _parts(ben.prompts()[0][-1])

    assert words == "(picture)\n(picture)\nWhich is wider?"
    assert [opened(one).size for one in images] == [(80, 40), (40, 80)]
    assert ben.fetches() == [("fetch", "accepted")] * 2


def test_a_picture_without_words_is_a_turn_of_its_own(service: Studio) -> None:
    ada = Sitter(service)

    said = ada.said(ada.show(a_picture()))
    words, images = _parts(ada.prompts()[0][-1])

    assert (words, len(images)) == ("(picture, sent without words)", 1)
    # The sentence for what cannot be read is not sent any more.
    assert not any("I can only read text" in part for part in said)


def test_the_next_prompt_repeats_the_picture_where_it_stood_and_fetches_nothing(service: Studio) -> None:
    ada = Sitter(service)
    ada.turn(ada.show(a_picture(colour="green"), words="Remember this."))
    ada.turn(ada.show(words="What was it?"))

    first, second = ada.prompts()

    assert second[: len(first)] == first
    assert len(_parts(second[len(first) - 1])[1]) == 1
    assert _parts(second[-1]) == ("What was it?", [])
    assert ada.fetches() == [("find", "accepted"), ("fetch", "accepted")]


def test_beyond_the_limit_the_oldest_pictures_leave_the_prompt_and_their_marks_stay(service: Studio) -> None:
    ada = Sitter(service)
    for number in range(1, 5):
        ada.turn(ada.show(a_picture(20 * number + 40, 60), words=f"number {number}"))

    _, *shown = [_parts(message) for message in ada.prompts()[-1] if message["role"] == "user"]

    assert [words for words, _ in shown] == [f"(picture)\nnumber {number}" for number in range(1, 5)]
    assert [[opened(one).width for one in images] for _, images in shown] == [[], [80], [100], [120]]


def test_a_server_that_stumbles_is_asked_again_and_the_answer_waits_for_it(service: Studio) -> None:
    ada = Sitter(service)
    service.platform.script("503", kind="picture", type="fetch", account_id=service.account.external_id)

    message = ada.show(a_picture(), words="look")
    ada.turn(message)

    assert ada.fetches() == [("find", "accepted"), ("fetch", "refused"), ("find", "accepted"), ("fetch", "accepted")]
    assert len(ada.prompts()) == 1
    assert len(_parts(ada.prompts()[0][-1])[1]) == 1


def test_a_server_that_stays_away_costs_the_picture_and_not_the_answer(service: Studio) -> None:
    ada = Sitter(service)
    service.platform.script({"fault": "hang", "always": True}, kind="picture", type="fetch", account_id=service.account.external_id)
    try:
        message = ada.show(a_picture(), words="look")
        ada.turn(message)
    finally:
        service.platform.unscript()

    assert _parts(ada.prompts()[0][-1]) == ("(a picture that could not be loaded)\nlook", [])
    assert [(one["state"], one["reason"]) for one in ada.media(message)] == [("refused", "unreachable")]


def test_a_platform_that_says_no_address_holds_the_answer_for_the_pictures_time_alone(service: Studio) -> None:
    ada = Sitter(service)
    service.platform.script({"fault": "hang", "always": True}, kind="picture", type="find", account_id=service.account.external_id)
    try:
        ada.show(a_picture())
        ada.show(a_picture(50, 50))
        message = ada.show(a_picture(60, 60), words="look")
        turn = ada.turn(message)
        asked = ada.fetches()
    finally:
        service.platform.unscript()

    assert _parts(ada.prompts()[0][-1]) == ("\n".join(["(a picture that could not be loaded)"] * 3) + "\nlook", [])
    assert [one["reason"] for one in ada.media(message)] == ["unreachable"]
    assert 0 < len(asked) <= turn["token"], "each time that it was claimed, the first took the time of all three"


def test_a_file_that_is_no_picture_is_answered_politely_and_no_model_is_asked(service: Studio) -> None:
    ada = Sitter(service)

    message = ada.show(b"%PDF-1.7 no picture at all")

    assert ada.said(message) == [_LOST]
    assert ada.turn(message)["reason"] == "picture_lost"
    assert ada.prompts() == []
    assert [(one["state"], one["reason"]) for one in ada.media(message)] == [("refused", "not_a_picture")]


def test_an_address_that_is_over_is_asked_for_anew_once(service: Studio) -> None:
    ada = Sitter(service)
    gone = {"fault": "100", "http_status": 404, "times": 1}
    service.platform.script(gone, kind="picture", type="fetch", account_id=service.account.external_id)

    ada.turn(ada.show(a_picture(), words="look"))

    assert ada.fetches() == [("find", "accepted"), ("fetch", "refused"), ("find", "accepted"), ("fetch", "accepted")]
    assert len(_parts(ada.prompts()[0][-1])[1]) == 1


class Listener:
    """A server in our own network, which nobody may be led to."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.connections = self._socket.getsockname()[1], 0
        self._thread = threading.Thread(target=self._count)
        self._thread.start()

    def _count(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                connection.close()
                self.connections += 1

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "2130706433:{port}", "[::ffff:127.0.0.1]:{port}", "0:{port}"])
def test_a_hostile_address_in_a_webhook_is_never_contacted(service: Studio, host: str) -> None:
    eve = Sitter(service, ChannelKind.MESSENGER)
    with closing(Listener()) as inside:
        url = f"http://{host.format(port=inside.port)}/latest/meta-data"
        message = eve.show(attachments=[{"type": "image", "payload": {"url": url}}])
        said = eve.said(message)

        assert inside.connections == 0
    assert said == [_LOST]
    assert [(one["state"], one["reason"]) for one in eve.media(message)] == [("refused", "forbidden_address")]


@pytest.mark.parametrize("url", ["https://xn--/p.jpg", "https://xn--a.fbcdn.net/p", "https://[v1.a]/p"])
def test_an_address_that_no_name_has_costs_the_picture_and_not_the_answer(service: Studio, url: str) -> None:
    eve = Sitter(service, ChannelKind.MESSENGER)
    message = eve.show(words="what is this?", attachments=[{"type": "image", "payload": {"url": url}}])

    assert eve.turn(message)["state"] == "answered"
    assert _parts(eve.prompts()[0][-1])[0] == "(a picture that could not be loaded)\nwhat is this?"
    assert [(one["state"], one["reason"]) for one in eve.media(message)] == [("refused", "forbidden_address")]


def test_a_redirect_of_the_platform_into_the_house_is_not_followed(service: Studio) -> None:
    eve = Sitter(service)
    with closing(Listener()) as inside:
        fault = {"fault": "redirect", "location": f"http://127.0.0.1:{inside.port}/"}
        service.platform.script(fault, kind="picture", type="fetch", account_id=service.account.external_id)
        message = eve.show(a_picture())
        said = eve.said(message)

        assert inside.connections == 0
    assert said == [_LOST]
    assert eve.media(message)[0]["reason"] == "forbidden_address"


def _change_to(ada: Sitter, name: str, model: Model, *, vision: bool) -> None:
    """Let another model answer, and wait until the worker has read its profiles again."""
    seat(ada.stack, name, model.url, vision=vision)
    ada.ask(model)
    until(lambda: ada.turn(ada.show(words="hello")) and ada.prompts(), what=f"{name} answers", timeout_s=20)


def test_a_model_without_eyes_is_told_that_there_was_a_picture(service: Studio) -> None:
    ada = Sitter(service)
    _change_to(ada, "blind", service.model, vision=False)
    try:
        ada.turn(ada.show(a_picture(), words="What is this?"))
        words, images = _parts(ada.prompts()[-1][-1])
    finally:
        _change_to(ada, "eyes", service.eyes, vision=True)

    assert images == []
    assert "a picture that you cannot see" in words
    assert words.endswith("(picture)\nWhat is this?")
