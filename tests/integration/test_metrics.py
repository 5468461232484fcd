"""/metrics: what was counted while people were answered, the numbers that Postgres holds, and who may read them."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bots import metrics
from bots.domain import Outcome
from bots.storage import gauges
from bots.storage.database import hot, open_engine
from bots.storage.turns import ModelCall, TurnResult
from bots.web.metrics import Work
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import ROOT
from tests.support.stack import Stack, a_free_port
from tests.support.storage_fixture import StorageFixture, a_message
from workers import metrics as counted

_NAME = re.compile(r"^chinwag_[a-z_]+$")
#: Bases, counters and sums of Prometheus, and things that are counted as they are.
_UNITS = ("_total", "_created", "_seconds", "_seconds_bucket", "_seconds_count", "_seconds_sum")
_COUNTED = {
    "chinwag_postgres_up",
    "chinwag_conversations_due",
    "chinwag_conversations_running",
    "chinwag_conversations_taken_over",
    "chinwag_outbox_unsent",
    "chinwag_workers",
    "chinwag_worker_slots",
    "chinwag_worker_slots_busy",
    "chinwag_attention_items",
    "chinwag_batch_items",
    "chinwag_send_limits",
}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _samples(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}


def _read(port: int) -> Samples:
    return _samples(httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).raise_for_status().text)


def _key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_an_answered_person_is_counted_by_the_web_and_by_the_worker(stack: Stack) -> None:
    web, worker = a_free_port(), a_free_port()
    stack.start_web(CHINWAG_METRICS_PORT=str(web))
    stack.start_dispatcher()
    stack.start_worker(CHINWAG_METRICS_PORT=str(worker))
    stack.post(build.a_webhook(), secret="another secret")
    for _ in range(3):
        stack.say(build.a_person(), "hello")
    stack.wait_settled()
    taken, worked = _read(web), _read(worker)

    assert taken[_key("chinwag_webhooks_total", channel="whatsapp", verdict="stored")] >= 3
    assert taken[_key("chinwag_webhooks_total", channel="whatsapp", verdict="forged")] == 1
    assert taken[_key("chinwag_webhook_seconds_count", channel="whatsapp")] >= 4
    assert (taken[_key("chinwag_postgres_up")], taken[_key("chinwag_workers")]) == (1, 1)
    assert worked[_key("chinwag_turns_total", state="answered", reason="")] == 3
    assert worked[_key("chinwag_answer_seconds_count")] == worked[_key("chinwag_turn_seconds_count")] == 3
    assert worked[_key("chinwag_model_calls_total", outcome="ok")] == worked[_key("chinwag_model_first_token_seconds_count")] == 3
    assert worked[_key("chinwag_model_tokens_total", kind="answer")] > 0


def test_names_have_units_and_no_label_names_anybody(stack: Stack) -> None:
    web, worker = a_free_port(), a_free_port()
    stack.start_web(CHINWAG_METRICS_PORT=str(web))
    stack.start_dispatcher()
    stack.start_worker(CHINWAG_METRICS_PORT=str(worker))
    person = build.a_person("Marta")
    stack.say(person, "hello")
    stack.http.post("/webhooks/somebody/elses", content=b"{}")
    stack.wait_settled()
    samples = _read(web) | _read(worker)
    ours = {name for name, _ in samples if name.startswith("chinwag_")}
    values = {value for _, labels in samples for _, value in labels}

    assert all(_NAME.match(name) and (name in _COUNTED or name.endswith(_UNITS)) for name in ours)
    assert {value for value in values if person.number in value or value in {"Marta", "test", "somebody", build.PHONE_NUMBER_ID}} == set()


def test_the_webs_own_metrics_want_a_sign_in_and_a_port_of_its_own_does_not(stack: Stack) -> None:
    stack.settles = False
    port = a_free_port()
    stack.start_web(CHINWAG_METRICS_PORT=str(port))

    assert stack.http.get("/metrics").status_code == 401
    assert stack.http.get("/metrics", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).status_code == 200


def test_a_port_that_is_taken_stops_the_start_with_one_line(stack: Stack) -> None:
    stack.settles = False
    process = stack.processes.start("web", ["bots.web"], stack.env | {"CHINWAG_METRICS_PORT": str(httpx.URL(stack.platform.url).port)})

    assert process.popen.wait(20) == 2
    assert "CHINWAG_METRICS_PORT" in process.printed()
    assert "Traceback" not in process.printed()


def test_gauges_follow_the_work(storage: StorageFixture) -> None:
    def now() -> gauges.Gauges:
        with hot(storage.crossing) as connection:
            return gauges.read(connection)

    before = now()
    storage.let_in(a_message("hi"))
    waiting = now()
    claim = storage.claim()
    working = now()

    assert (before.due, before.running, before.oldest_due_s) == (0, 0, 0)
    assert (waiting.due, waiting.running) == (1, 0)
    assert claim is not None
    assert (working.due, working.running) == (0, 1)
    assert set(working.attention.values()) == {0}


def test_alarms_name_what_is_counted(storage: StorageFixture) -> None:
    known = {sample.name for family in metrics.gathered(Work(storage.crossing)).collect() for sample in family.samples}
    # A counter or histogram with labels has no sample before the first.
    known |= {f"{family.name}{end}" for family in metrics.gathered().collect() for end in ("_total", "_bucket")}
    named = set(re.findall(r"chinwag_[a-z_]+", (ROOT / "deploy" / "alerts.yml").read_text("utf-8")))

    assert named <= known
    assert len(named) > 5


def test_without_postgres_the_numbers_say_so_instead_of_failing(cluster: Cluster) -> None:
    nowhere = open_engine("postgresql+psycopg://x@127.0.0.1:9/none", pool=1, name="web crossing")
    samples = _samples(metrics.text(metrics.gathered(Work(nowhere))).decode())

    assert {name: value for (name, _), value in samples.items() if name.startswith("chinwag_postgres")} == {"chinwag_postgres_up": 0}


def test_counting_a_turn_costs_less_than_a_tenth_of_a_millisecond() -> None:
    call: dict[str, Any] = {"attempt": 1, "endpoint": "e", "model": "m", "prompt": [], "outcome": "ok", "tokens_in": 9, "tokens_out": 9}
    result = TurnResult(state="answered", calls=[ModelCall(**call, first_token_ms=5.0, total_ms=9.0)])

    def once() -> float:
        began = time.perf_counter()
        for _ in range(1000):
            counted.count_turn(result, waited_s=1.0, took_s=1.0)
            counted.count_send(Outcome.ACCEPTED, code=None, took_s=0.1)
        return (time.perf_counter() - began) / 1000

    assert min(once() for _ in range(5)) < 100e-6


@pytest.mark.parametrize(("reason", "label"), [(None, ""), ("error:ValueError", "error"), ("cut", "cut"), ("34600111222", "other")])
def test_a_reason_becomes_one_of_few_labels(reason: str | None, label: str) -> None:
    assert counted.reason_of(reason) == label


def test_codes_of_a_platform_become_at_most_a_hundred_labels() -> None:
    for code in range(1_000_000, 1_000_300):
        counted.count_send(Outcome.REJECTED, code=code, took_s=0.1)
    labels = {labels["code"] for sample in counted.SENDS.collect()[0].samples if (labels := sample.labels)}

    assert "other" in labels
    assert len(labels) <= 103
