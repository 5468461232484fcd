"""What the probe finds out about servers of each kind: scripted ones, and llama.cpp itself with the tiny model."""

from __future__ import annotations

import json
import os
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest

from bots.admin.endpoints import status
from chinwag.cli import model
from inference.errors import ModelUnavailable
from inference.probe import Probed, probe
from inference.thoughts import learned
from inference.types import Endpoint, Timeouts, Traits
from tests.support import forked
from tests.support.model_servers import Scripted, scripted, tiny_model
from tests.support.processes import Processes

_PLAIN = Traits(context=8192, json_schema=True, parses_tokens=False)
_VLLM = {"cache_salt": True, "priority": True, "stream_interval": True}
_PIECES = ("--tokens", "pieces")


def _probe(server: Scripted, **endpoint: str) -> Probed:
    return probe(server.endpoint(**endpoint), Timeouts(first_token_s=5, total_s=5))


@pytest.mark.parametrize(
    ("options", "traits", "note"),
    [
        ("", _PLAIN, ""),
        ("--context 4096", replace(_PLAIN, context=4096), ""),
        ("--flavour vllm", replace(_PLAIN, **_VLLM), "vLLM 0.33.0"),
        ("--flavour vllm --ranks 4", replace(_PLAIN, **_VLLM, ranks=4), ""),
        ("--flavour hosted", replace(_PLAIN, context=0), "does not say how long"),
        ("--vision", replace(_PLAIN, vision=True), ""),
        ("--template chatml", replace(_PLAIN, parses_tokens=True), "ChatML"),
        ("--template llama4", replace(_PLAIN, parses_tokens=True), "(Llama 4)"),
        ("--template deepseek", replace(_PLAIN, parses_tokens=True), "(DeepSeek)"),
        ("--template deaf", replace(_PLAIN, system_role=False), "drops system messages"),
        ("--template gemma", replace(_PLAIN, parses_tokens=True, system_role=False, roles_alternate=True), "has no system role"),
        ("--template gemma --flavour vllm", replace(
            _PLAIN, parses_tokens=True, system_role=False, roles_alternate=True, **_VLLM), "to take turns"),
        ("--template mistral", replace(_PLAIN, parses_tokens=True, roles_alternate=True), "to take turns"),
        ("--json-schema ignores", replace(_PLAIN, json_schema=False), "not followed"),
        ("--json-schema refuses", replace(_PLAIN, json_schema=False), "refused"),
        ("--reasoning tags", replace(_PLAIN, reasoning=True, thoughts=learned("<think>a</think>b")), "reasons before it answers"),
        ("--reasoning field", replace(_PLAIN, reasoning=True), "reasons before it answers"),
        ("--refuses stream_options", replace(_PLAIN, stream_options=False), "costs are estimates"),
        ("--refuses max_tokens,top_p", replace(_PLAIN, completion_tokens=True, sampling=False), "`max_completion_tokens`"),
        ("--refuses temperature --flavour vllm", replace(_PLAIN, sampling=False, **_VLLM), "refuses `temperature`"),
    ],
)  # fmt: skip
def test_what_a_server_does_is_measured(tmp_path: Path, options: str, traits: Traits, note: str) -> None:
    with scripted(tmp_path, *_PIECES, *options.split()) as server:
        found = _probe(server)

    assert found.failures == ()
    assert found.traits == traits
    assert note in "; ".join(found.notes)
    assert found.answer_ms is not None


def test_counts_that_cannot_tell_leave_the_safe_default(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        found = _probe(server)

    assert found.traits.parses_tokens
    assert "do not show" in "; ".join(found.notes)


@pytest.mark.parametrize("flavour", ["llamacpp", "vllm"])
def test_a_prefix_cache_is_seen_where_it_is_on(tmp_path: Path, flavour: str) -> None:
    options = ("--flavour", flavour, "--cache-blocks", "1000", "--prefix-cache")
    with scripted(tmp_path, *options, "on") as warm, scripted(tmp_path, *options, "off") as cold:
        assert (_probe(warm).prefix_cache, _probe(cold).prefix_cache) == (True, False)


@pytest.mark.parametrize(
    ("options", "endpoint", "words"),
    [
        ("--key right", {"key": "wrong"}, "the key is wrong"),
        ("--key right", {}, "it requires a key, and none was given"),
        ("", {"path": ""}, "end in /v1 as it should?"),
        ("", {"path": "/moved/v1"}, "redirects (308)"),
        ("--flavour vllm", {"model": "other"}, "no model other; it has: scripted"),
    ],
)
def test_why_a_server_cannot_be_used_is_said(tmp_path: Path, options: str, endpoint: dict[str, str], words: str) -> None:
    with scripted(tmp_path, *options.split()) as server:
        (failure,) = _probe(server, **endpoint).failures

    assert words in failure


def test_the_right_key_opens(tmp_path: Path) -> None:
    with scripted(tmp_path, "--key", "right") as server:
        assert _probe(server, key="right").failures == ()


def test_a_server_that_streams_badly_cannot_be_used(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        server.script(mode="truncated")
        (failure,) = _probe(server).failures

    assert "not the streamed one" in failure


def test_a_server_that_is_full_is_waited_for(tmp_path: Path) -> None:
    with scripted(tmp_path, *_PIECES) as server:
        server.script(mode="busy429", times=1)
        found = _probe(server)

    assert (found.failures, found.traits) == ((), _PLAIN)


@pytest.mark.parametrize("mode", ["busy429", "close"])
def test_what_a_full_server_did_not_answer_is_not_measured_and_never_a_no(tmp_path: Path, mode: str) -> None:
    with scripted(tmp_path, *_PIECES, "--flavour", "vllm", "--vision") as server:
        # The plain question, the streamed one, how it counts, and those about the system role: then it is full.
        server.script(times=5)
        server.script(mode=mode)
        found = _probe(server)

    assert (found.failures, found.again) == ((), True)
    taken = {"stream_options": True, "completion_tokens": False, "sampling": True}
    assert found.measured == {"context": 8192, "ranks": 1, "system_role": True} | taken
    assert set(found.missing) == {field.name for field in fields(Traits)} - set(found.measured)
    assert "so these were not measured and keep their earlier values: roles alternate, parses tokens, json schema" in found.notes[-1]
    assert [note for note in found.notes if "JSON" in note or "count" in note or "turns" in note] == []


def test_one_question_without_an_answer_leaves_the_others_measured(tmp_path: Path) -> None:
    with scripted(tmp_path, *_PIECES, "--flavour", "vllm", "--vision") as server:
        server.script(mode="close", match="Which colour?", times=10)
        found = _probe(server)

    assert (found.missing, found.again) == (("vision",), True)
    assert (found.traits.cache_salt, found.traits.json_schema) == (True, True)
    assert "some questions got no answer, so these were not measured and keep their earlier values: vision" in found.notes


@pytest.mark.parametrize(
    ("mode", "again"), [("busy429", True), ("error500", True), ("down503", True), ("error401", False), ("error400", False)]
)
def test_a_failure_that_may_pass_is_worth_another_probe(tmp_path: Path, mode: str, again: bool) -> None:
    with scripted(tmp_path) as server:
        server.script(mode=mode)
        found = _probe(server)

    assert (len(found.failures), found.again) == (1, again)


def test_a_server_that_is_full_for_the_streamed_question_is_waited_for(tmp_path: Path) -> None:
    with scripted(tmp_path, *_PIECES) as server:
        server.script(times=1)
        server.script(mode="busy429", times=1)
        found = _probe(server)

    assert (found.failures, found.traits) == ((), _PLAIN)


def test_nothing_that_answers_is_unavailable() -> None:
    with pytest.raises(ModelUnavailable, match="nothing answers at"):
        probe(Endpoint(name="x", url="http://127.0.0.1:9/v1", model="m"), Timeouts())


def test_a_server_that_falls_silent_in_the_middle_costs_two_deadlines_and_no_error(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        # The plain question, streamed and not, is answered: then it hangs.
        server.script(times=2)
        server.script(mode="hang")
        began = time.monotonic()
        found = probe(server.endpoint(), Timeouts(first_token_s=0.5, total_s=0.5))

    assert time.monotonic() - began < 3
    assert "stopped answering in the middle" in found.notes[-1]
    assert found.failures == ()
    assert found.traits == Traits(context=8192)


@pytest.mark.slow
def test_llama_cpp_with_the_tiny_model_is_known(tmp_path: Path) -> None:
    tiny = tiny_model()
    processes = Processes(tmp_path)
    try:
        options = ["--model", str(tiny.path), "--alias", tiny.name, "--ctx", "2048"]
        url = processes.start("engine", ["inference.engines.llamacpp", *options], {}).wait_listening(60)
        found = probe(Endpoint(name="tiny", url=f"{url}/v1", model=tiny.name), Timeouts(first_token_s=60, total_s=60))
    finally:
        processes.end_all()

    assert found.failures == ()
    assert (found.server, found.prefix_cache) == ("llamacpp", True)
    assert found.traits == Traits(context=2048, json_schema=True, parses_tokens=True)
    assert "ChatML" in "; ".join(found.notes)


def _run(*arguments: str) -> tuple[int, str, str]:
    done = forked.run("chinwag", "model", "probe", *arguments, env=os.environ)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_the_command_prints_what_was_found(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("right\n")
    with scripted(tmp_path, *_PIECES, "--key", "right", "--template", "gemma") as server:
        where = ("--url", f"{server.url}/v1", "--model", "scripted", "--key-file", str(key))
        code, said, _ = _run(*where)
        json_code, as_json, _ = _run(*where, "--json")

    assert (code, json_code) == (0, 0)
    # In the words of the endpoint's page.
    assert "Roles                Its chat template has no system role: the persona goes into the first message. User and" in said
    assert "- its template has no system role" in said
    assert json.loads(as_json)["traits"]["roles_alternate"] is True


def test_the_command_tells_a_measurement_in_the_words_of_the_endpoints_page(tmp_path: Path) -> None:
    with scripted(tmp_path, *_PIECES, "--flavour", "vllm", "--vision", "--ranks", "2") as server:
        code, said, _ = _run("--url", f"{server.url}/v1", "--model", "scripted")
        found = _probe(server)

    assert code == 0
    assert [fact for fact in status.facts(found.measured) if f"{fact.title:<21}{fact.message}\n" not in said] == []


def test_the_help_of_models_names_each_of_its_commands() -> None:
    names = [command.name or command.callback.__name__ for command in model.app.registered_commands if command.callback]

    assert len(names) > 3
    assert [name for name in names if name not in str(model.app.info.help)] == []


@pytest.mark.parametrize(
    ("url", "more", "words"),
    [
        ("http://127.0.0.1:9/v1", [], "nothing answers at"),
        ("127.0.0.1:9/v1", [], "--url needs an address"),
        ("http://10.0.0.256:8000/v1", [], "--url needs an address"),
        ("http://user:pw@127.0.0.1/v1", [], "--url needs an address"),
        ("http://127.0.0.1:9/v1", ["--key-file", "/nowhere"], "--key-file must name a readable file"),
    ],
)
def test_what_the_command_cannot_use_is_one_line_and_code_2(url: str, more: list[str], words: str) -> None:
    code, said, why = _run("--url", url, "--model", "m", *more)

    assert (code, said, why.count("\n")) == (2, "", 1)
    assert words in why
