"""What the platform reports about an account itself, in fields of its own: disabled, restricted, reviewed, flagged, templates refused.

Some published samples have their keys one level too deep or too high, so each key is looked for where it belongs and around there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bots.channels.fields import Fields, as_fields, code_of, digest, id_of, items, part, time_of, word_of
from bots.domain import AccountNotice, EventKind, InboundEvent

_DETAIL_LIMIT = 256


class _Keys(NamedTuple):
    """Where a field says what happened."""

    #: The key of the event; the first that is there.
    event: tuple[str, ...] = ()
    #: The keys of what it says more; a dot leads into an object or a list.
    detail: tuple[str, ...] = ()


_TEMPLATE = ("message_template_name", "message_template_language")
_FIELDS = {
    "account_update": _Keys(("event",), ("ban_info.waba_ban_state", "violation_info.violation_type", "restriction_info.restriction_type")),
    "account_alerts": _Keys(("alert_type", "alert_info.alert_type"), ("alert_severity", "alert_info.alert_severity")),
    "account_review_update": _Keys(("decision",)),
    "business_capability_update": _Keys((), ("max_daily_conversations_per_business", "max_daily_conversation_per_phone")),
    "phone_number_quality_update": _Keys(("event",), ("display_phone_number", "current_limit", "max_daily_conversations_per_business")),
    "phone_number_name_update": _Keys(("decision",), ("display_phone_number", "rejection_reason")),
    "security": _Keys(("event",), ("display_phone_number",)),
    "message_template_status_update": _Keys(("event",), (*_TEMPLATE, "reason", "other_info.title")),
    "message_template_quality_update": _Keys(("new_quality_score",), _TEMPLATE),
    "message_template_components_update": _Keys((), _TEMPLATE),
    "template_category_update": _Keys(("new_category",), _TEMPLATE),
}


def field_of(change: Fields, value: Fields, entry: Fields) -> str | None:
    """The field that a change is about, which some samples name in the value or in the entry."""
    return word_of(change, "field") or word_of(value, "field") or word_of(entry, "field")


def is_notice(field: str) -> bool:
    """Whether a field tells about the account itself."""
    return field in _FIELDS


def read_notice(field: str, change: Fields, entry: Fields) -> InboundEvent:
    """Read what happened to an account. The same notice has the same key, whenever it is delivered."""
    keys, value = _FIELDS[field], part(change, "value")
    around = (value, part(value, "value"), part(value, field), change, entry)
    event = next((found for fields in around for key in keys.event for found in _words(fields, key.split("."))), "")
    detail = next((found for fields in around if (found := _joined(fields, keys.detail))), None)
    seen = {"entry": id_of(entry, "id"), "time": id_of(entry, "time"), "change": change.get("value", change)}
    return InboundEvent(
        kind=EventKind.ACCOUNT,
        event_key=f"{field}:{digest(seen)}",
        content_type=field,
        occurred_at=time_of(entry, "time"),
        supported=False,
        notice=AccountNotice(field=field, event=event, detail=detail, parent=id_of(entry, "id")),
    )


def read_errors(value: Fields, account: str | None) -> InboundEvent | None:
    """Read errors that belong to no message and no status: they are about the account. None where they have no code."""
    code = code_of(value)
    if code is None:
        return None
    return InboundEvent(
        kind=EventKind.ACCOUNT,
        event_key=f"errors:{digest(account, value)}",
        account_external_id=account,
        content_type="errors",
        supported=False,
        notice=AccountNotice(field="errors", event=str(code)),
        reason=f"error {code}",
    )


def _joined(fields: Fields, keys: Sequence[str]) -> str | None:
    found = dict.fromkeys(word for key in keys for word in _words(fields, key.split(".")))
    return ", ".join(found)[:_DETAIL_LIMIT] or None


def _words(fields: Fields, path: Sequence[str]) -> Iterator[str]:
    """The words at the end of a path."""
    if len(path) == 1:
        found = word_of(fields, path[0]) or id_of(fields, path[0])
        if found is not None and found != "NONE":
            yield found
        return
    for item in items(fields, path[0])[:10]:
        inner = as_fields(item)
        if inner is not None:
            yield from _words(inner, path[1:])
