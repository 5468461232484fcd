"""Plays people who write in pieces (tests/corpus/pieces/people.toml) to a stack, each with their own pauses."""

from __future__ import annotations

import base64
import itertools
import sched
import tomllib
from pathlib import Path
from typing import Any

from tests.support.drawing import a_picture
from tests.support.stack import Stack

_CORPUS = Path(__file__).parents[1] / "corpus" / "pieces"
PEOPLE: list[dict[str, Any]] = tomllib.loads((_CORPUS / "people.toml").read_text("utf-8"))["person"]
LONE: list[str] = tomllib.loads((_CORPUS / "lone.toml").read_text("utf-8"))["messages"]

_numbers = itertools.count(600_000_000)


def play(stack: Stack, people: list[dict[str, Any]]) -> dict[str, str]:
    """Let them all write at the same time, until the last piece was taken; returns their numbers, by what is told about them."""
    timetable, numbers = sched.scheduler(), {str(one["about"]): f"34{next(_numbers)}" for one in people}
    for one in people:
        at = 0.0
        for piece in one["pieces"]:
            at += piece.get("after_s", 0.0)
            timetable.enter(at, 0, _write, (stack, numbers[one["about"]], piece))
    timetable.run()
    return numbers


def _write(stack: Stack, number: str, piece: dict[str, Any]) -> None:
    said = {"text": piece["say"]} if "say" in piece else {"pictures": [{"data": base64.b64encode(a_picture()).decode()}]}
    answer = stack.platform.person_writes(account="test", channel="whatsapp", **{"from": number}, **said)
    assert answer["http_status"] == 200
    stack.accepted.add(answer["message_id"])
