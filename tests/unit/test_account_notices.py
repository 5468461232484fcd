"""What notices of the platforms and failed statuses mean for an account, by table."""

from __future__ import annotations

import pytest

from bots.admin.attention.reasons import explain
from bots.channels.account_notices import NOTICES, judge, judged, of_code
from bots.domain import AccountNotice, ChannelKind, DeliveryStatus, EventKind, InboundEvent, Measure, Received, StatusUpdate

_CLOUD = ChannelKind.WHATSAPP

#: Field, event, detail: what it does, and what it is about.
_TABLE = [
    ("account_update", "DISABLED_UPDATE", "DISABLE", Measure.PARK, "ban"),
    ("account_update", "DISABLED_UPDATE", "SCHEDULE_FOR_DISABLE", Measure.SHOW, "ban"),
    ("account_update", "DISABLED_UPDATE", "REINSTATE", Measure.RESUME, "ban"),
    ("account_update", "DISABLED_UPDATE", None, Measure.SHOW, "ban"),
    ("account_update", "DISABLED_UPDATE", "SOMETHING_NEW", Measure.SHOW, "ban"),
    ("account_update", "ACCOUNT_DELETED", None, Measure.PARK, "deleted"),
    ("account_update", "ACCOUNT_OFFBOARDED", None, Measure.PARK, "connection"),
    ("account_update", "ACCOUNT_RECONNECTED", None, Measure.RESUME, "connection"),
    ("account_update", "ACCOUNT_VIOLATION", "SCAM", Measure.SHOW, "violation"),
    ("account_update", "ACCOUNT_RESTRICTION", "RESTRICTED_BIZ_INITIATED_MESSAGING", Measure.SHOW, "restriction"),
    ("account_update", "PARTNER_REMOVED", None, Measure.SHOW, "partner"),
    ("account_update", "PARTNER_ADDED", None, Measure.NOTE, "partner"),
    ("account_update", "VOLUME_BASED_PRICING_TIER_UPDATE", None, Measure.NOTE, "account_update/VOLUME_BASED_PRICING_TIER_UPDATE"),
    ("account_review_update", "REJECTED", None, Measure.SHOW, "review"),
    ("account_review_update", "", "REJECTED", Measure.SHOW, "review"),
    ("account_review_update", "APPROVED", None, Measure.NOTE, "review"),
    ("account_alerts", "OBA_APPROVED", "INFORMATIONAL", Measure.NOTE, "alert"),
    ("account_alerts", "INCREASED_CAPABILITIES_ELIGIBILITY_FAILED", "WARNING", Measure.SHOW, "alert"),
    ("account_alerts", "CRITICAL", None, Measure.SHOW, "alert"),
    ("phone_number_quality_update", "FLAGGED", "TIER_250", Measure.SHOW, "quality"),
    ("phone_number_quality_update", "FLAGGED", "+1 555 010 2030, TIER_250", Measure.SHOW, "quality/15550102030"),
    ("account_update", "ACCOUNT_VIOLATION", "34600111222", Measure.SHOW, "violation"),
    ("phone_number_quality_update", "UNFLAGGED", "TIER_1K", Measure.NOTE, "quality"),
    ("phone_number_quality_update", "DOWNGRADE", None, Measure.SHOW, "quality"),
    ("phone_number_quality_update", "ONBOARDING", None, Measure.NOTE, "quality"),
    ("phone_number_name_update", "REJECTED", None, Measure.SHOW, "name"),
    ("security", "PIN_CHANGED", None, Measure.SHOW, "pin"),
    ("policy_enforcement", "block", None, Measure.PARK, "policy"),
    ("policy_enforcement", "", "block", Measure.PARK, "policy"),
    ("policy_enforcement", "unblock", None, Measure.RESUME, "policy"),
    ("policy_enforcement", "warning", None, Measure.SHOW, "policy"),
    ("message_template_status_update", "PAUSED", None, Measure.SHOW, "template"),
    ("message_template_status_update", "PAUSED", "order_ready, en_US", Measure.SHOW, "template"),
    ("message_template_status_update", "APPROVED", "rejected, en_US", Measure.NOTE, "message_template_status_update/APPROVED"),
    ("message_template_status_update", "REINSTATED", "paused, es", Measure.NOTE, "message_template_status_update/REINSTATED"),
    ("message_template_quality_update", "GREEN", "disabled, es", Measure.NOTE, "message_template_quality_update/GREEN"),
    ("message_template_status_update", "APPROVED", None, Measure.NOTE, "message_template_status_update/APPROVED"),
    ("errors", "131031", None, Measure.PARK, "errors"),
    ("errors", "131048", None, Measure.SLOW, "errors"),
    ("errors", "131000", None, Measure.NOTE, "errors"),
    ("something_new", "WHAT_NOBODY_KNOWS", None, Measure.NOTE, "something_new/WHAT_NOBODY_KNOWS"),
]


@pytest.mark.parametrize(("field", "event", "detail", "measure", "topic"), _TABLE)
def test_a_notice_has_its_measure_and_its_topic(field: str, event: str, detail: str | None, measure: Measure, topic: str) -> None:
    found = judge(_CLOUD, AccountNotice(field=field, event=event, detail=detail))

    assert (found.measure, found.topic) == (measure, topic)
    said = explain("notice", found.reason, channel=_CLOUD)
    assert (event if field == "errors" else field) in said.message
    assert ("15550102030" in said.message) == ("555" in (detail or ""))
    assert "346" not in said.message


def test_a_topic_that_parks_can_be_resumed_or_is_final() -> None:
    parks = {notice.topic for notice in NOTICES if notice.measure is Measure.PARK}
    resumes = {notice.topic for notice in NOTICES if notice.measure is Measure.RESUME}

    assert resumes <= parks
    assert parks - resumes == {"deleted"}


@pytest.mark.parametrize("words", ["call +34 600 111 222", "ana@example.org", "Ana Prado", "x" * 200, "a/b", "\x00"])
def test_what_is_no_name_of_the_platform_is_neither_stored_nor_shown(words: str) -> None:
    found = judge(_CLOUD, AccountNotice(field="account_update", event="DISABLED_UPDATE", detail=words))

    assert words not in found.reason + found.topic
    assert found.reason == "notice:account_update/DISABLED_UPDATE"
    assert judge(_CLOUD, AccountNotice(field=words)).reason == "notice:notice"


def test_a_parked_accounts_reason_says_what_happened_and_what_to_do() -> None:
    reason = judge(_CLOUD, AccountNotice(field="account_update", event="DISABLED_UPDATE", detail="DISABLE")).reason

    found = explain("account", reason, state="needs_attention")

    assert "has disabled" in found.message
    assert "resume" in found.fix.lower()
    assert found.fits == "resume"


def test_an_unknown_notice_is_shown_under_the_platforms_own_name() -> None:
    found = explain("notice", "notice:something_new/WHAT_NOBODY_KNOWS")

    assert "something_new, WHAT_NOBODY_KNOWS" in found.message


@pytest.mark.parametrize("code", [190, 368, 131031, 131037, 131042, 131045, 133010, 33])
def test_a_failed_status_that_concerns_the_account_parks_it(code: int) -> None:
    found = of_code(ChannelKind.WHATSAPP, code)

    assert found is not None
    assert (found.measure, found.reason) == (Measure.PARK, f"platform:{code}")


def test_a_failed_status_of_a_spam_limit_slows_the_account_down() -> None:
    found = of_code(ChannelKind.WHATSAPP, 131048)

    assert found is not None
    assert (found.measure, found.wait_s) == (Measure.SLOW, 3600)


@pytest.mark.parametrize("code", [131026, 131047, 131049, 131051, 130472, 131056, 130429, 100, 999_999])
def test_any_other_failed_status_fails_its_message_alone(code: int) -> None:
    assert of_code(ChannelKind.WHATSAPP, code) is None


def test_a_parser_marks_the_events_that_concern_the_account_and_no_others() -> None:
    def a_status(status: DeliveryStatus, code: int | None) -> InboundEvent:
        update = StatusUpdate(external_id="wamid.A", status=status, error_code=code)
        return InboundEvent(kind=EventKind.STATUS, event_key=f"a:{status}:{code}", status=update)

    notice = InboundEvent(kind=EventKind.ACCOUNT, event_key="n", notice=AccountNotice(field="account_update", event="ACCOUNT_DELETED"))
    events = (
        a_status(DeliveryStatus.FAILED, 131031),
        a_status(DeliveryStatus.FAILED, 131047),
        a_status(DeliveryStatus.DELIVERED, 131031),
        a_status(DeliveryStatus.FAILED, None),
        InboundEvent(kind=EventKind.MESSAGE, event_key="m", text="hi"),
        notice,
    )

    found = judged(ChannelKind.WHATSAPP, lambda _: Received(events=events))(b"")

    assert [event.effect.measure if event.effect else None for event in found.events] == [Measure.PARK, *[None] * 4, Measure.PARK]
    nothing = Received(events=events[3:5])
    assert judged(ChannelKind.WHATSAPP, lambda _: nothing)(b"") is nothing
