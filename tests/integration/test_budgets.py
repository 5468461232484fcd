"""Budgets in the whole service: a scripted model with a price, people who use up what they may, and what they are told then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bots.crypto import Keyring
from bots.settings import Settings
from bots.storage import endpoints, tenants
from bots.storage.database import unit
from tests.support.batches import lines, submit
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import WINDOWS, Stack
from tests.support.talk import Talk

#: USD for a million tokens: so dear that one answer costs cents.
_PRICE = {"price_in": 1000.0, "price_cached": 100.0, "price_out": 2000.0}
_TOMORROW = "come back tomorrow"
_NEXT_MONTH = "come back next month"


@pytest.fixture(scope="module")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service whose one endpoint has a price."""
    quick = {"CHINWAG_DEBOUNCE_S": "0.02", "CHINWAG_DISPATCH_TICK_S": "0.03"}
    with Stack(cluster, tmp_path_factory.mktemp("budgets"), settings=WINDOWS | quick) as running:
        keyring = Keyring.from_settings(Settings.from_env(running.env))
        with unit(running.engine("web")) as connection:
            tenant = tenants.default(connection)
            form = endpoints.Form(name="priced", url=running.model.url + "/v1", model="scripted", leaves_house=False, **_PRICE)
            row = endpoints.add(connection, keyring, tenant=tenant, form=form)
            endpoints.set_profile(connection, tenant, "default", [(0, row.id)])
        with running.owner.begin() as connection:
            # Not to be measured: a probe's calls would stand among those of people.
            connection.exec_driver_sql("update endpoints set probe_at = null, probed_at = now()")
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running
        running.wait_settled()
        running.check()


@pytest.fixture
def talk(service: Stack) -> Iterator[Talk]:
    """A person of the test's own; afterwards the bot has no budget."""
    yield Talk(service)
    _set(service, budget_contact_day=None, budget_month=None)


def _set(stack: Stack, **budgets: float | None) -> None:
    """Set the bot's budgets, and wait until every process knows."""
    with stack.owner.begin() as connection:
        for name, usd in budgets.items():
            connection.exec_driver_sql(f"update bots set {name} = %s where name = 'tester'", (usd,))
        began = connection.exec_driver_sql("select clock_timestamp()").scalar_one()
    # A worker goes by a bot that it read up to two seconds ago.
    until(lambda: stack.one("select clock_timestamp() > cast(:began as timestamptz) + interval '2.2 s'", began=began), what="it is known")


def _calls(talk: Talk) -> int:
    return len(talk.prompts())


def _cost(stack: Stack, talk: Talk) -> float:
    return stack.one(
        "select coalesce(sum(m.cost), 0) from model_calls m join contact_identities i on i.contact_id = m.contact_id where i.value like :number",
        number=f"%{talk.person.number}",
    )


def _move(stack: Stack, talk: Talk, interval: str) -> None:
    """Let what this person has cost be of an earlier time."""
    with stack.owner.begin() as connection:
        connection.exec_driver_sql(
            "update model_calls set created_at = created_at - cast(%s as interval) where contact_id in"
            " (select contact_id from contact_identities where value like %s)",
            (interval, f"%{talk.person.number}"),
        )


def test_an_answer_costs_what_its_tokens_cost(service: Stack, talk: Talk) -> None:
    wamid = talk.say("hello")
    turn = talk.turn(wamid)
    call: dict[str, Any] = service.rows("select * from model_calls where turn_id = :turn", turn=turn["id"])[0]
    fresh = call["tokens_in"] - call["tokens_cached"]

    assert call["endpoint"] == "priced"
    assert call["tokens_in"] > 0
    assert call["cost"] == pytest.approx((fresh * 1000 + call["tokens_cached"] * 100 + call["tokens_out"] * 2000) / 1e6)


def test_a_contact_whose_day_is_used_up_is_told_politely_without_the_model_and_answered_again_the_next_day(
    service: Stack, talk: Talk
) -> None:
    talk.ask("hello")
    _set(service, budget_contact_day=_cost(service, talk) / 2)
    before = _calls(talk)
    wamid = talk.say("are you there?")
    told = talk.got(wamid)
    turn = talk.turn(wamid)

    assert len(told) == 1
    assert _TOMORROW in told[0]
    assert _calls(talk) == before
    assert (turn["state"], turn["reason"], turn["in_history"]) == ("answered", "budget", False)
    assert service.one("select count(*) from model_calls where turn_id = :turn", turn=turn["id"]) == 0
    # Commands work on.
    assert "/memory" in talk.ask("/help")

    _move(service, talk, "1 day")
    assert talk.ask("good morning") == "You said: good morning"
    assert _TOMORROW not in str(talk.prompt()), "the service's own sentence is no part of the talk"
    assert "are you there?" not in str(talk.prompt())


def test_notes_on_a_talk_wait_until_there_is_money_again(service: Stack, talk: Talk) -> None:
    talk.ask("hello")
    _set(service, budget_contact_day=_cost(service, talk) / 2)
    conversation = service.one(
        "select c.id from conversations c join contact_identities i on i.contact_id = c.contact_id where i.value like :number",
        number=f"%{talk.person.number}",
    )
    with service.owner.begin() as connection:
        connection.exec_driver_sql("update conversations set summarise_at = now(), summarise_to = 1 where id = %s", (conversation,))
    waits = "select summarise_at > now() + interval '5 min' from conversations where id = :id"
    until(lambda: service.one(waits, id=conversation), what="the notes wait")

    assert service.one("select summarise_tries from conversations where id = :id", id=conversation) == 0
    assert not any("Write the notes." in prompt[-1]["content"] for prompt in talk.prompts())


def test_one_contacts_budget_is_no_others(service: Stack, talk: Talk) -> None:
    talk.ask("hello")
    _set(service, budget_contact_day=_cost(service, talk) * 0.9)
    other = Talk(service)

    assert other.ask("hello") == "You said: hello"
    assert _TOMORROW in talk.ask("hello?")


def test_the_sentence_is_in_the_contacts_language(service: Stack, talk: Talk) -> None:
    talk.ask("Hablo español")
    talk.ask("/reset")
    _set(service, budget_contact_day=_cost(service, talk) / 2)

    assert "Vuelve mañana" in talk.ask("¿Hola?")


def test_a_bot_whose_month_is_used_up_says_so_to_everybody_wants_attention_once_and_holds_its_batches(service: Stack, talk: Talk) -> None:
    talk.ask("hello")
    _set(service, budget_month=_cost(service, talk) / 2)
    # A process goes by the sum that it read up to ten seconds ago.
    until(lambda: _NEXT_MONTH in Talk(service).ask("hello"), what="the month's budget is met", timeout_s=20)
    others = [Talk(service) for _ in range(2)]
    told = [one.ask("hello") for one in others]
    asked = [_calls(one) for one in others]
    engine = service.engine("web").execution_options(isolation_level="AUTOCOMMIT")
    until(lambda: _held_at_once(service, engine), what="a new batch is held", timeout_s=20)
    listed = service.rows("select count(*) as n, count(distinct reason) as reasons from turns where reason = 'budget'")[0]

    assert all(_NEXT_MONTH in words for words in told)
    assert asked == [0, 0]
    assert listed["n"] >= 3
    assert listed["reasons"] == 1


def _held_at_once(service: Stack, engine: Any) -> bool:
    """Whether a batch of a bot whose month is used up waits: its hold lies well ahead, and not for a model that is away."""
    if not service.one("select count(*) from batches"):
        submit(engine, lines(200), bot="tester")
    return bool(service.one("select count(*) from batches where hold_until > now() + interval '10 s'"))
