"""`chinwag endpoint` and `chinwag profile` against a database: what goes in, what is refused with one line, what is shown."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from bots.storage import endpoints, tenants
from chinwag.cli import build
from tests.support import forked
from tests.support.cluster import Cluster
from tests.support.processes import ROOT, until
from tests.support.stack import Stack

_KEY = "sk-nine-grey-herons"
_OWN = ["--url", "http://127.0.0.1:8000/v1", "--model", "m", "--stays"]
_HOSTED = ["--url", "https://models.example.com/v1", "--model", "m"]


@pytest.fixture(scope="module")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("endpoint-commands"))) as running:
        running.settles = False
        yield running


def _env(stack: Stack) -> dict[str, str | None]:
    """What a command finds in its environment; None: nothing."""
    return {name: None for name in os.environ if name.startswith("CHINWAG_")} | stack.env


def _run(stack: Stack, *arguments: str, typed: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(build(arguments[0]), arguments, env=_env(stack), input=typed)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def _named() -> str:
    return f"e-{uuid4().hex[:8]}"


def _made(stack: Stack, *arguments: str) -> str:
    name = _named()
    code, said = _run(stack, "endpoint", "add", name, *(arguments or _OWN))
    assert code == 0, said
    return name


def _shown(stack: Stack, name: str) -> dict[str, Any]:
    code, said = _run(stack, "endpoint", "show", name, "--json")
    assert code == 0, said
    return json.loads(said)


def _key_file(folder: Path, key: str = _KEY) -> list[str]:
    (folder / "key").write_text(f"{key}\n")
    return ["--key-file", str(folder / "key")]


def test_an_endpoint_is_connected_changed_and_removed_and_its_key_is_never_printed(stack: Stack, tmp_path: Path) -> None:
    name = _named()

    said = [_run(stack, "endpoint", "add", name, *_HOSTED, *_key_file(tmp_path), "--price-in", "0.1", "--price-out", "0.4")]
    said += [_run(stack, "endpoint", "list"), _run(stack, "endpoint", "show", name)]
    first = _shown(stack, name)
    said += [_run(stack, "endpoint", "change", name, "--model", "m-2", "--price-in", "", "--price-out", "")]
    second = _shown(stack, name)
    said += [_run(stack, "endpoint", "key", name, *_key_file(tmp_path, "sk-other"))]
    said += [_run(stack, "endpoint", "change", name, "--url", "https://elsewhere.example.com/v1")]

    assert [code for code, _ in said] == [0] * len(said), said
    assert [words for _, words in said if _KEY in words] == []
    assert (first["price_in"], first["has_key"], first["leaves_house"], first["state"]) == (0.1, True, True, "wait")
    assert (second["model"], second["price_in"], second["has_key"]) == ("m-2", None, True)
    assert "its key was for another server" in said[-1][1]
    assert _shown(stack, name)["has_key"] is False
    assert _run(stack, "endpoint", "remove", name, typed="n\n")[0] == 1
    assert _run(stack, "endpoint", "remove", name, "--yes") == (0, f"{name} is removed\n")
    assert _run(stack, "endpoint", "show", name) == (2, f"There is no endpoint named {name}.\n")
    actions = stack.rows("select actor, action from audit where subject = :subject order by at, id", subject=f"endpoint:{name}")
    assert {row["actor"] for row in actions} == {"cli"}
    assert [row["action"] for row in actions] == [f"endpoint.{what}" for what in ("add", "change", "key", "change", "remove")]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (_HOSTED, "--key-file: A hosted endpoint needs its API key; say so if this one needs none. (--no-key)\n"),
        (
            [*_OWN, "--url", "localhost:8000"],
            "--url: Enter an address like https://host/v1, without a user, a password or a question mark.\n",
        ),
        ([*_OWN, "--url", "http://10.0.0.256:8000/v1"], "--url: Enter an address like https://host/v1"),
        ([*_OWN, "--price-in", "1"], "--price-out: Output tokens need a price too; 0 if they are free.\n"),
        (["--url", "https://api.openai.com/v1", "--model", "m", "--stays"], "--stays: This is OpenAI's address: what people write leaves"),
        (["--stays", "--model", "m"], "--url: Enter an address like https://host/v1"),
        (["--catalog-model", "gpt-5o"], "There is no model 'gpt-5o' in the catalog. Similar: gpt-4o."),
        (["--catalog-model", "gpt-4o", "--stays"], "GPT-4o has no weights to run in the catalog"),
        (
            ["--catalog-model", "llama-4-scout"],
            "--provider: Llama 4 Scout is priced at Amazon Bedrock (meta.llama4-scout-17b-instruct-v1:0), DeepInfra",
        ),
        (["--catalog-model", "llama-4-scout", "--provider", "Nobody"], "--provider: Llama 4 Scout is priced at"),
    ],
)
def test_what_cannot_be_is_one_line_exit_code_2_and_nothing_kept(stack: Stack, arguments: list[str], line: str) -> None:
    name = _named()

    code, said = _run(stack, "endpoint", "add", name, *arguments)

    assert code == 2
    assert said.startswith(line), said
    assert stack.one("select count(*) from endpoints where name = :name", name=name) == 0


@pytest.mark.parametrize(
    ("arguments", "line", "insist"),
    [
        (["--leaves-house"], "--leaves-house: A hosted endpoint needs its API key: enter it first, or say so if this one needs none.", "--no-key"),
        (
            ["--leaves-house", "--no-key", "--model", "gemini-2.0-flash", "--url", "https://generativelanguage.googleapis.com/v1beta/openai"],
            "--model: Gemini API switched gemini-2.0-flash off on 2026-06-01. Its successor: gemini-3.5-flash-lite.",
            "--retired-ok",
        ),
    ],
)  # fmt: skip
def test_a_change_does_not_go_round_what_connecting_refuses(stack: Stack, arguments: list[str], line: str, insist: str) -> None:
    name = _made(stack)
    before = _shown(stack, name)

    code, said = _run(stack, "endpoint", "change", name, *arguments)

    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith(line), said
    assert said.endswith(f"({insist})\n")
    assert _shown(stack, name) == before
    assert _run(stack, "endpoint", "change", name, *arguments, insist)[0] == 0


def test_a_wrong_name_price_or_key_file_is_refused(stack: Stack, tmp_path: Path) -> None:
    assert _run(stack, "endpoint", "add", "Big One", *_OWN)[1].startswith("NAME: Use lower-case letters, digits")
    assert "Invalid value for --price-in: US dollars" in _run(stack, "endpoint", "add", _named(), *_OWN, "--price-in", "cheap")[1]
    assert "does not exist" in _run(stack, "endpoint", "add", _named(), *_HOSTED, "--key-file", str(tmp_path / "none"))[1]
    for key in ("two words", "\N{SNOWMAN}", "x" * 5000):
        code, said = _run(stack, "endpoint", "add", _named(), *_HOSTED, *_key_file(tmp_path, key))
        assert (code, said) == (2, "--key-file: It contains characters that do not belong in an API key. Copy it again.\n")
    name = _made(stack)
    assert _run(stack, "endpoint", "add", name, *_OWN) == (2, f"There is already an endpoint named {name}.\n")


def test_the_catalog_fills_in_address_name_and_price(stack: Stack, tmp_path: Path) -> None:
    hosted = _made(stack, "--catalog-model", "gpt-4o", *_key_file(tmp_path))
    own = _made(stack, "--catalog-model", "deepseek-v3", "--stays", "--url", "http://127.0.0.1:9000/v1")

    one, other = _shown(stack, hosted), _shown(stack, own)
    assert (one["url"], one["model"], one["price_in"], one["price_out"]) == ("https://api.openai.com/v1", "gpt-4o", 2.5, 10.0)
    assert one["warnings"] == ["OpenAI switches gpt-4o off on 2027-01-14. Its successor: gpt-6-luna."]
    assert (other["model"], other["price_in"], other["leaves_house"]) == ("deepseek-v3", None, False)


def test_a_retired_model_names_its_successor_and_is_taken_only_when_said_so(stack: Stack, tmp_path: Path) -> None:
    name, key = _named(), _key_file(tmp_path)

    code, said = _run(stack, "endpoint", "add", name, "--catalog-model", "gemini-2.0-flash", *key)
    assert code == 2
    assert said.startswith("--model: Gemini API switched gemini-2.0-flash off on 2026-06-01. Its successor: gemini-3.5-flash-lite.")
    assert said.endswith("(--retired-ok)\n")

    assert _run(stack, "endpoint", "add", name, "--catalog-model", "gemini-2.0-flash", "--retired-ok", *key)[0] == 0


def test_llama_4_says_that_the_eu_gets_no_licence_and_what_may_be_taken(stack: Stack) -> None:
    code, said = _run(stack, "endpoint", "add", _named(), *_OWN, "--model", "meta-llama/Llama-4-Scout-17B-16E-Instruct")

    assert code == 0
    assert "in the EU. Permitted there: deepseek-v3, mistral-small-3.1, gemma-3-27b." in said


def test_without_a_worker_a_probe_says_so_and_ends(stack: Stack) -> None:
    name = _made(stack)
    with stack.owner.begin() as connection:
        connection.exec_driver_sql("delete from worker_heartbeats")

    code, said = _run(stack, "endpoint", "probe", name)

    assert (code, "no worker is running; the first one that starts probes it" in said) == (1, True)
    assert stack.one("select probe_at <= now() from endpoints where name = :name", name=name) is True


@pytest.mark.parametrize(
    ("traits", "notes", "code", "words"),
    [
        ({"context": 8192, "vision": True}, ["vLLM 0.33"], 0, "8,192 tokens"),
        (None, ["the key is refused (401)"], 1, "BAD   the key is refused (401)"),
    ],
)
def test_a_probe_waits_for_a_workers_result_and_shows_it(
    stack: Stack, traits: dict[str, Any] | None, notes: list[str], code: int, words: str
) -> None:
    name, worker = _made(stack), stack.engine("worker")
    with stack.owner.begin() as connection:
        connection.exec_driver_sql(
            "insert into worker_heartbeats (name, boot_id, queues, slots, busy, at)"
            " values ('w', gen_random_uuid(), array['reply.default', 'reply.a.b.@e1'], 1, 0, now() + interval '1 min')"
        )
    asked = stack.one("select count(*) from audit where action = 'endpoint.probe'")
    env = {key: value for key, value in (os.environ | _env(stack)).items() if value is not None}
    output = stack.folder / f"{name}.said"
    with output.open("wb") as file:
        running = forked.start(["chinwag", "endpoint", "probe", name], env=env, cwd=ROOT, stdout=file)
    try:
        until(
            lambda: stack.one("select count(*) from audit where action = 'endpoint.probe'") > asked,
            what="the probe was asked for",
            timeout_s=60,
        )
        with worker.connect() as connection:
            row = endpoints.get(connection, tenant=tenants.default(connection), name=name)
        assert row is not None
        assert endpoints.store_probe(worker, row, traits=traits, notes=notes)
        running.wait(60)
    finally:
        running.kill()
        running.wait()
    said = output.read_text()

    assert (running.returncode, words in said) == (code, True), said
    # A profile's name may hold dots, and an engine's queue is its profile's.
    listed = _run(stack, "profile", "list")[1]
    assert "a.b: the worker's own model" in listed
    # While that engine is away nobody asks the next endpoint.
    assert "note  a.b: only workers with an engine of their own serve it" in listed
    assert "note  default: only" not in listed


def test_a_profile_is_set_listed_and_removed(stack: Stack, tmp_path: Path) -> None:
    one, two = sorted(_made(stack) for _ in range(2))
    hosted = _made(stack, *_HOSTED, *_key_file(tmp_path))
    name = f"p-{uuid4().hex[:6]}"

    code, said = _run(stack, "profile", "set", name, f"{two},{one}", hosted)
    assert code == 0
    assert said.startswith(f"{name}: {one} (own) or {two} (own), then {hosted} (hosted)\n")
    assert f"--queues reply.{name},deliver,batch.{name}" in said
    rows = json.loads(_run(stack, "profile", "list", "--json")[1])
    assert [row["tiers"] for row in rows if row["name"] == name] == [[[one, two], [hosted]]]
    assert _run(stack, "profile", "set", name, f"{hosted}=2", f"{one}=1", f"{two}=2")[0] == 0
    rows = json.loads(_run(stack, "profile", "list", "--json")[1])
    assert [row["tiers"] for row in rows if row["name"] == name] == [[[one], sorted([two, hosted])]]

    assert _run(stack, "profile", "remove", name) == (0, f"{name}: the worker's own model answers\n")
    assert _run(stack, "profile", "remove", name) == (0, f"{name}: it had no endpoints\n")


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (["nobody"], "There is no endpoint named nobody."),
        (["a", "a"], "a is given twice."),
        (["a,,b"], "give the names of endpoints"),
        (["a=x"], "a position is a number"),
    ],
)
def test_a_wrong_order_is_refused(stack: Stack, order: list[str], words: str) -> None:
    code, said = _run(stack, "profile", "set", "default", *order)

    assert (code, words in said) == (2, True), said
    assert stack.one("select count(*) from profile_endpoints where profile = 'default'") == 0


def test_a_bot_that_nobody_may_answer_is_named(stack: Stack, tmp_path: Path) -> None:
    hosted = _made(stack, *_HOSTED, *_key_file(tmp_path))

    code, said = _run(stack, "profile", "set", "default", hosted)
    _run(stack, "profile", "remove", "default")

    assert code == 0
    assert (
        "note  default: the conversations of tester must stay on your own servers, and every endpoint is hosted: nothing answers them."
        in said
    )
