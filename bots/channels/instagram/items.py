"""What one item of an Instagram thread is: a message, also one taken back, a story's reply, a postback, a seen mark, a reaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bots.channels.fields import Fields, as_fields, id_of, part, text_of, word_of
from bots.channels.threads import Item, attached
from bots.domain import DeliveryStatus, EventKind, InboundEvent

_COMMAND_LIMIT = 64
#: Kinds that change nothing in a talk.
_NOTICES = ("referral", "optin", "pass_thread_control", "take_thread_control", "request_thread_control", "app_roles", "policy_enforcement")


def read_item(item: Item) -> Iterator[InboundEvent]:
    """Read an item by the first kind that it names."""
    for name, read in _READERS.items():
        if as_fields(item.fields.get(name)) is not None:
            yield read(item)
            return
    for name in _NOTICES:
        if name in item.fields:
            yield item.noticed(name, _why(part(item.fields, name)))
            return
    yield item.unread("item", "an item of no kind that is known")


def _message(item: Item) -> InboundEvent:
    message = part(item.fields, "message")
    if message.get("is_deleted") is True:
        return item.event(EventKind.REVOKE, f"revoke:{item.key_of('message')}:{item.stamp}", "message")
    text, content_type = text_of(message, "text"), _type_of(message)
    if item.is_from_account:
        return item.left(text, content_type)
    choice = as_fields(message.get("quick_reply"))
    if choice is not None:
        return item.said(item.key_of("message"), text or text_of(choice, "payload"), "quick_reply", at_once=True)
    command = (text or "").strip()
    at_once = command.startswith("/") and len(command) <= _COMMAND_LIMIT
    reason = "a message without content" if text is None and content_type == "text" else None
    return item.said(item.key_of("message"), text, content_type, at_once=at_once, reason=reason)


def _type_of(message: Fields) -> str:
    found = attached(message)
    if found is not None:
        return found
    if message.get("is_unsupported") is True:
        return "unsupported"
    return "story_reply" if as_fields(part(message, "reply_to").get("story")) is not None else "text"


def _postback(item: Item) -> InboundEvent:
    postback = part(item.fields, "postback")
    text = text_of(postback, "title") or text_of(postback, "payload")
    key = item.id_in("postback") or f"postback:{item.sender or ''}:{item.stamp}"
    return item.said(key, text, "postback", at_once=True)


def _seen(item: Item) -> InboundEvent:
    mid = item.id_in("read")
    if mid is not None:
        return item.reached(mid, DeliveryStatus.READ)
    # By the reference a message id; a watermark as on Messenger is taken, too.
    return item.reached_until("read", DeliveryStatus.READ, part(item.fields, "read"))


def _reaction(item: Item) -> InboundEvent:
    reaction = part(item.fields, "reaction")
    action = word_of(reaction, "action") or "react"
    # Taken back: no sign is left.
    sign = None if action == "unreact" else text_of(reaction, "emoji", 64) or word_of(reaction, "reaction")
    return item.event(EventKind.REACTION, f"reaction:{item.key_of('reaction')}:{action}:{item.stamp}", "reaction", text=sign)


def _edit(item: Item) -> InboundEvent:
    edit = part(item.fields, "message_edit")
    key = f"edit:{item.key_of('message_edit')}:{id_of(edit, 'num_edit') or ''}:{item.stamp}"
    return item.event(EventKind.EDIT, key, "message_edit", text=text_of(edit, "text"))


def _why(notice: Fields) -> str | None:
    return word_of(notice, "reason") or word_of(notice, "action") or word_of(notice, "source") or word_of(notice, "type")


_READERS: dict[str, Callable[[Item], InboundEvent]] = {
    "message": _message,
    "postback": _postback,
    "read": _seen,
    "reaction": _reaction,
    "message_edit": _edit,
}
