"""What one item of an Instagram thread is: a message, a reply to a story, a postback, a seen mark, a reaction."""

from __future__ import annotations

from collections.abc import Iterable

from bots.channels.fields import Fields, as_fields, flag_of, part
from bots.channels.thread_items import attached, edit, postback, reaction, read_by, spoken
from bots.channels.threads import Item, ItemReader
from bots.domain import DeliveryStatus, InboundEvent

#: Kinds that change nothing in a conversation.
_NOTICES = ("referral", "optin", "pass_thread_control", "take_thread_control", "request_thread_control", "app_roles", "message_request")


def read_item(item: Item) -> Iterable[InboundEvent]:
    """Read an item by the first kind that it names."""
    return read_by(item, _READERS, _NOTICES)


def _message(item: Item) -> tuple[InboundEvent]:
    return spoken(item, _type_of(item.message))


def _type_of(message: Fields) -> str:
    found = attached(message) if "attachments" in message else None
    if found is not None:
        return found
    if "is_unsupported" in message and flag_of(message, "is_unsupported"):
        return "unsupported"
    return "story_reply" if "reply_to" in message and as_fields(part(message, "reply_to").get("story")) is not None else "text"


def _seen(item: Item) -> tuple[InboundEvent]:
    mid = item.id_in("read")
    if mid is not None:
        return (item.reached(mid, DeliveryStatus.READ),)
    # A message id by Meta's reference; a watermark as on Messenger is accepted, too.
    return (item.reached_until("read", DeliveryStatus.READ, part(item.fields, "read")),)


_READERS: dict[str, ItemReader] = {
    "message": _message,
    "postback": postback,
    "read": _seen,
    "reaction": reaction,
    "message_edit": edit,
}
