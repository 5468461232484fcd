"""The practice platform's faults on demand, each seen from a client's side, and its end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.practice import ANA, Business, Platform, a_business, a_registered, register, start, stop, until


@pytest.fixture
def business() -> Iterator[Business]:
    with a_business() as business:
        yield business


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = start(tmp_path_factory.mktemp("platform"))
    yield platform
    stop(platform)


@pytest.fixture
def platform(process: Platform, business: Business) -> Iterator[Platform]:
    with a_registered(process, business) as platform:
        yield platform


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("429", 429, 4),
        ("130429", 400, 130429),
        ("131056", 400, 131056),
        ("190", 401, 190),
        ("131047", 400, 131047),
        ("131000", 500, 131000),
    ],
)
def test_a_scripted_refusal_happens_once_and_is_not_accepted(platform: Platform, fault: str, status: int, code: int) -> None:
    platform.script({"fault": fault, "retry_after_s": 2}, correlation=f"c-{fault}")
    other = platform.send(biz_opaque_callback_data="someone else")
    refused = platform.send(biz_opaque_callback_data=f"c-{fault}")
    again = platform.send(biz_opaque_callback_data=f"c-{fault}")

    assert (other.status_code, again.status_code) == (200, 200)
    assert (refused.status_code, refused.json()["error"]["code"], refused.headers["retry-after"]) == (status, code, "2")
    assert [entry["outcome"] for entry in platform.log()[-3:]] == ["accepted", "refused", "accepted"]


def test_a_500_has_no_graph_body_and_garbage_is_no_json(platform: Platform) -> None:
    platform.script("500", "garbage_200", "truncated_200")

    assert "Sorry" in platform.send().text
    assert platform.send().text.startswith("<!doctype")
    with pytest.raises(httpx.RemoteProtocolError):
        platform.send()
    assert [entry["outcome"] for entry in platform.log()[-3:]] == ["refused", "accepted", "accepted"]


@pytest.mark.parametrize(("fault", "outcome"), [("accept_then_hang", "accepted"), ("hang", "refused")])
def test_silence_lasts_until_the_client_gives_up(platform: Platform, business: Business, fault: str, outcome: str) -> None:
    platform.script({"fault": fault, "status_delay_s": 0.1})

    with pytest.raises(httpx.ReadTimeout):
        platform.send(timeout=0.3, biz_opaque_callback_data=fault)
    assert platform.log()[-1]["outcome"] == outcome
    if outcome == "accepted":
        until(lambda: business.statuses(fault) == ["sent", "delivered", "read"])


@pytest.mark.parametrize(("fault", "outcome"), [("accept_then_close", "accepted"), ("close", "refused")])
def test_a_connection_may_close_without_an_answer(platform: Platform, fault: str, outcome: str) -> None:
    platform.script(fault)

    with pytest.raises(httpx.RemoteProtocolError):
        platform.send()
    assert platform.log()[-1]["outcome"] == outcome
    assert platform.send().status_code == 200


@pytest.mark.parametrize("accept", [True, False])
def test_a_held_request_waits_for_its_release(platform: Platform, accept: bool) -> None:
    platform.script("read_body_then_hold")
    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(platform.send().status_code)
        except httpx.RemoteProtocolError:
            answers.append("closed")

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: [entry["outcome"] for entry in platform.log()[-1:]] == ["held"])
    assert platform.http.post("/_practice/release", json={"accept": accept}).json() == {"released": 1}
    thread.join()

    assert answers == [200 if accept else "closed"]
    assert platform.log()[-1]["outcome"] == ("accepted" if accept else "held")


def test_statuses_can_be_missing_early_double_or_failed(platform: Platform, business: Business) -> None:
    platform.script("no_status", correlation="never")
    platform.script("status_before_response", correlation="early")
    platform.script("duplicate_status", correlation="double")
    platform.script({"fault": "failed_status", "code": 131047}, correlation="failed")
    platform.send(biz_opaque_callback_data="never")
    platform.send(biz_opaque_callback_data="early")
    early = business.statuses("early")
    platform.send(biz_opaque_callback_data="double")
    platform.send(biz_opaque_callback_data="failed")

    assert sorted(early) == ["delivered", "read", "sent"]
    until(lambda: len(business.statuses("double")) == 6)
    until(lambda: business.statuses("failed") == ["failed"])
    assert business.statuses("never") == []


def test_latency_delays_the_answer(platform: Platform) -> None:
    platform.script({"fault": "latency", "latency_ms": 200})
    began = time.monotonic()
    platform.send()

    assert time.monotonic() - began >= 0.2


def test_a_wrong_control_request_says_what_is_wrong(platform: Platform) -> None:
    for path, body in [
        ("numbers", {"phone_number_id": "1"}),
        ("script", {"match": {"colour": "red"}, "faults": ["500"]}),
        ("script", {"faults": ["explode"]}),
        ("inbound", {"phone_number_id": "nobody", "from": ANA, "text": "x"}),
    ]:
        response = platform.http.post(f"/_practice/{path}", json=body)
        assert response.status_code == 400
        assert response.json()["error"]
    assert platform.http.post("/_practice/script", content=b'{"clear":true}', headers={"content-type": "text/plain"}).status_code == 400


def test_it_stops_within_a_second_and_remembers_its_numbers_and_log(tmp_path: Path, business: Business) -> None:
    first = start(tmp_path / "state")
    register(first, business)
    first.script("hang")
    with pytest.raises(httpx.ReadTimeout):
        first.send(timeout=0.1)
    first.send(biz_opaque_callback_data="before")
    assert stop(first) < 1.0

    second = start(tmp_path / "state")
    assert second.send(biz_opaque_callback_data="after").status_code == 200
    entries = second.log()
    stop(second)
    assert [(entry["n"], entry["correlation"]) for entry in entries][1:] == [(2, "before"), (3, "after")]
    assert (tmp_path / "state" / "numbers.json").stat().st_mode & 0o077 == 0
    lines = (tmp_path / "state" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == [1, 2, 3]
