"""`chinwag model trial`: models behind real HTTP that find facts well, badly or not at all, and what is stored of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from chinwag.cli import build
from inference.client.body import body_of
from inference.types import Endpoint, Hints, Message, Traits
from tests.support.cluster import Cluster
from tests.support.played_model import Played, PlayedModel, played_model
from tests.support.proposing_model import answers, labels
from tests.support.stack import Stack
from workers.proposing import FACTS


@pytest.fixture(scope="module")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("model-trial"))) as running:
        running.settles = False
        yield running


@pytest.fixture
def model() -> Iterator[PlayedModel]:
    with played_model() as server:
        yield server


def _tried(stack: Stack, model: PlayedModel, *options: str) -> tuple[int, str]:
    """Try the model of the settings, which answers for a profile without endpoints."""
    env: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CHINWAG_")} | stack.env
    env |= {"CHINWAG_MODEL_URL": model.url, "CHINWAG_MODEL_NAME": "played"}
    done = CliRunner().invoke(build("model"), ["model", "trial", *options], env=env)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def _stored(stack: Stack, model: PlayedModel) -> Sequence[bool]:
    with stack.owner.begin() as connection:
        return list(connection.execute(text("select passed from model_trials where url = :url"), {"url": model.url}).scalars())


def test_a_model_that_finds_what_is_there_passes(stack: Stack, model: PlayedModel) -> None:
    model.plays = answers(labels())
    code, said = _tried(stack, model)

    assert (code, _stored(stack, model)) == (0, [True])
    assert "passed: it may propose facts to remember." in said


def test_one_that_finds_nothing_fails_and_the_command_says_why(stack: Stack, model: PlayedModel) -> None:
    model.plays = answers({})
    code, said = _tried(stack, model)

    assert (code, _stored(stack, model)) == (1, [False])
    assert "It finds nothing that the rules do not find." in said


def test_one_that_proposes_wrong_kinds_as_well_is_held_by_the_checks(stack: Stack, model: PlayedModel) -> None:
    known = labels()
    model.plays = answers(lambda words: [*known.get(words, ()), *(("name", value) for _, value in known.get(words, ()))])
    _, said = _tried(stack, model, "--json")
    figures: dict[str, Any] = json.loads(said)[0]

    assert figures["proposed"]["right"] / figures["proposed"]["found"] < 0.7
    assert figures["checked"]["right"] / figures["checked"]["found"] >= 0.95


def test_one_that_gives_no_answer_fails(stack: Stack, model: PlayedModel) -> None:
    model.plays = lambda _: Played(words=["I cannot help with that."])
    code, said = _tried(stack, model)

    assert (code, _stored(stack, model)) == (1, [False])
    assert "no answer that can be read" in said


def test_a_server_that_refuses_calls_is_not_tried_and_nothing_is_stored(stack: Stack, model: PlayedModel) -> None:
    model.plays = lambda _: Played(status=401, body={"error": {"message": "no key"}})
    code, said = _tried(stack, model)

    assert (code, _stored(stack, model)) == (2, [])
    assert "nothing was stored" in said


@pytest.mark.parametrize("takes", [True, False])
def test_a_schema_is_sent_to_endpoints_that_take_one(takes: bool) -> None:
    endpoint = Endpoint(name="e", url="http://e/v1", model="m", traits=Traits(json_schema=takes))
    body = json.loads(
        body_of(endpoint, [Message(role="user", content="hi")], max_tokens=5, temperature=0.0, top_p=0.9, hints=Hints(schema=FACTS))
    )

    assert ("response_format" in body) is takes
