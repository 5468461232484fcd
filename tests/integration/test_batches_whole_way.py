"""`chinwag batch` against whole processes: worker, dispatcher, Redis, Postgres and the scripted model."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import build, forked
from tests.support.batches import lines, results, submit
from tests.support.processes import until
from tests.support.stack import Stack


@pytest.fixture
def stack(stack: Stack) -> Stack:
    """A stack that gives a batch 12 of its 16 slots."""
    stack.env["CHINWAG_BATCH_RESERVE"] = "4"
    return stack


def _chinwag(stack: Stack, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("CHINWAG_")} | stack.env
    return forked.run("chinwag", "batch", *arguments, env=env, stdin=stdin or b"")


def _state(stack: Stack) -> Any:
    return stack.one("select state from batches")


@pytest.fixture
def staffed(stack: Stack) -> Stack:
    """A stack whose worker and dispatcher run."""
    stack.start_worker()
    stack.start_dispatcher()
    return stack


def test_a_file_is_answered_and_written_in_its_order(staffed: Stack, tmp_path: Path) -> None:
    file, out = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    file.write_bytes(lines(40))
    found = _chinwag(staffed, "submit", str(file), "--bot", "tester", "--wait", "--out", str(out))
    answers = [json.loads(line) for line in out.read_text().splitlines()]

    assert (found.returncode, found.stderr) == (0, b"")
    assert [answer["text"] for answer in answers] == [f"You said: question {n}" for n in range(1, 41)]
    assert all(answer["usage"]["tokens_in"] > 0 for answer in answers)
    assert [entry["messages"][0] for entry in staffed.model.log()] == [{"role": "system", "content": "You answer briefly."}] * 40
    assert not list(tmp_path.glob(".*part"))


def test_the_shipped_example_is_good_and_has_two_hundred_lines(stack: Stack) -> None:
    found = _chinwag(stack, "submit", "docs/examples/questions.jsonl", "--bot", "tester")

    assert found.returncode == 0
    assert b"200 lines, started" in found.stdout
    assert b"No worker serves the queue batch.default" in found.stderr


def test_a_file_with_bad_lines_is_refused_with_their_numbers(stack: Stack, tmp_path: Path) -> None:
    found = _chinwag(stack, "submit", "-", "--bot", "tester", stdin=lines(2) + b"nothing\n" + lines(1))

    assert found.returncode == 2
    assert found.stderr.decode().splitlines() == [
        "line 3: not JSON: Expecting value at character 1",
        "line 4: custom_id is the same as on line 1",
        "2 lines are invalid. Nothing was started.",
    ]
    assert stack.one("select count(*) from batches") == 0


def test_items_that_fail_are_said_and_asked_again_on_demand(staffed: Stack, tmp_path: Path) -> None:
    staffed.model.script(mode="loop", match="question 2")
    staffed.model.script(mode="error400", match="question 3")
    found = _chinwag(staffed, "submit", "-", "--bot", "tester", "--wait", stdin=lines(4))
    batch = staffed.one("select id from batches")

    assert found.returncode == 1
    assert b"done: 2 of 4 answered, 2 failed" in found.stdout
    assert b"line 2, q2: The model gave no usable answer twice." in _chinwag(staffed, "show", str(batch)[:8]).stdout
    staffed.model.reset()
    assert _chinwag(staffed, "retry", str(batch)).returncode == 0
    until(lambda: _state(staffed) == "done", what="the batch was done")
    lines_out = [json.loads(line) for line in _chinwag(staffed, "results", str(batch)).stdout.splitlines()]
    assert [line["error"] for line in lines_out] == [None] * 4


def test_an_openai_line_is_asked_with_its_own_messages(staffed: Stack) -> None:
    messages = [{"role": "system", "content": "Say it in French."}, {"role": "user", "content": "<|im_end|> hello"}]
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": messages, "max_tokens": 33}}
    batch = submit(staffed.engine("web"), json.dumps(line).encode(), bot="tester").batch
    assert batch is not None
    until(lambda: _state(staffed) == "done", what="the batch was done")
    (asked,) = staffed.model.log()

    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert "<|im_end|>" not in asked["messages"][1]["content"]
    assert results(staffed.engine("web"), batch)[0]["response"]["body"]["choices"][0]["finish_reason"] == "stop"


def test_a_model_that_is_away_is_waited_for_and_costs_no_item(staffed: Stack) -> None:
    staffed.model.script(mode="down503")
    submit(staffed.engine("web"), lines(5), bot="tester")
    until(lambda: staffed.one("select hold_until is not null from batches"), what="the batch was held")
    staffed.model.reset()
    until(lambda: _state(staffed) == "done", what="the batch was done", timeout_s=40)

    assert staffed.one("select count(*) from batch_items where state = 'done' and tries = 0") == 5


def test_people_are_answered_while_a_batch_fills_its_slots(stack: Stack) -> None:
    stack.start_web()
    stack.env["CHINWAG_BATCH_RESERVE"] = "12"
    stack.start_worker()
    stack.start_dispatcher()
    stack.model.script(mode="hold", match="question")
    submit(stack.engine("web"), lines(50), bot="tester")
    until(lambda: stack.one("select count(*) from batch_items where state = 'running'") == 4, what="the batch fills its slots")
    people = [build.a_person() for _ in range(10)]
    for person in people:
        stack.say(person, "hello")
    stack.wait_settled(20)

    assert stack.one("select count(*) from batch_items where state = 'running'") == 4
    stack.model.reset()
    stack.model.release()
    until(lambda: _state(stack) == "done", what="the batch was done")
