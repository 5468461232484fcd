"""The bench beside other bots: what it makes of its figures. None of the others is needed for that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench import page
from bench.peers import figures, measure
from bench.peers.load import Said
from bench.peers.n8n import workflow
from bench.peers.outside import a_person, number_in


def _said(posted: float, *answers: float, acknowledged: float = 1.0, refused: int = 0) -> Said:
    return Said(person=a_person(), posted=posted, acknowledged=acknowledged, refused=refused, answers=list(answers))


def test_replies_a_second_count_from_the_first_post_to_the_last_answer() -> None:
    found = measure.of_burst([_said(10.0, 11.0), _said(10.1, 12.0, 12.5), _said(10.2, refused=2)], {"a": 0.03, "b": 0.01})

    assert found["per_s"] == pytest.approx(2 / 2.0)
    assert found["cpu_ms"] == pytest.approx(20.0)
    assert (found["unanswered"], found["refused"], found["twice"]) == (1, 2, 1)


def test_who_was_never_acknowledged_is_not_owed_an_answer() -> None:
    assert measure.of_burst([_said(1.0, 2.0), _said(1.0, acknowledged=0.0)], {})["unanswered"] == 0


def test_nobody_answered_gives_no_rate() -> None:
    assert measure.of_burst([_said(1.0)], {"a": 1.0})["per_s"] == 0.0


def test_cpu_between_two_looks_never_falls() -> None:
    assert measure.spent({"web": 2.0, "gone": 5.0}, {"web": 2.5, "new": 1.0, "again": 0.0}) == {"web": 0.5, "new": 1.0, "again": 0.0}


def test_a_person_is_known_by_both_ids() -> None:
    person = a_person()

    assert {number_in(f"+{person.number}"), number_in(person.bsuid or "")} == {person.number}


def _peer(per_s: float, cpu_ms: float, *, p50_ms: float = 40.0) -> dict[str, Any]:
    bursts = [{"at_once": size, "per_s": per_s, "cpu_ms": cpu_ms, "unanswered": 0, "parts_ms": {"all": cpu_ms}} for size in (16, 64, 256)]
    return {"version": "1", "bursts": bursts, "lone": {"p50_ms": p50_ms, "p95_ms": 60.0}, "pss_at_start_mb": {"all": 100.0}}


def test_an_aim_is_a_ratio_in_one_sitting() -> None:
    found = {"ours": _peer(50.0, 6.0), "twenty-lines": _peer(60.0, 3.0), "n8n": _peer(20.0, 60.0, p50_ms=30.0)}
    kept = {one["aim"]: (one["ratio"], one["met"]) for one in figures.aims(found)}

    assert kept["CPU a turn at 256 beside twenty-lines"] == (2.0, False)
    assert kept["replies a second at 256 beside n8n"] == (2.5, True)
    assert kept["added time of a lone question, p50, beside n8n"] == (1.333, True)
    assert kept["memory at the start beside 250 MB"] == (0.4, True)


def test_what_was_answered_before_a_kill_was_not_at_stake() -> None:
    killed = {"acknowledged": 20, "owed": 8, "answered": 0, "twice": 0}

    assert figures.rows_of({"nanobot": _peer(1.0, 1.0) | {"killed": killed}})[0]["after_kill"] == "0 of 8"


def test_an_aim_without_the_other_is_none() -> None:
    assert [one["aim"] for one in figures.aims({"ours": _peer(50.0, 6.0)})] == ["memory at the start beside 250 MB"]
    assert figures.aims({}) == []


def test_a_peer_that_cannot_be_set_up_is_a_row_and_a_note() -> None:
    found = {"ours": _peer(50.0, 6.0), "n8n": {"problem": "npm install ended with code 1: no space left on the device, and much more text"}}
    rows, notes = figures.rows_of(found), figures.notes(found)

    assert [row["peer"] for row in rows] == ["ours", "n8n"]
    assert any("n8n" in note and "much more text" in note for note in notes)


def test_the_page_shows_the_rows_and_the_notes() -> None:
    machine = {"cores": 2, "memory_gb": 24, "architecture": "x86_64", "python": "3.11"}
    found = {"ours": _peer(50.0, 6.0) | {"channel": "Cloud API", "settings": "as shipped"}}
    shown = page.page(
        [{"bench": "peers", "machine": machine, "rows": figures.rows_of(found), "aims": figures.aims(found), "notes": figures.notes(found)}]
    )

    assert "## Peers" in shown
    assert "* ours 1: Cloud API; as shipped" in shown
    assert "kill -9" in shown


def test_the_workflow_for_n8n_is_json_whatever_is_filled_in() -> None:
    made = workflow(model_url="http://m/v1", messages_url='http://p/"x"', token='a"b\\c')

    assert json.loads(json.dumps(made)) == made
    assert [node["name"] for node in made["nodes"]] == ["Webhook", "Is a text", "Ask", "Answer"]
    assert made["nodes"][3]["parameters"]["headerParameters"]["parameters"][0]["value"] == 'Bearer a"b\\c'


def test_no_expression_of_the_workflow_ends_early() -> None:
    texts = [str(value) for node in workflow(model_url="u", messages_url="u", token="t")["nodes"] for value in node["parameters"].values()]

    assert all(text.count("}}") == 1 for text in texts if text.startswith("={{"))
