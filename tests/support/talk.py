"""One person's talk on WhatsApp: says exactly these words and reads what came back, from the platform's and the model's logs."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support import build
from tests.support.fakes import Model
from tests.support.processes import until
from tests.support.stack import Stack


class Talk:
    """One person's talk with the service, and what the model and the platform saw meanwhile."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.person = stack, build.a_person()
        self._model_seen = max((entry["n"] for entry in stack.model.log()), default=0)

    def say(self, *texts: str) -> str:
        """Say exactly this, in one webhook, and return the last message's id."""
        return self.deliver(*(build.a_text(self.person, text) for text in texts))

    def deliver(self, *messages: dict[str, Any]) -> str:
        """Let the platform deliver messages, and return the last one's id."""
        body = build.a_webhook(messages=messages, people=[self.person])
        until(lambda: self.stack.post(body) == 200, what="the webhook was taken")
        self.stack.accepted |= {message["id"] for message in messages}
        return messages[-1]["id"]

    def turn(self, wamid: str) -> dict[str, Any]:
        """The turn of a message, once it has ended and all its parts have left."""
        ended = "select t.* from turns t join inbox i on i.turn_id = t.id where i.event_key = :key and t.state <> 'open'"
        until(lambda: self.stack.rows(ended, key=wamid), what="the turn's end")
        waiting = "select count(*) from outbox where turn_id = :turn and status in ('queued', 'sending')"
        turn = self.stack.rows(ended, key=wamid)[0]
        until(lambda: self.stack.one(waiting, turn=turn["id"]) == 0, what="the turn's parts were sent")
        return turn

    def got(self, wamid: str) -> list[str]:
        """What the platform accepted as the answer to a message, in its order."""
        turn = self.turn(wamid)
        parts = {str(row["id"]) for row in self.stack.rows("select id from outbox where turn_id = :turn", turn=turn["id"])}
        return [entry["text"] for entry in self.sent() if entry["correlation"] in parts]

    def ask(self, text: str) -> str:
        """Say this, and return the one message that answers it."""
        (answer,) = self.got(self.say(text))
        return answer

    def sent(self) -> list[dict[str, Any]]:
        """All messages that reached this person, in the platform's order."""
        return [
            entry
            for entry in self.stack.platform.log()
            if entry["kind"] == "message" and entry.get("external_id") and str(entry.get("to")).lstrip("+") == self.person.number
        ]

    def prompts(self) -> list[list[dict[str, str]]]:
        """The prompts that the model has received since this talk began; one test talks at a time."""
        return [entry["messages"] for entry in self.stack.model.log() if entry["n"] > self._model_seen]

    def prompt(self) -> list[dict[str, str]]:
        """The newest of them."""
        return self.prompts()[-1]


def heal(model: Model) -> None:
    """Let the model answer normally."""
    httpx.delete(model.url + "/_script", trust_env=False).raise_for_status()
