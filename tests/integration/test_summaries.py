"""What falls out of a prompt's room is told on in a few sentences, made in the background; what is forgotten is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import WINDOWS, Stack
from tests.support.talk import Talk, heal

_NOTES = "Ada wants a cake of figs for Saturday; it was agreed that it costs 30."
#: Each turn below counts about 34 tokens by the estimate of a server without a tokenizer.
_WORDS = "please tell me more about the cake with figs that you bake there on Saturday morning"


@pytest.fixture(scope="module")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    quick = {"CHINWAG_DEBOUNCE_S": "0.02", "CHINWAG_DISPATCH_TICK_S": "0.03", "CHINWAG_HISTORY_TOKENS": "200"}
    with Stack(cluster, tmp_path_factory.mktemp("summaries"), settings=WINDOWS | quick) as running:
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running
        running.wait_settled()
        running.check()


@pytest.fixture
def talk(service: Stack) -> Iterator[Talk]:
    service.model.script(match="Write the notes.", answer=_NOTES)
    yield Talk(service)
    heal(service.model)


def _notes(service: Stack) -> list[dict[str, object]]:
    return service.rows(
        "select summary, summary_until, summarise_at, history_from from conversations where closed_at is null order by newest_at desc limit 1"
    )


def _goes_on(talk: Talk, service: Stack, *, at_most: int = 12) -> list[list[dict[str, str]]]:
    """Talk until the prompt begins later than the talk did; returns the prompts of the answers."""
    for number in range(at_most):
        talk.ask(f"{_WORDS}, number {number}")
        until(lambda: _notes(service)[0]["summarise_at"] is None, what="nothing is to be summarised")
        if _notes(service)[0]["history_from"] != 1:
            break
    return [prompt for prompt in talk.prompts() if "Write the notes." not in prompt[-1]["content"]]


def test_older_turns_are_told_as_notes_once_there_is_no_more_room_for_them(talk: Talk, service: Stack) -> None:
    prompts = _goes_on(talk, service)

    assert _notes(service)[0]["summary"] == _NOTES
    assert not any("number 0" in message["content"] for message in prompts[-1])
    assert f'(what we spoke about before: "{_NOTES}")' in prompts[-1][1]["content"]
    assert prompts[-1][1]["role"] == "user", "never in the system text"
    whole = [message["content"] for message in prompts[-1] if "number" in message["content"]]
    assert all(_WORDS in words for words in whole), "no message is cut"


def test_the_model_is_shown_whole_turns_to_summarise_and_each_is_summarised_once(talk: Talk, service: Stack) -> None:
    _goes_on(talk, service)
    asked = [prompt[-1]["content"] for prompt in talk.prompts() if "Write the notes." in prompt[-1]["content"]]

    assert asked
    for number in range(3):
        assert sum(f"{_WORDS}, number {number}\n" in words for words in asked) == 1, number


def test_what_a_contact_forgets_is_not_told_on_by_notes(talk: Talk, service: Stack) -> None:
    _goes_on(talk, service)
    assert _notes(service)[0]["summary"] == _NOTES
    talk.ask("/forget")
    talk.ask("What do you know of me?")

    assert _notes(service)[0]["summary"] is None
    assert not any("figs" in message["content"] for message in talk.prompts()[-1])


def test_a_talk_without_a_summary_goes_on_all_the_same(talk: Talk, service: Stack) -> None:
    heal(service.model)
    service.model.script(match="Write the notes.", mode="empty")
    prompts = _goes_on(talk, service)

    assert _notes(service)[0]["summary"] is None
    assert not any("what we spoke about" in message["content"] for message in prompts[-1])
    assert service.one("select count(*) from model_calls where outcome = 'garbage'") >= 2, "what it took is recorded"
