"""`chinwag conversation export` and `chinwag compare`: one's own conversations, asked of two endpoints, side by side."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import build, forked
from tests.support.cluster import Cluster
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("compare")), persona="You are the assistant of a bakery.") as running:
        running.settles = False
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running


def _run(stack: Stack, *arguments: str) -> tuple[int, str]:
    return forked.said("chinwag", *arguments, env={"PATH": "/usr/bin:/bin", **stack.env})


def _connect(stack: Stack, name: str, *options: str) -> None:
    code, said = _run(stack, "endpoint", "add", name, "--url", f"{stack.model.url}/v1", "--model", "scripted", "--stays", *options)
    assert code == 0, said


def test_ones_own_conversations_are_exported_and_compared(served: Stack, tmp_path: Path) -> None:
    person = build.a_person("Cleo")
    for words in ("Do you have bread with figs?", "Please keep two for <b>me</b>"):
        served.say(person, words)
        served.wait_settled()
    talks, out = tmp_path / "talks.jsonl", tmp_path / "side by side"
    # Of a file that is there the mode is not taken over.
    talks.touch(0o644)
    assert _run(served, "conversation", "export", "--out", str(talks))[0] == 0
    _connect(served, "cheap", "--price-in", "0.1", "--price-out", "0.3")
    _connect(served, "dear", "--price-in", "2.5", "--price-out", "10")
    code, said = _run(served, "compare", "--models", "cheap,dear", "--from", str(talks), "--out", str(out))
    replies = [json.loads(line) for line in (out / "replies.jsonl").read_text("utf-8").splitlines()]
    page = (out / "index.html").read_text("utf-8")

    assert code == 0, said
    assert [stat.S_IMODE(file.stat().st_mode) for file in (talks, out / "replies.jsonl", out / "index.html")] == [0o600] * 3
    assert [(reply["turn"], reply["endpoint"]) for reply in replies] == [(1, "cheap"), (1, "dear"), (2, "cheap"), (2, "dear")]
    assert all(reply["answer"] and reply["recorded"] and reply["total_ms"] > 0 for reply in replies)
    assert 0 < replies[0]["cost"] < replies[1]["cost"]
    asked = [entry["messages"] for entry in served.model.log() if "two for" in str(entry["messages"])]
    # Once by the person, who is also told the time, then by each endpoint: with the history as it stood.
    assert [[message["role"] for message in messages] for messages in asked[1:]] == [["system", "user", "assistant", "user"]] * 2
    assert asked[0][-3:] == asked[1][-3:]
    assert "&lt;b&gt;me&lt;/b&gt;" in page
    assert "<b>me</b>" not in page
    assert "the original answer" in page
    assert "cheap" in said
    assert "2/2" in said


def test_an_endpoint_that_is_down_is_a_column_of_reasons_and_costs_nobody_else_anything(served: Stack, tmp_path: Path) -> None:
    source, out = tmp_path / "asked.jsonl", tmp_path / "out"
    source.write_text('{"custom_id": "a1", "text": "What is bread?"}\n')
    _connect(served, "there")
    assert _run(served, "endpoint", "add", "gone", "--url", "http://127.0.0.1:9/v1", "--model", "m", "--stays")[0] == 0
    code, said = _run(served, "compare", "--models", "there,gone", "--from", str(source), "--out", str(out), "--patience", "1")
    there, gone = (json.loads(line) for line in (out / "replies.jsonl").read_text("utf-8").splitlines())

    assert code == 0, said
    assert (there["fault"], gone["answer"]) == (None, None)
    assert "cannot be reached" in gone["fault"]
    assert "0/1" in said


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--out", "{folder}/nowhere/talks.jsonl"], "--out: {folder}/nowhere/talks.jsonl cannot be written: No such file or directory\n"),
        (
            ["--out", "{folder}/talks.jsonl", "--bot", "nobody"],
            "There is no bot named nobody; `chinwag bot list` shows all, `chinwag bot set nobody` creates it.\n",
        ),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_nothing_is_read(served: Stack, tmp_path: Path, arguments: list[str], line: str) -> None:
    before = served.one("select count(*) from audit where action = 'conversation.export'")

    code, said = _run(served, "conversation", "export", *(part.format(folder=tmp_path) for part in arguments))

    assert (code, said) == (2, line.format(folder=tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert served.one("select count(*) from audit where action = 'conversation.export'") == before


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_asked(served: Stack, tmp_path: Path) -> None:
    source, out = tmp_path / "asked.jsonl", tmp_path / "asked.jsonl" / "out"
    source.write_text('{"custom_id": "a1", "text": "never to be asked"}\n')
    _connect(served, "one")
    code, said = _run(served, "compare", "--models", "default,one", "--from", str(source), "--out", str(out))

    assert (code, said.count("\n")) == (2, 1)
    assert "Not a directory" in said
    assert "never to be asked" not in str(served.model.log())


@pytest.mark.parametrize(
    ("models", "line", "why"),
    [
        ("there", '{"custom_id": "a", "text": "never to be asked"}', "two endpoints or more"),
        ("default,nobody", '{"custom_id": "a", "text": "never to be asked"}', "There is no endpoint nobody; there are: default"),
        ("default,other", '{"custom_id": "a"}', 'line 1: "text" is missing'),
        ("default,other", "", "the file is empty"),
        (
            "default,other",
            '{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "system", "content": "x"}]}}',
            "line 1: it has no message with the role user",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_clear_line_and_nothing_is_asked(
    served: Stack, tmp_path: Path, models: str, line: str, why: str
) -> None:
    source, out = tmp_path / "asked.jsonl", tmp_path / "out"
    source.write_text(line + "\n" if line else "")
    code, said = _run(served, "compare", "--models", models, "--from", str(source), "--out", str(out))

    assert (code, out.exists()) == (2, False)
    assert why in " ".join(said.replace("\u2502", " ").split())
    assert "never to be asked" not in str(served.model.log())
