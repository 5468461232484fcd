"""Reasons explained, and places in lists as they stand in addresses."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from bots.admin.attention.reasons import explain
from bots.web import marks


@pytest.mark.parametrize("code", [190, 10, 131047, 131026, 131056, 130429, 368, 551])
def test_a_code_of_the_platform_is_explained_with_a_fix(code: int) -> None:
    found = explain("send", f"platform:{code}", state="failed")

    assert f"(code {code})" in found.message
    assert len(found.message) > 30
    assert found.fix


def test_a_code_that_nobody_knows_still_gets_a_message_and_a_button() -> None:
    found = explain("send", "code:987654", state="failed")

    assert "987654" in found.message
    assert found.fits == "dismiss"


@pytest.mark.parametrize(
    ("kind", "reason", "state", "fits"),
    [
        ("send", "unknown", "unknown", "settle"),
        ("send", None, "unknown", "settle"),
        ("send", None, "failed", "resend"),
        ("send", "platform:131047", "failed", "dismiss"),
        ("send", "code:131056", "failed", "resend"),
        ("send", "code:190", "failed", "resend"),
        ("turn", "error:ValueError", "dead", "replay"),
        ("envelope", "not_storable", "quarantined", "replay"),
        ("envelope", "3 events of an account that is not here: phone_number_id 12", "quarantined", "replay"),
        ("envelope", "no JSON", "quarantined", "replay"),
        ("account", "code:190", "needs_attention", "resume"),
        ("account", "code:131026", "needs_attention", "resume"),
        ("account", None, "needs_attention", "resume"),
        ("account", "rejected", "needs_attention", "resume"),
        ("account", "not_sent", "needs_attention", "resume"),
        ("account", "code:190/460", "needs_attention", "resume"),
        ("account", "platform:131031", "needs_attention", "resume"),
        ("account", "alike:code:200/1545041", "needs_attention", "resume"),
        ("account", "alike:http:403", "needs_attention", "resume"),
        ("account", "notice:account_update/ACCOUNT_DELETED", "needs_attention", "resume"),
        ("notice", "notice:phone_number_quality_update/FLAGGED", "notice", "dismiss"),
        ("send", "http:413", "failed", "resend"),
        ("budget", "month:clinic", "budget", "dismiss"),
        ("model", "401:Incorrect API key provided", "refused", "dismiss"),
        ("model", "0:", "refused", "dismiss"),
        ("model", "429:You exceeded your current quota: check billing", "quota", "dismiss"),
        ("budget", "contact_day:clinic", "budget", "dismiss"),
    ],
)
def test_every_trouble_has_one_button_that_fits(kind: str, reason: str | None, state: str, fits: str) -> None:
    assert explain(kind, reason, state=state).fits == fits


def test_an_errors_name_is_shown_and_the_account_that_is_not_here_is_named() -> None:
    assert "ValueError" in explain("turn", "error:ValueError").message
    assert "phone_number_id 12" in explain("envelope", "3 events of an account that is not here: phone_number_id 12").message


def test_a_place_is_read_as_it_was_written() -> None:
    at, number = datetime(2026, 11, 24, 21, 45, 3, 123457, tzinfo=UTC), UUID(int=7)

    assert marks.read(marks.after(at, number)) == (at, number)
    assert marks.read_line(marks.after_line(at, 1, 2**40)) == (at, 1, 2**40)


@pytest.mark.parametrize(
    "junk", ["", "_", "1", "x_y", "9" * 70 + "_" + str(UUID(int=1)), "1_2", "1_2_3", "1_0_-1", f"1_0_{2**63}", "\0", "1_1_x"]
)
def test_a_place_that_is_none_is_nothing(junk: str) -> None:
    assert marks.read(junk) is None
    assert marks.read_line(junk) is None


@pytest.mark.parametrize(
    ("reason", "state", "message", "fix"),
    [
        ("401:Incorrect API key provided", "refused", "refuses calls (HTTP 401): Incorrect API key provided. ", "Enter a valid key"),
        (
            "400:Unsupported value: 'x'.",
            "refused",
            "refuses calls (HTTP 400): Unsupported value: 'x'. If it refuses the words",
            "Check the name of the model",
        ),
        ("0:", "refused", "refuses calls. If it refuses the words", "Check the name of the model"),
        ("401:Incorrect key: sk-…", "refused", "refuses calls (HTTP 401): Incorrect key: sk-… Other endpoints", "Enter a valid key"),
        ("402:", "quota", "no credit or quota left (HTTP 402). ", "Add credit"),
        ("429:code:190 of 3", "quota", "left (HTTP 429): code:190 of 3. ", "Add credit"),
    ],
)
def test_a_model_servers_refusal_is_told_in_its_own_words(reason: str, state: str, message: str, fix: str) -> None:
    found = explain("model", reason, state=state)

    assert message in found.message
    assert fix in found.fix
