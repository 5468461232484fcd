"""`chinwag conversation` and `chinwag attention` against a running service: the same functions as the pages."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.support import build, forked
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("commands"))) as running:
        running.settles = False
        running.model.script(echo=True)
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running


def _run(stack: Stack, *arguments: str, said: str | None = None) -> tuple[int, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("CHINWAG_")} | stack.env
    return forked.said("chinwag", *arguments, env=env, stdin=said or "")


def test_a_conversation_is_found_taken_answered_and_given_back(served: Stack) -> None:
    person = build.a_person("Cleo")
    served.say(person, "Hello from Cleo")
    served.wait_settled()
    status, printed = _run(served, "conversation", "list", "--search", "cleo", "--json")
    head = json.loads(printed)
    conversation = head["id"]
    assert (status, head["contact"], head["state"]) == (0, "Cleo", "answered")

    assert _run(served, "conversation", "answer", conversation, "too early") == (2, "Take the conversation over first.\n")
    assert _run(served, "conversation", "take", conversation, "--by", "ana")[0] == 0
    assert "taken over by ana" in _run(served, "conversation", "list", "--only", "taken")[1]
    status, _ = _run(served, "conversation", "answer", conversation, "-", "--by", "ana", said="From the command line.")
    assert status == 0
    until(lambda: "ana (read): From the command line." in _run(served, "conversation", "show", conversation)[1], what="it was read")
    assert _run(served, "conversation", "give-back", conversation)[0] == 0
    assert _run(served, "conversation", "show", str(uuid4())) == (2, "There is no such conversation.\n")


def test_what_wants_attention_is_listed_and_settled(served: Stack) -> None:
    assert _run(served, "attention", "list", "--kind", "turn") == (0, "Nothing needs attention.\n")
    served.post(b"this is no JSON")
    with served.owner.connect() as connection:
        envelope = connection.execute(text("select id from envelopes where state = 'quarantined'")).scalar_one()

    listed = _run(served, "attention", "list")[1]
    assert f"envelope {envelope}" in listed
    assert "replay, dismiss" in listed
    status, printed = _run(served, "attention", "replay", str(envelope))
    assert (status, "Still not understood" in printed) == (2, True)
    assert _run(served, "attention", "dismiss", str(envelope), "--kind", "envelope") == (0, "Done.\n")
    assert _run(served, "attention", "list") == (0, "Nothing needs attention.\n")
