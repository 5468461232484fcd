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
        "select summary, summary_until, summarise_at, summarise_tries, history_from from conversations where closed_at is null order by newest_at desc limit 1"
    )


def _is_noted(service: Stack) -> bool:
    """Whether the notes are what the model wrote, behind the day, and no more."""
    day, _, text = str(_notes(service)[0]["summary"]).partition(": ")
    return len(day) == len("2026-11-30") and text == _NOTES


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

    assert _is_noted(service)
    assert not any("number 0" in message["content"] for message in prompts[-1])
    assert prompts[-1][1]["content"].startswith('(what we spoke about before: "20')
    assert f': {_NOTES}")' in prompts[-1][1]["content"]
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
    assert _is_noted(service)
    talk.ask("/forget")
    talk.ask("Which fruit was it?")

    assert _notes(service)[0]["summary"] is None
    assert not any("figs" in message["content"] for message in talk.prompts()[-1])


def test_a_talk_without_a_summary_goes_on_all_the_same_and_has_one_when_the_model_gives_one(talk: Talk, service: Stack) -> None:
    heal(service.model)
    service.model.script(match="Write the notes.", mode="empty")
    cut = _until_cut(talk, service)

    assert _notes(service)[0]["summary"] is None
    assert f"the person wrote: {_WORDS}, number 0." in cut[-1][1]["content"], "until then rules take over the person's words"
    until(lambda: _notes(service)[0]["summarise_tries"] == 1, what="one try has failed, and the next is not due yet")
    assert service.one("select count(*) from model_calls where outcome = 'summary:garbage'") >= 2, "what it took is recorded"
    heal(service.model)
    service.model.script(match="Write the notes.", answer=_NOTES)
    before = len(_asked_for_notes(talk))
    _due(service)
    until(lambda: _is_noted(service), what="the notes are made")

    until(lambda: _notes(service)[0]["summarise_at"] is None, what="nothing is to be summarised")
    told = "".join(_asked_for_notes(talk)[before:])
    for number in range(_notes(service)[0]["summary_until"]):
        assert told.count(f"Person: {_WORDS}, number {number}\n") == 1, "also of what fell out meanwhile every turn, once"


def test_what_a_contact_forgets_while_notes_are_made_is_not_written_down(talk: Talk, service: Stack) -> None:
    heal(service.model)
    service.model.script(match="Write the notes.", mode="hold", answer=_NOTES, times=1)
    for number in range(12):
        talk.ask(f"{_WORDS}, number {number}")
        if _notes(service)[0]["summarise_at"] is not None:
            break
    until(lambda: service.model.held() == 1, what="the notes are being made")
    talk.ask("/forget")
    service.model.release()
    until(lambda: _paid(talk, service) == 1, what="the notes came and were paid for")
    talk.ask("Which fruit was it?")

    assert (_notes(service)[0]["summary"], _notes(service)[0]["summarise_at"]) == (None, None)
    assert not any("figs" in message["content"] for message in talk.prompts()[-1])


def test_what_falls_out_while_notes_are_made_comes_into_the_next_ones_in_portions(talk: Talk, service: Stack) -> None:
    heal(service.model)
    service.model.script(match="Write the notes.", mode="hold", answer=_NOTES, times=1)
    cut = _until_cut(talk, service)
    assert f"the person wrote: {_WORDS}, number 0." in cut[-1][1]["content"], "there are none yet"
    for number in range(20, 28):
        talk.ask(f"{_WORDS}, number {number}")
    service.model.script(match="Write the notes.", answer=_NOTES)
    service.model.release()
    until(lambda: _notes(service)[0]["summarise_at"] is None, what="nothing is to be summarised")
    asked = _asked_for_notes(talk)
    last = _notes(service)[0]["summary_until"]
    numbers = [
        int(row["asked"].rpartition(" ")[2])
        for row in service.rows(
            "select asked from turns where conversation_id = (select id from conversations order by newest_at desc limit 1) and number <= :last",
            last=last,
        )
    ]

    assert len(asked) >= 3, "the one that was held, and more than one portion for what fell out meanwhile"
    for number in numbers:
        assert sum(f"{_WORDS}, number {number}\n" in words for words in asked) == 1, number


def _until_cut(talk: Talk, service: Stack) -> list[list[dict[str, str]]]:
    """Talk until the prompt begins later than the talk did, whatever becomes of notes; returns the prompts of the answers."""
    for number in range(12):
        talk.ask(f"{_WORDS}, number {number}")
        if _notes(service)[0]["history_from"] != 1:
            break
    return [prompt for prompt in talk.prompts() if "Write the notes." not in prompt[-1]["content"]]


def _asked_for_notes(talk: Talk) -> list[str]:
    return [prompt[-1]["content"] for prompt in talk.prompts() if "Write the notes." in prompt[-1]["content"]]


def _due(service: Stack) -> None:
    """Let time pass for notes that are to be tried again; where they were given up, the talk asks for them."""
    with service.owner.begin() as connection:
        connection.exec_driver_sql("update conversations set summarise_at = now() where summarise_to is not null")


def _paid(talk: Talk, service: Stack) -> int:
    found = (
        "select count(*) from model_calls m join contact_identities i on i.contact_id = m.contact_id"
        " where m.outcome = 'summary' and i.value like :number"
    )
    return service.one(found, number=f"%{talk.person.number}")
