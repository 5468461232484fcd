"""What one item of an Instagram thread is: a message (possibly deleted), a reply to a story, a postback, a seen mark, a reaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bots.channels.fields import Fields, as_fields, part
from bots.channels.threads import Item, attached, edit, postback, reaction, read_by, spoken
from bots.domain import DeliveryStatus, EventKind, InboundEvent

#: Kinds that change nothing in a conversation.
_NOTICES = ("referral", "optin", "pass_thread_control", "take_thread_control", "request_thread_control", "app_roles", "policy_enforcement")


def read_item(item: Item) -> Iterator[InboundEvent]:
    """Read an item by the first kind that it names."""
    return read_by(item, _READERS, _NOTICES)


def _message(item: Item) -> Iterator[InboundEvent]:
    message = part(item.fields, "message")
    if message.get("is_deleted") is True:
        yield item.event(EventKind.REVOKE, f"revoke:{item.key_of('message')}:{item.stamp}", "message")
    else:
        yield from spoken(item, _type_of(message))


def _type_of(message: Fields) -> str:
    found = attached(message)
    if found is not None:
        return found
    if message.get("is_unsupported") is True:
        return "unsupported"
    return "story_reply" if as_fields(part(message, "reply_to").get("story")) is not None else "text"


def _seen(item: Item) -> Iterator[InboundEvent]:
    mid = item.id_in("read")
    if mid is not None:
        yield item.reached(mid, DeliveryStatus.READ)
        return
    # A message id by Meta's reference; a watermark as on Messenger is accepted, too.
    yield item.reached_until("read", DeliveryStatus.READ, part(item.fields, "read"))


_READERS: dict[str, Callable[[Item], Iterator[InboundEvent]]] = {
    "message": _message,
    "postback": postback,
    "read": _seen,
    "reaction": reaction,
    "message_edit": edit,
}
