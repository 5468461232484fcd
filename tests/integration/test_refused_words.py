"""What a model server will not answer, in the whole service: one message gets one sentence and the talk goes on; an operator is told of the rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bots.extract.texts import text
from tests.support.batches import lines, results, submit
from tests.support.cluster import Cluster
from tests.support.played_model import Played, PlayedModel, Prompt, played_model, text_of
from tests.support.processes import until
from tests.support.stack import WINDOWS, Stack
from tests.support.talk import Talk

_SENTENCE = text("filtered", "en")
_FILTERED = Played(status=400, body={"error": {"message": "the prompt was filtered by the content policy", "code": "content_filter"}})
#: Refusals of words that no list has, in statuses that filters use.
_UNKNOWN = [
    Played(status=400, body={"error": {"message": "Your wording displeases the committee.", "code": 1301}}),
    Played(status=403, body={"detail": "blocked by guardrail 7"}),
    Played(status=422, body={"message": "no"}),
    Played(status=403, body={}),
]
_KEY = Played(status=401, body={"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}})


@pytest.fixture(scope="module")
def model() -> Iterator[PlayedModel]:
    with played_model() as running:
        yield running


@pytest.fixture(scope="module")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, model: PlayedModel) -> Iterator[Stack]:
    """Web, dispatcher and one worker whose model this test plays. The invariants hold at the end."""
    quick = {"CHINWAG_DEBOUNCE_S": "0.02", "CHINWAG_DISPATCH_TICK_S": "0.03"}
    with Stack(cluster, tmp_path_factory.mktemp("refused"), settings=WINDOWS | quick) as running:
        running.env["CHINWAG_MODEL_URL"] = model.url
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running
        model.plays = lambda _prompt: None
        running.wait_settled()
        running.check()


@pytest.fixture
def talk(service: Stack, model: PlayedModel) -> Talk:
    model.plays = lambda _prompt: None
    return Talk(service)


def _refuses(model: PlayedModel, played: Played, *words: str) -> None:
    """Let the server refuse every prompt in which one of these words stands, wherever it stands."""
    model.plays = lambda prompt: played if any(word in text_of(prompt) for word in words) else None


def _prompts(model: PlayedModel, talk: Talk, text: str) -> tuple[list[str], list[Prompt]]:
    """Say this; returns what came back and what the server was asked meanwhile."""
    before = len(model.asked)
    parts = talk.got(talk.say(text))
    return parts, [prompt for _, prompt in model.asked[before:]]


@pytest.mark.parametrize("played", [_FILTERED, *_UNKNOWN])
def test_one_refused_message_gets_one_sentence_and_the_next_is_answered(talk: Talk, model: PlayedModel, played: Played) -> None:
    talk.ask("Good morning")
    _refuses(model, played, "knife")
    wamid = talk.say("My name is Marta, and where did I put the knife?")

    assert talk.got(wamid) == [_SENTENCE]
    assert (talk.turn(wamid)["state"], talk.turn(wamid)["reason"]) == ("answered", "filtered")
    parts, prompts = _prompts(model, talk, "And the spoon?")
    assert parts == ["You said: And the spoon?"]
    # Neither the words nor their answer come back, nor a fact in them; what was said before does.
    assert len(prompts) == 1
    assert "knife" not in text_of(prompts[0])
    assert _SENTENCE not in text_of(prompts[0])
    assert "Good morning" in text_of(prompts[0])
    assert talk.ask("/memory") == "I remember nothing about you."


def test_a_word_of_a_filter_in_the_history_costs_the_history_and_no_later_answer(talk: Talk, model: PlayedModel) -> None:
    talk.ask("My name is Marta")
    talk.ask("/reset")
    talk.ask("I have a new knife")
    _refuses(model, _FILTERED, "knife")

    assert _prompts(model, talk, "What is a spoon?")[0] == ["You said: What is a spoon?"]
    parts, prompts = _prompts(model, talk, "And a fork?")
    assert parts == ["You said: And a fork?"]
    assert len(prompts) == 1, "the next prompt is taken at once"
    assert "What is a spoon?" in text_of(prompts[0])
    assert "Marta" in text_of(prompts[0]), "what is remembered stays"


def test_a_word_of_a_filter_in_a_memory_costs_no_answer_and_not_the_history(talk: Talk, model: PlayedModel) -> None:
    talk.ask("My name is Knifely")
    talk.ask("/reset")
    talk.ask("Good morning")
    _refuses(model, _FILTERED, "Knifely")

    for asked in ("What is a spoon?", "And a fork?"):
        parts, prompts = _prompts(model, talk, asked)
        assert parts == [f"You said: {asked}"]
        assert "Good morning" in text_of(prompts[-1])
    assert talk.ask("/why") == "My last answer used no memories."


def test_an_answer_that_a_filter_ended_is_not_shown_and_is_paid_for(talk: Talk, model: PlayedModel) -> None:
    _refuses(model, Played(words=["Roses are ", "red, and"], finish="content_filter"), "poem")
    wamid = talk.say("A poem, please")

    assert talk.got(wamid) == [_SENTENCE]
    calls = talk.stack.rows("select outcome, tokens_out > 0 as paid from model_calls where turn_id = :turn", turn=talk.turn(wamid)["id"])
    assert calls == [{"outcome": "filtered", "paid": True}]


def test_a_refusal_of_the_key_waits_stands_on_the_attention_page_and_leaves_it_with_the_next_answer(
    talk: Talk, model: PlayedModel, service: Stack
) -> None:
    model.plays = lambda _prompt: _KEY
    wamid = talk.say("Good morning")
    until(lambda: _refusals(service), what="the refusal is noted")
    waits = "select state from turns t join inbox i on i.turn_id = t.id where i.event_key = :key"
    until(
        lambda: service.one(
            "select hold_until > now() from conversations c join inbox i on i.conversation_id = c.id where i.event_key = :key", key=wamid
        ),
        what="the turn waits",
    )

    assert service.one(waits, key=wamid) == "open"
    assert _refusals(service) == [("default", "refused", 401, "Incorrect API key provided", True)]
    model.plays = lambda _prompt: None
    _ask_now(service, wamid)
    assert talk.got(wamid) == ["You said: Good morning"]
    until(lambda: not _refusals(service), what="the entry is gone")


def test_a_batch_line_that_a_filter_refuses_fails_alone_and_says_why(talk: Talk, model: PlayedModel, service: Stack) -> None:
    _refuses(model, _FILTERED, "question 2")
    batch = submit(service.engine("web"), lines(3), bot="tester").batch
    assert batch is not None
    until(lambda: service.one("select state from batches where id = :id", id=batch) == "done", what="the batch is done", timeout_s=30)
    found = results(service.engine("web"), batch)

    assert [line["error"] and line["error"]["code"] for line in found] == [None, "content_filter", None]


def _refusals(stack: Stack) -> list[tuple[object, ...]]:
    rows = stack.rows("select endpoint, kind, status, said, attention_at is not null as shown from model_refusals")
    return [tuple(row.values()) for row in rows]


def _ask_now(stack: Stack, wamid: str) -> None:
    """Let time pass for a turn that waits."""
    due = "update conversations set ready_at = now(), hold_until = null where id = (select conversation_id from inbox where event_key = %(key)s)"
    with stack.owner.begin() as connection:
        connection.exec_driver_sql(due, {"key": wamid})
