"""The platform's reports about what we sent: each item of statuses[] becomes one event."""

from __future__ import annotations

from bots.channels.fields import ID_LIMIT, Fields, code_of, digest, id_of, part, text_of, time_of, word_of
from bots.channels.whatsapp.people import person
from bots.channels.whatsapp.things import payment
from bots.domain import DeliveryStatus, EventKind, Identity, InboundEvent, StatusUpdate

_STATUSES = {
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    # A voice message that was played was also read.
    "played": DeliveryStatus.READ,
    "failed": DeliveryStatus.FAILED,
}
#: biz_opaque_callback_data is at most this long.
_TAG_LIMIT = 512


def read_status(item: Fields, account: str | None, beside: Fields) -> InboundEvent:
    """Read one status; it becomes an unknown event if its kind is unknown or it names no message.

    `beside` is the value that contains it: the errors of a failed one may stand there.
    """
    external_id, named = id_of(item, "id"), (word_of(item, "status") or "").lower()
    if word_of(item, "type") == "payment":
        return _payment(item, account, external_id, named)
    status = _STATUSES.get(named)
    if external_id is None or status is None:
        key = f"{external_id}:{named}" if external_id and named else f"status:{digest(account, item)}"
        reason = f"status {named or 'without a kind'}" if external_id else "a status without a message"
        return InboundEvent(
            kind=EventKind.UNKNOWN,
            event_key=key,
            account_external_id=account,
            content_type="status",
            occurred_at=time_of(item),
            supported=False,
            reason=reason,
        )
    code = code_of(item) if "errors" in item else None
    return InboundEvent(
        kind=EventKind.STATUS,
        event_key=f"{external_id}:{named}",
        account_external_id=account,
        identities=_recipient(item),
        content_type="status",
        occurred_at=time_of(item),
        status=StatusUpdate(
            external_id=external_id,
            status=status,
            correlation=text_of(item, "biz_opaque_callback_data", _TAG_LIMIT),
            error_code=code if code is not None or status is not DeliveryStatus.FAILED else code_of(beside),
        ),
    )


def _payment(item: Fields, account: str | None, external_id: str | None, named: str) -> InboundEvent:
    """Read how far a payment is that a person makes in the chat: shown, and told to nobody but operators."""
    # One of a group is in no private conversation.
    people = () if word_of(item, "recipient_type") == "group" else _recipient(item)
    return InboundEvent(
        kind=EventKind.SYSTEM if people else EventKind.UNKNOWN,
        event_key=f"payment:{external_id or digest(account, item)}:{named}",
        account_external_id=account,
        identities=people,
        content_type="payment",
        occurred_at=time_of(item),
        supported=False,
        refers=payment(part(item, "payment"), named or None),
        reason=f"a payment: {named or 'without a state'}",
    )


def _recipient(item: Fields) -> tuple[Identity, ...]:
    if word_of(item, "recipient_type") == "group":
        number = "recipient_participant_id" if id_of(item, "recipient_participant_id") else "participant_recipient_id"
        return person("recipient_participant_user_id", number, item)
    return person("recipient_user_id", "recipient_id", item)


assert ID_LIMIT < 512  # A key with a status appended still fits an index row.
