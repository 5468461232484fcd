"""What one item of a Messenger thread is: a message, a postback, a status, a reaction, an edit, a handover."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bots.channels.fields import Fields, as_fields, id_of, items, part, text_of, word_of
from bots.channels.threads import Item, attached
from bots.domain import DeliveryStatus, EventKind, InboundEvent

_COMMAND_LIMIT = 64
#: Kinds that change nothing in a talk.
_NOTICES = (
    "referral",
    "optin",
    "pass_thread_control",
    "take_thread_control",
    "request_thread_control",
    "app_roles",
    "account_linking",
    "policy_enforcement",
    "messaging_feedback",
    "game_play",
    "payment",
)


def read_item(item: Item) -> Iterator[InboundEvent]:
    """Read an item by the first kind that it names."""
    for name, read in _READERS.items():
        if as_fields(item.fields.get(name)) is not None:
            yield from read(item)
            return
    for name in _NOTICES:
        if name in item.fields:
            yield item.noticed(name, _why(part(item.fields, name)))
            return
    yield item.unread("item", "an item of no kind that is known")


def _message(item: Item) -> Iterator[InboundEvent]:
    message = part(item.fields, "message")
    text, content_type = text_of(message, "text"), _type_of(message)
    if item.is_from_account:
        yield item.left(text, content_type)
        return
    choice = as_fields(message.get("quick_reply"))
    if choice is not None:
        yield item.said(item.key_of("message"), text or text_of(choice, "payload"), "quick_reply", at_once=True)
        return
    command = (text or "").strip()
    at_once = command.startswith("/") and len(command) <= _COMMAND_LIMIT
    reason = "a message without content" if text is None and content_type == "text" else None
    yield item.said(item.key_of("message"), text, content_type, at_once=at_once, reason=reason)


def _type_of(message: Fields) -> str:
    found = attached(message)
    if found == "image" and any(_is_sticker(one) for one in items(message, "attachments")):
        # So stickers came until August 2026.
        return "sticker"
    return found or ("product" if part(part(message, "referral"), "product") and text_of(message, "text") is None else "text")


def _is_sticker(attachment: object) -> bool:
    return part(as_fields(attachment) or {}, "payload").get("sticker_id") is not None


def _postback(item: Item) -> Iterator[InboundEvent]:
    postback = part(item.fields, "postback")
    text = text_of(postback, "title") or text_of(postback, "payload")
    key = item.id_in("postback") or f"postback:{item.sender or ''}:{item.stamp}"
    yield item.said(key, text, "postback", at_once=True)


def _delivery(item: Item) -> Iterator[InboundEvent]:
    delivery = part(item.fields, "delivery")
    mids = [mid for mid in (id_of({"mid": one}, "mid") for one in items(delivery, "mids")) if mid is not None]
    for mid in dict.fromkeys(mids):
        yield item.reached(mid, DeliveryStatus.DELIVERED)
    if not mids:
        yield item.reached_until("delivery", DeliveryStatus.DELIVERED, delivery)


def _read(item: Item) -> Iterator[InboundEvent]:
    yield item.reached_until("read", DeliveryStatus.READ, part(item.fields, "read"))


def _reaction(item: Item) -> Iterator[InboundEvent]:
    reaction = part(item.fields, "reaction")
    action = word_of(reaction, "action") or "react"
    # Taken back: no sign is left.
    sign = None if action == "unreact" else text_of(reaction, "emoji", 64) or word_of(reaction, "reaction")
    key = f"reaction:{item.key_of('reaction')}:{action}:{item.stamp}"
    yield item.event(EventKind.REACTION, key, "reaction", text=sign)


def _edit(item: Item) -> Iterator[InboundEvent]:
    edit = part(item.fields, "message_edit")
    # Edits of one message differ by their number, and by their time.
    key = f"edit:{item.key_of('message_edit')}:{id_of(edit, 'num_edit') or ''}:{item.stamp}"
    yield item.event(EventKind.EDIT, key, "message_edit", text=text_of(edit, "text"))


def _why(notice: Fields) -> str | None:
    return word_of(notice, "reason") or word_of(notice, "action") or word_of(notice, "source") or word_of(notice, "type")


_READERS: dict[str, Callable[[Item], Iterator[InboundEvent]]] = {
    "message": _message,
    "postback": _postback,
    "delivery": _delivery,
    "read": _read,
    "reaction": _reaction,
    "message_edit": _edit,
}
