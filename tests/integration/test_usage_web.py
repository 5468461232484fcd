"""Tokens and money on pages, over the API and by commands; budgets of a bot set by form, API and command."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from bots.domain import Role
from bots.storage import usage
from tests.support import build, forked
from tests.support.batches import lines, submit
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.processes import until
from tests.support.stack import Stack

#: Of one turn of each person, and of each item of the batch.
_TALK, _ITEM = 0.0123, 0.5
_NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("usage"))) as running:
        running.model.script(echo=True)
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        for _ in range(2):
            running.say(build.a_person(), "hello")
        running.wait_settled()
        engine = running.engine("web").execution_options(isolation_level="AUTOCOMMIT")
        submit(engine, lines(2), bot="tester")
        _wait_for_batch(running)
        _price(running)
        yield running


def _wait_for_batch(stack: Stack) -> None:
    until(lambda: stack.one("select count(*) from batch_items where state = 'done'") == 2, what="the batch's end", timeout_s=20)


def _price(stack: Stack) -> None:
    """Give what was answered its price, and add it up, instead of what the dispatcher added of it meanwhile."""
    with stack.owner.begin() as connection:
        connection.exec_driver_sql("update model_calls set cost = %s, tokens_in = 100, tokens_cached = 75, tokens_out = 7", (_TALK,))
        connection.exec_driver_sql("update batch_items set cost = %s, endpoint = '=own'", (_ITEM,))
        connection.exec_driver_sql("delete from usage_days")
        connection.exec_driver_sql("update usage_until set at = now() - interval '1 hour'")
    crossing = stack.engine("crossing").execution_options(isolation_level="AUTOCOMMIT")
    usage.roll(crossing, margin_s=0)


@pytest.fixture(scope="module")
def api(served: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {a_token(served, Role.VIEWER)}"}
    with httpx.Client(base_url=served.web_url, headers=headers, timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def signed_in(served: Stack) -> Iterator[SignedIn]:
    with SignedIn(served, Role.OPERATOR) as session:
        yield session


def _chinwag(stack: Stack, *arguments: str) -> tuple[int, str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(stack.folder), **stack.env}
    return forked.said("chinwag", *arguments, env=env)


def test_the_page_shows_a_month_by_day_bot_and_model(signed_in: SignedIn) -> None:
    page = signed_in.get("/admin/usage").text

    assert "$1.02" in page
    assert "tester" in page
    assert "scripted" in page
    assert 'aria-labelledby="money-title money-told"' in page
    assert f'<option value="{_NOW:%Y-%m}" selected>' in page
    assert "No model was called this month." in signed_in.get("/admin/usage?month=2020-01").text
    # What is no month is the current one.
    assert "$1.02" in signed_in.get("/admin/usage?month=2020-13").text


def test_the_home_page_and_the_bots_page_say_what_the_month_cost(served: Stack, signed_in: SignedIn) -> None:
    bot = served.one("select id from bots where name = 'tester'")

    assert re.search(r"\$1\.02</span> <a[^>]*>spent this month", signed_in.get("/admin").text)
    assert '<span class="big">$1.02</span>' in signed_in.get(f"/admin/bots/{bot}").text


def test_a_conversation_shows_the_money_of_each_turn_and_in_all(served: Stack, signed_in: SignedIn, api: httpx.Client) -> None:
    conversation = served.one("select id from conversations limit 1")
    turn = served.one("select id from turns where conversation_id = :conversation", conversation=conversation)
    page = signed_in.get(f"/admin/conversations/{conversation}").text
    found = api.get(f"/api/v1/conversations/{conversation}").json()
    story = api.get(f"/api/v1/conversations/{conversation}/turns/{turn}").json()

    assert page.count("$0.0123") >= 3
    assert "$0.0123" in signed_in.get(f"/admin/conversations/{conversation}/turns/{turn}").text
    assert (found["cost"]["cost"], found["turns"][0]["cost"], found["spent"]) == (
        _TALK,
        _TALK,
        {"today": _TALK, "month": _TALK, "estimated": False},
    )
    assert [call["cost"] for call in story["calls"]] == [_TALK]


def test_a_batch_shows_its_money_on_its_page_and_by_command(served: Stack, signed_in: SignedIn) -> None:
    batch = served.one("select id from batches")
    code, shown = _chinwag(served, "batch", "show", str(batch))

    assert "<dt>Cost</dt><dd>$1.00</dd>" in signed_in.get(f"/admin/batches/{batch}").text
    assert (code, "; $1.00" in shown) == (0, True)
    assert json.loads(_chinwag(served, "batch", "show", str(batch), "--json")[1])["cost"] == 1.0


def test_the_api_gives_the_same_sums(api: httpx.Client) -> None:
    found = api.get("/api/v1/usage").json()

    assert (found["first"], found["total"]["calls"]) == (f"{_NOW:%Y-%m}-01", 4)
    assert found["total"]["cost"] == pytest.approx(2 * _TALK + 2 * _ITEM)
    assert {one["kind"]: round(one["cost"], 6) for one in found["days"]} == {"talk": 2 * _TALK, "batch": 2 * _ITEM}
    assert api.get("/api/v1/usage", params={"month": "2020-01"}).json()["total"]["calls"] == 0
    assert api.get("/api/v1/usage", params={"month": "2020-13"}).status_code == 422
    assert "/api/v1/usage" in api.get("/openapi.json").json()["paths"]


def test_the_file_holds_the_same_sums_and_no_formula(signed_in: SignedIn) -> None:
    answer = signed_in.get(f"/admin/usage.csv?month={_NOW:%Y-%m}")
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert answer.headers["content-disposition"] == f'attachment; filename="usage-{_NOW:%Y-%m}-UTC.csv"'
    assert sum(float(row["cost_usd"]) for row in rows) == pytest.approx(2 * _TALK + 2 * _ITEM)
    assert {row["endpoint"][0] for row in rows if row["kind"] == "batch"} == {"'"}


@pytest.mark.parametrize(("by", "line"), [("bot", "tester"), ("model", "scripted at "), ("day", f"{_NOW:%Y-%m-%d} batch")])
def test_the_command_shows_a_month(served: Stack, by: str, line: str) -> None:
    code, shown = _chinwag(served, "usage", "--by", by)

    assert code == 0
    assert any(row.startswith(line) for row in shown.splitlines()), shown
    assert re.search(r"^total +\$1\.02 +4 ", shown, re.MULTILINE)


def test_the_commands_json_is_the_month_and_a_month_that_is_none_is_one_line(served: Stack) -> None:
    found = json.loads(_chinwag(served, "usage", "--json")[1])
    code, said = _chinwag(served, "usage", "--month", "2026-13")

    assert found["total"]["cost"] == pytest.approx(2 * _TALK + 2 * _ITEM)
    assert code == 2
    assert "2026-13 is not a month" in said
    assert "Traceback" not in said


def _made(signed_in: SignedIn, name: str) -> str:
    fields = {"persona": "You are kind.", "profile": "default", "fallback_text": "Sorry."}
    return signed_in.post("/admin/bots/new", name=name, **fields).headers["location"]


def test_budgets_and_leaving_the_house_are_set_by_form_kept_when_wrong_and_taken_away(served: Stack, signed_in: SignedIn) -> None:
    page = _made(signed_in, "thrifty")
    bot = UUID(page.rpartition("/")[2])
    fields = {"name": "thrifty", "persona": "You are kind.", "profile": "default", "fallback_text": "Sorry.", "base": "1"}

    def now() -> tuple[object, ...]:
        row = served.rows("select data_may_leave, budget_contact_day, budget_month from bots where id = :bot", bot=bot)[0]
        return tuple(row.values())

    assert now() == (False, None, None)
    assert signed_in.post(page, **fields, data_may_leave="on", budget_contact_day="0.05", budget_month="$20").status_code == 303
    assert now() == (True, 0.05, 20.0)
    shown = signed_in.get(page).text
    assert 'value="0.05"' in shown
    assert "of $20.00" in shown
    wrong = signed_in.post(page, **fields, data_may_leave="on", budget_contact_day="0,05", budget_month="20")
    assert (wrong.status_code, 'value="0,05"' in wrong.text, "such as 0.50" in wrong.text) == (422, True, True)
    assert now() == (True, 0.05, 20.0)
    signed_in.post(page, **fields)
    assert now() == (False, None, None)
    changed = served.rows("select detail from audit where action = 'bot.change' and subject = 'bot:thrifty' order by at")
    assert changed[0]["detail"] == {"changed": ["data_may_leave", "budget_contact_day", "budget_month"]}


def test_the_api_sets_and_clears_budgets_and_refuses_what_is_none(served: Stack) -> None:
    headers = {"Authorization": f"Bearer {a_token(served, Role.OPERATOR)}"}
    with httpx.Client(base_url=served.web_url, headers=headers, timeout=20, trust_env=False) as client:
        made = client.post("/api/v1/bots", json={"name": "api bot", "persona": "p", "budget_month": 3.5}).json()
        where = f"/api/v1/bots/{made['id']}"
        set_ = client.patch(where, json={"data_may_leave": True, "budget_contact_day": 0.1}).json()
        cleared = client.patch(where, json={"budget_month": None}).json()
        refused = [client.patch(where, json={"budget_month": value}).status_code for value in (0, -1, 1e9, "much")]

    assert (made["budget_month"], made["budget_contact_day"], made["data_may_leave"]) == (3.5, None, False)
    assert (set_["budget_month"], set_["budget_contact_day"], set_["data_may_leave"]) == (3.5, 0.1, True)
    assert (cleared["budget_month"], cleared["budget_contact_day"]) == (None, 0.1)
    assert refused == [422] * 4


def test_the_command_sets_and_clears_budgets(served: Stack) -> None:
    assert _chinwag(served, "bot", "set", "shell", "--data-may-leave", "--budget-contact-day", "0.2", "--budget-month", "7")[0] == 0
    first = json.loads(_chinwag(served, "bot", "show", "shell", "--json")[1])
    _chinwag(served, "bot", "set", "shell", "--no-data-may-leave", "--budget-month", "")
    second = json.loads(_chinwag(served, "bot", "show", "shell", "--json")[1])
    code, said = _chinwag(served, "bot", "set", "shell", "--budget-month", "lots")

    assert (first["data_may_leave"], first["budget_contact_day"], first["budget_month"]) == (True, 0.2, 7.0)
    assert (second["data_may_leave"], second["budget_contact_day"], second["budget_month"]) == (False, 0.2, None)
    assert (code, "such as 0.50" in said, "Traceback" in said) == (2, True, False)


def test_the_bots_page_warns_where_a_budget_meets_an_endpoint_without_a_price(served: Stack, signed_in: SignedIn) -> None:
    page = _made(signed_in, "unpriced")
    bot = page.rpartition("/")[2]
    with served.owner.begin() as connection:
        tenant = connection.exec_driver_sql("select tenant_id from bots where name = 'unpriced'").scalar_one()
        connection.exec_driver_sql(
            "with e as (insert into endpoints (tenant_id, name, url, model, probe_at) values (%s, 'mystery', 'http://127.0.0.1:9/v1', 'm', null)"
            " returning tenant_id, id) insert into profile_endpoints (tenant_id, profile, position, endpoint_id)"
            " select tenant_id, 'odd', 0, id from e",
            (tenant,),
        )
        connection.exec_driver_sql("update bots set profile = 'odd' where id = %s", (bot,))
    without = signed_in.get(page).text
    with served.owner.begin() as connection:
        connection.exec_driver_sql("update bots set budget_month = 1 where id = %s", (bot,))
    with_budget = signed_in.get(page).text
    with served.owner.begin() as connection:
        connection.exec_driver_sql("update endpoints set price_in = 1, price_out = 2 where name = 'mystery'")

    assert "No price is known" not in without
    assert "No price is known for mystery" in with_budget
    assert "No price is known" not in signed_in.get(page).text


def test_a_budget_that_is_used_up_shows_on_the_bots_page(served: Stack, signed_in: SignedIn) -> None:
    bot = served.one("select id from bots where name = 'tester'")
    with served.owner.begin() as connection:
        connection.exec_driver_sql("update bots set budget_month = 0.5 where id = %s", (bot,))
    page = signed_in.get(f"/admin/bots/{bot}").text
    with served.owner.begin() as connection:
        connection.exec_driver_sql("update bots set budget_month = null where id = %s", (bot,))

    assert "The budget is used up" in page
    assert '<progress class="meter"' in page


def test_what_was_counted_or_estimated_here_is_marked_wherever_it_is_shown(served: Stack, signed_in: SignedIn, api: httpx.Client) -> None:
    conversation = served.one("select id from conversations limit 1")
    turn = served.one("select id from turns where conversation_id = :conversation", conversation=conversation)
    batch = served.one("select id from batches")
    pages = (f"conversations/{conversation}", f"conversations/{conversation}/turns/{turn}", f"batches/{batch}", "usage")

    def marked() -> list[bool]:
        return [">about</abbr>" in signed_in.get(f"/admin/{page}").text for page in pages]

    before = marked()
    with served.owner.begin() as connection:
        for table in ("model_calls", "batch_items"):
            connection.exec_driver_sql(f"update {table} set estimated = true")
        connection.exec_driver_sql("update usage_days set calls_estimated = 1")
    after, page = marked(), signed_in.get("/admin/usage").text
    found = api.get(f"/api/v1/conversations/{conversation}").json()
    story = api.get(f"/api/v1/conversations/{conversation}/turns/{turn}").json()
    month, by_command = api.get("/api/v1/usage").json(), _chinwag(served, "usage")[1]
    shown, as_json = _chinwag(served, "batch", "show", str(batch))[1], _chinwag(served, "batch", "show", str(batch), "--json")[1]
    talk = _chinwag(served, "conversation", "show", str(conversation))[1]
    rows = list(csv.DictReader(io.StringIO(signed_in.get(f"/admin/usage.csv?month={_NOW:%Y-%m}").text)))
    with served.owner.begin() as connection:
        for table in ("model_calls", "batch_items"):
            connection.exec_driver_sql(f"update {table} set estimated = false")
        connection.exec_driver_sql("update usage_days set calls_estimated = 0")

    assert (before, after) == ([False] * 4, [True] * 4)
    assert "calls were counted or estimated here, since their servers did not count them" in page
    assert (found["cost"]["estimated"], found["turns"][0]["estimated"], found["spent"]["estimated"]) == (True, True, True)
    assert [call["estimated"] for call in story["calls"]] == [True]
    assert month["total"]["calls_estimated"] == len(rows)
    assert all(row["calls_estimated"] == "1" for row in rows)
    assert "estimated" in by_command.splitlines()[1]
    assert ("tokens: about" in shown, json.loads(as_json)["estimated"], "tokens about" in talk) == (True, True, True)
