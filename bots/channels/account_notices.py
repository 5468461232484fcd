"""The table of what platforms report about accounts: what a notice does, what operators read about it, and what helps.

A notice is known by its field and by the words that its event and detail hold. One that is not in the table is noted under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bots.channels import graph_codes
from bots.channels.graph_code import CodeClass, find
from bots.domain import AccountEffect, AccountNotice, ChannelKind, DeliveryStatus, EventKind, InboundEvent, Measure, Received
from bots.errors import AccessLost

_PREFIX = "notice:"
#: The field of errors that belong to no message; their event is a code.
_ERRORS = "errors"
_MOST_NAMES = 6
#: Names that platforms use for events; anything else could be about a person, and is neither stored with the account nor shown.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]{4,24}", re.ASCII)
_OF_A_NUMBER = frozenset({"phone_number_quality_update", "phone_number_name_update", "security"})
#: Shorter waits are part of ordinary sending, and nobody needs to know of them.
_SLOWED_FROM_S = 600.0

_APPEAL = "Read the reason in Meta's Business Support Home and ask for a review there. Resume when the account works again."
_LOOK = "Read the reason in Meta's Business Support Home."
_MANAGER = "Look at the number in WhatsApp Manager."
_RECONNECT = "Connect the account again, then resume."
_NOTHING = "You need not do anything."
_TEMPLATE = "Check the template in WhatsApp Manager. Answers to people use none."


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What one kind of notice means."""

    field: str
    #: Event and detail must hold all of them.
    words: frozenset[str]
    topic: str
    measure: Measure
    #: For operators.
    message: str
    fix: str


#: By what an event and its detail must hold: the measure, and what operators read.
_Rows = Mapping[str, tuple[Measure, str, str]]


def _about(field: str, topic: str, rows: _Rows) -> tuple[Notice, ...]:
    return tuple(
        Notice(field=field, words=frozenset(words.split()), topic=topic, measure=measure, message=message, fix=fix)
        for words, (measure, message, fix) in rows.items()
    )


_PARK, _RESUME, _SHOW, _NOTE = Measure.PARK, Measure.RESUME, Measure.SHOW, Measure.NOTE
_UPDATE, _QUALITY = "account_update", "phone_number_quality_update"

#: Of one field, the first that fits is meant.
NOTICES: tuple[Notice, ...] = (
    *_about(
        _UPDATE,
        "ban",
        {
            "DISABLED_UPDATE DISABLE": (_PARK, "The platform has disabled the WhatsApp business account.", _APPEAL),
            "DISABLED_UPDATE SCHEDULE_FOR_DISABLE": (_SHOW, "The platform will soon disable the WhatsApp business account.", _LOOK),
            "DISABLED_UPDATE REINSTATE": (_RESUME, "The platform has enabled the WhatsApp business account again.", _NOTHING),
            "DISABLED_UPDATE": (_SHOW, "The platform has changed whether the WhatsApp business account may be used.", _LOOK),
        },
    ),
    *_about(
        _UPDATE,
        "deleted",
        {
            "ACCOUNT_DELETED": (
                _PARK,
                "The WhatsApp business account was deleted.",
                "If that was a mistake, write to Meta's support. Otherwise connect another number, and remove this account on its page.",
            ),
        },
    ),
    *_about(
        _UPDATE,
        "connection",
        {
            "ACCOUNT_OFFBOARDED": (_PARK, "The number was disconnected from the platform's API.", _RECONNECT),
            "ACCOUNT_RECONNECTED": (_RESUME, "The number is connected to the platform's API again.", _NOTHING),
        },
    ),
    *_about(
        _UPDATE,
        "violation",
        {
            "ACCOUNT_VIOLATION": (_SHOW, "The platform says that the account broke a rule.", _LOOK),
        },
    ),
    *_about(
        _UPDATE,
        "restriction",
        {
            "ACCOUNT_RESTRICTION": (_SHOW, "The platform has restricted the account for a while.", _LOOK),
        },
    ),
    *_about(
        _UPDATE,
        "partner",
        {
            "PARTNER_REMOVED": (
                _SHOW,
                "A partner's access to the WhatsApp business account was removed.",
                "If it was this app's, connect the account again.",
            ),
            "PARTNER_APP_UNINSTALLED": (
                _SHOW,
                "An app was removed from the WhatsApp business account.",
                "If it was this app, connect the account again.",
            ),
            "PARTNER_ADDED": (_NOTE, "A partner has access to the WhatsApp business account.", _NOTHING),
            "PARTNER_APP_INSTALLED": (_NOTE, "An app has access to the WhatsApp business account.", _NOTHING),
        },
    ),
    *_about(
        "account_review_update",
        "review",
        {
            "REJECTED": (_SHOW, "The platform's review refused the WhatsApp business account.", _LOOK),
            "APPROVED": (_NOTE, "The platform's review approved the WhatsApp business account.", _NOTHING),
        },
    ),
    *_about(
        "account_alerts",
        "alert",
        {
            "INFORMATIONAL": (_NOTE, "The platform has a remark about the account.", _MANAGER),
            "": (_SHOW, "The platform warns about the account.", _MANAGER),
        },
    ),
    *_about(
        _QUALITY,
        "quality",
        {
            "FLAGGED": (
                _SHOW,
                "The platform rates the number's quality as low: people block or report it.",
                "Find out what people complain about. If the quality stays low, the number may write to fewer people.",
            ),
            "UNFLAGGED": (_NOTE, "The number's quality is good again.", _NOTHING),
            "DOWNGRADE": (_SHOW, "The number may write first to fewer people a day.", _MANAGER),
            "UPGRADE": (_NOTE, "The number may write first to more people a day.", _NOTHING),
            "ONBOARDING": (_NOTE, "The platform has begun to rate the number's quality.", _NOTHING),
        },
    ),
    *_about(
        _QUALITY,
        "throughput",
        {
            "THROUGHPUT_UPGRADE": (_NOTE, "The number may send more messages a second.", _NOTHING),
        },
    ),
    *_about(
        "phone_number_name_update",
        "name",
        {
            "REJECTED": (_SHOW, "The platform refused the number's display name.", _MANAGER),
            "APPROVED": (_NOTE, "The platform approved the number's display name.", _NOTHING),
        },
    ),
    *_about(
        "business_capability_update",
        "capability",
        {
            "": (_NOTE, "The platform changed how many people a day the business may write to first.", _NOTHING),
        },
    ),
    *_about(
        "security",
        "pin",
        {
            "PIN_CHANGED": (_SHOW, "The number's two-step PIN was changed.", "If nobody of yours did it, change it at once."),
            "PIN_RESET_REQUEST": (
                _SHOW,
                "Somebody asked to switch off the number's two-step PIN.",
                "If nobody of yours did it, set a new PIN in WhatsApp Manager at once.",
            ),
            "PIN_RESET_SUCCESS": (_SHOW, "The number's two-step PIN was switched off.", "Set a new PIN in WhatsApp Manager."),
        },
    ),
    *_about(
        "policy_enforcement",
        "policy",
        {
            "UNBLOCK": (_RESUME, "The platform lets the page send messages again.", _NOTHING),
            "BLOCK": (_PARK, "The platform does not let the page send messages.", _APPEAL),
            "WARNING": (_SHOW, "The platform says that the page broke a rule of messaging.", _LOOK),
        },
    ),
    *_about(
        "message_template_status_update",
        "template",
        {
            "DISABLED": (_SHOW, "The platform has disabled a message template.", _TEMPLATE),
            "PAUSED": (_SHOW, "The platform has paused a message template.", _TEMPLATE),
            "REJECTED": (_SHOW, "The platform has refused a message template.", _TEMPLATE),
            "FLAGGED": (_SHOW, "The platform may soon pause a message template.", _TEMPLATE),
        },
    ),
)


def _known(field: str, names: Sequence[str]) -> Notice | None:
    # Behind the event of a template stands its name, which may be any word.
    words = {name.upper() for name in (names[:1] if field.startswith("message_template") else names)}
    return next((one for one in NOTICES if one.field == field and one.words <= words), None)


def judge(channel: ChannelKind, notice: AccountNotice) -> AccountEffect:
    """Say what a notice does to its account."""
    if notice.field == _ERRORS and notice.event.isdecimal():
        code = int(notice.event)
        return of_code(channel, code) or AccountEffect(measure=_NOTE, reason=f"platform:{code}", topic=_ERRORS)
    said = [word.strip() for word in (notice.field, notice.event, *(notice.detail or "").split(","))]
    field, *names = [name for name in said if _NAME.fullmatch(name)][:_MOST_NAMES] or ["notice"]
    # The business's own number, never a person's: these fields name no other.
    number = next((re.sub(r"\D", "", word) for word in said if _NUMBER.fullmatch(word)), "") if field in _OF_A_NUMBER else ""
    named = (field, *names, *([number] if number else []))
    known = _known(field, names)
    measure, topic = (_NOTE, "/".join((field, *names[:1]))) if known is None else (known.measure, known.topic)
    return AccountEffect(measure=measure, reason=_PREFIX + "/".join(named), topic=f"{topic}/{number}" if number else topic, number=number)


def explain(reason: str) -> tuple[str, str] | None:
    """A stored notice in words, with what helps; None where the reason is no notice."""
    if not reason.startswith(_PREFIX):
        return None
    field, *names = reason.removeprefix(_PREFIX).split("/")
    known = _known(field, names)
    said = ", ".join((field, *names))
    if known is None:
        return f"The platform says: {said}.", "Meta's documentation of webhooks explains it."
    return f"{known.message} ({said})", known.fix


def of_code(channel: ChannelKind, code: int) -> AccountEffect | None:
    """Say what a code means for the account that comes in a failed status, or alone; None: the account is not meant."""
    known = find(graph_codes.TABLES[channel], code)
    reason = f"platform:{code}"
    if known is not None and known.error is AccessLost:
        return AccountEffect(measure=_PARK, reason=reason, topic=_ERRORS)
    if known is not None and known.kind is CodeClass.THROTTLE and (known.wait_s or 0) >= _SLOWED_FROM_S:
        return AccountEffect(measure=Measure.SLOW, reason=reason, topic=_ERRORS, wait_s=known.wait_s or 0)
    return None


def judged(channel: ChannelKind, parse: Callable[[bytes], Received]) -> Callable[[bytes], Received]:
    """A parser whose events also say what they mean for the account."""

    def parse_and_judge(body: bytes) -> Received:
        received = parse(body)
        if not any(_concerns_account(event) for event in received.events):
            return received
        return replace(received, events=tuple(_judged(channel, event) for event in received.events))

    return parse_and_judge


def _concerns_account(event: InboundEvent) -> bool:
    return event.kind is EventKind.ACCOUNT or (event.status is not None and event.status.error_code is not None)


def _judged(channel: ChannelKind, event: InboundEvent) -> InboundEvent:
    if event.kind is EventKind.ACCOUNT and event.notice is not None:
        return replace(event, effect=judge(channel, event.notice))
    status = event.status
    if status is None or status.error_code is None or status.status is not DeliveryStatus.FAILED:
        return event
    return replace(event, effect=of_code(channel, status.error_code))
