"""What one item of a Messenger thread is: a message, a postback, a status, a reaction, an edit, a handover."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bots.channels.envelope import EVENTS_LIMIT
from bots.channels.fields import Fields, as_fields, id_of, items, part, text_of
from bots.channels.thread_items import attached, edit, postback, reaction, read_by, spoken
from bots.channels.threads import Item, ItemReader
from bots.domain import DeliveryStatus, InboundEvent

#: Kinds that change nothing in a conversation.
_NOTICES = (
    "referral",
    "optin",
    "pass_thread_control",
    "take_thread_control",
    "request_thread_control",
    "app_roles",
    "account_linking",
    "messaging_feedback",
    "game_play",
    "payment",
    "message_request",
)


def read_item(item: Item) -> Iterable[InboundEvent]:
    """Read an item by the first kind that it names."""
    return read_by(item, _READERS, _NOTICES)


def _message(item: Item) -> tuple[InboundEvent]:
    return spoken(item, _type_of(item.message))


def _type_of(message: Fields) -> str:
    if "attachments" not in message and "referral" not in message:
        return "text"
    found = attached(message)
    if found == "image" and any(_is_sticker(one) for one in items(message, "attachments")):
        # Stickers had this form until August 2026.
        return "sticker"
    if found is None and part(part(message, "referral"), "product") and text_of(message, "text") is None:
        return "product"
    return found or "text"


def _is_sticker(attachment: object) -> bool:
    return part(as_fields(attachment) or {}, "payload").get("sticker_id") is not None


def _delivery(item: Item) -> Iterator[InboundEvent]:
    delivery = part(item.fields, "delivery")
    mids = [mid for mid in (id_of({"mid": one}, "mid") for one in items(delivery, "mids")[: EVENTS_LIMIT + 1]) if mid is not None]
    for mid in dict.fromkeys(mids):
        yield item.reached(mid, DeliveryStatus.DELIVERED)
    if not mids:
        yield item.reached_until("delivery", DeliveryStatus.DELIVERED, delivery)


def _read(item: Item) -> tuple[InboundEvent]:
    return (item.reached_until("read", DeliveryStatus.READ, part(item.fields, "read")),)


_READERS: dict[str, ItemReader] = {
    "message": _message,
    "postback": postback,
    "delivery": _delivery,
    "read": _read,
    "reaction": reaction,
    "message_edit": edit,
}
