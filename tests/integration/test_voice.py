"""The whole way of a voice message: from the platform's media servers to whatever hears it, into the talk, the memory and the page."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bots.domain import ChannelKind, Role
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.ears import Ears, listening
from tests.support.operators import SignedIn
from tests.support.processes import until
from tests.support.stack import WINDOWS, Stack

#: The first bytes of an Ogg file; nobody in this test decodes the rest.
_OGG = b"OggS\x00\x02" + bytes(64)


class Deaf(Stack):
    ears: Ears


@pytest.fixture(scope="module")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deaf]:
    with listening() as ears:
        quick = {
            "CHINWAG_HEARING_URL": ears.url,
            "CHINWAG_HEARING_TAKES_HINTS": "1",
            "CHINWAG_HEARING_PATIENCE_S": "3",
            "CHINWAG_DEBOUNCE_S": "0.05",
        }
        quick |= {"CHINWAG_ASK_AGAIN_S": "0.5"}
        with Deaf(cluster, tmp_path_factory.mktemp("voice"), settings=WINDOWS | quick) as running:
            running.ears = ears
            for channel in (ChannelKind.MESSENGER, ChannelKind.INSTAGRAM):
                running.add_page(channel, channel.value)
            running.start_web()
            running.start_dispatcher()
            running.start_worker()
            yield running
            running.wait_settled()
            running.check()


class Speaker:
    """One person who speaks."""

    def __init__(self, stack: Deaf, channel: ChannelKind = ChannelKind.WHATSAPP) -> None:
        self.stack, self.channel = stack, channel
        self.number = build.a_person().number if channel is ChannelKind.WHATSAPP else f"60011122{build.a_person().number[-7:]}"
        self._seen = max((entry["n"] for entry in stack.model.log()), default=0)

    def will_be_heard(self, mark: str, text: str, status: int = 200, **more: Any) -> bytes:
        """A recording, and what is heard in it."""
        found: Any = {"text": text, "language": "en", "language_probability": 0.98, "certainty": 0.9, "duration": 3.2} | more
        self.stack.ears.answers[mark.encode()] = (status, found if status == 200 else {"error": more})
        return _OGG + mark.encode()

    def speak(self, *recordings: bytes, kind: str = "voice", **more: Any) -> str:
        given = [{"data": base64.b64encode(one).decode(), "media_type": "audio/ogg; codecs=opus", "kind": kind} for one in recordings]
        account = "test" if self.channel is ChannelKind.WHATSAPP else self.channel.value
        who = {"from": self.number, "pictures": given} | more
        answer = self.stack.platform.person_writes(account=account, channel=self.channel.value, **who)
        assert answer["http_status"] == 200
        self.stack.accepted.add(answer["message_id"])
        return answer["message_id"]

    def write(self, text: str) -> str:
        account = "test" if self.channel is ChannelKind.WHATSAPP else self.channel.value
        who = {"from": self.number, "text": text}
        answer = self.stack.platform.person_writes(account=account, channel=self.channel.value, **who)
        self.stack.accepted.add(answer["message_id"])
        return answer["message_id"]

    def turn(self, message: str) -> dict[str, Any]:
        ended = "select t.*, i.text, i.conversation_id from turns t join inbox i on i.turn_id = t.id where i.event_key = :key and t.state <> 'open'"
        until(lambda: self.stack.rows(ended, key=message), what="the turn's end", timeout_s=20)
        return self.stack.rows(ended, key=message)[0]

    def got(self, message: str) -> list[str]:
        turn = self.turn(message)
        return [str(row["body"]) for row in self.stack.rows("select body from outbox where turn_id = :turn order by part", turn=turn["id"])]

    def prompt(self) -> str:
        return [entry["messages"] for entry in self.stack.model.log() if entry["n"] > self._seen][-1][-1]["content"]


@pytest.mark.parametrize("channel", [ChannelKind.WHATSAPP, ChannelKind.MESSENGER, ChannelKind.INSTAGRAM])
def test_what_was_said_aloud_is_answered_like_what_is_written(service: Deaf, channel: ChannelKind) -> None:
    speaker = Speaker(service, channel)
    message = speaker.speak(speaker.will_be_heard(f"hours-{channel}", "When do you open on Monday?"))

    assert len(speaker.got(message)) == 1
    assert speaker.prompt() == "When do you open on Monday?"
    assert speaker.turn(message)["text"] == "When do you open on Monday?"


def test_what_was_said_aloud_is_remembered_and_obeyed(service: Deaf) -> None:
    speaker = Speaker(service)
    told = speaker.speak(speaker.will_be_heard("peanuts", "Hi, I am allergic to peanuts."))
    speaker.turn(told)
    listed = speaker.got(speaker.speak(speaker.will_be_heard("list", "What do you know about me?")))

    assert (
        service.one(
            "select count(*) from memories m join inbox i on i.id = m.source_inbox_id where i.event_key = :key and m.text = 'peanuts'",
            key=told,
        )
        == 1
    )
    assert "peanuts" in listed[0]


def test_the_language_that_a_person_writes_in_is_the_hint(service: Deaf) -> None:
    speaker = Speaker(service)
    speaker.turn(speaker.write("Guten Tag, wann haben Sie am Montag geöffnet?"))
    speaker.turn(speaker.speak(speaker.will_be_heard("ja", "Ja, gerne.", language="de")))

    assert service.ears.asked[-1]["language_hint"] == "de"
    assert service.ears.asked[-1]["model"] == "whisper-base"


def test_nothing_that_can_be_heard_is_said_and_hurts_no_later_turn(service: Deaf) -> None:
    speaker = Speaker(service)
    silent = speaker.got(speaker.speak(speaker.will_be_heard("silence", "")))
    broken = speaker.got(speaker.speak(speaker.will_be_heard("broken", "", 400, code="unreadable")))
    long = speaker.got(speaker.speak(speaker.will_be_heard("long", "", 400, code="too_long")))
    after = speaker.got(speaker.speak(speaker.will_be_heard("after", "And now?")))

    assert silent == broken == ["I could not hear any words in your voice message. Could you say it again, or write it?"]
    assert long == ["Your voice message is longer than ten minutes, which is the most that I can hear. Could you send shorter ones?"]
    assert speaker.prompt() == "And now?"
    assert len(after) == 1
    reasons = service.rows(
        "select m.reason, m.data is not null as is_here from media m join contact_identities x using (contact_id) where x.value = :v order by m.created_at",
        v=speaker.number,
    )
    assert [row["reason"] for row in reasons] == ["no_words", "unreadable", "too_long", None]
    assert all(row["is_here"] for row in reasons)


def test_a_server_that_is_away_is_waited_for(service: Deaf) -> None:
    speaker = Speaker(service)
    recording = speaker.will_be_heard("away", "", 503, code="busy")
    message = speaker.speak(recording)
    asked = "select t.reason from turns t join inbox i on i.turn_id = t.id where i.event_key = :key"
    until(lambda: [row["reason"] for row in service.rows(asked, key=message)] == ["voice_unavailable"], what="the turn waits")
    speaker.will_be_heard("away", "Better late than never.")

    assert speaker.turn(message)["text"] == "Better late than never."
    assert speaker.prompt() == "Better late than never."


def test_one_that_stays_away_is_said_to_the_person(service: Deaf) -> None:
    speaker = Speaker(service)
    message = speaker.speak(speaker.will_be_heard("gone", "", 503, code="busy"))

    assert speaker.got(message) == ["I could not hear any words in your voice message. Could you say it again, or write it?"]


def test_a_conversations_page_plays_it_and_says_how_sure_it_is(service: Deaf) -> None:
    speaker = Speaker(service)
    turn = speaker.turn(speaker.speak(speaker.will_be_heard("page", "Two loaves, please.")))
    with SignedIn(service, Role.VIEWER) as signed_in:
        page = signed_in.get(f"/admin/conversations/{turn['conversation_id']}").text
        (source,) = re.findall(r'<audio controls preload="none" src="([^"]+)"', page)
        played = signed_in.get(source)

    assert "[heard, 3.2 s, language en (98 % certain), words 90 % certain]" in page
    assert "Two loaves, please." in page
    assert (played.headers["content-type"], played.content) == ("audio/ogg", _OGG + b"page")


def test_later_turns_repeat_what_was_said(service: Deaf) -> None:
    speaker = Speaker(service)
    speaker.turn(speaker.speak(speaker.will_be_heard("first", "I would like the oak desk.")))
    speaker.turn(speaker.write("How wide is it?"))

    prompt = [entry["messages"] for entry in service.model.log()][-1]
    assert [one["content"] for one in prompt if one["role"] == "user"][-2:] == ["I would like the oak desk.", "How wide is it?"]


def test_two_recordings_at_once_are_one_turn(service: Deaf) -> None:
    speaker = Speaker(service, ChannelKind.MESSENGER)
    message = speaker.speak(speaker.will_be_heard("one-a", "First this."), speaker.will_be_heard("two-b", "Then that."))

    assert speaker.turn(message)["text"] == "First this.\nThen that."
    assert speaker.prompt() == "First this.\nThen that."
