"""What one item of a page's thread is on both Messenger and Instagram: a message, an unsend, a press, a reaction, an edit, a notice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bots.channels.fields import Fields, as_fields, clean, flag_of, id_of, items, part, text_of, word_of
from bots.channels.references import Refers, came_by, pressed, said_of, shared, tells, thing
from bots.channels.threads import Item, ItemReader, named_in
from bots.commands import is_command
from bots.domain import SOUND, AccountNotice, EventKind, InboundEvent, MediaReference

#: Types of attachments that are pictures; stickers are, too.
_PICTURES = frozenset({"image", "sticker"})
_SOUNDS = frozenset({"audio"})
#: Of one message; further ones are ignored.
_MOST_MEDIA = 10
_MOST_ATTACHMENTS = 1_000
_URL_LIMIT = 4_096
#: The thumb that Messenger has beside its field, in three sizes. It comes as a sticker, and nobody means a picture by it.
_THUMBS = frozenset({"369239263222822", "369239343222814", "369239383222810"})
_WITHOUT_WORDS = {
    "text": "a message without content",
    "quick_reply": "a button without words",
    "postback": "a button without words",
}
#: What the platform decided about the account; the older name is still in some of its pages.
_POLICY = ("policy_enforcement", "policy-enforcement")


def read_by(item: Item, readers: Mapping[str, ItemReader], notices: Sequence[str]) -> Iterable[InboundEvent]:
    """Read an item by the first kind that it names; notices are kinds that change nothing in a conversation."""
    fields = item.fields
    for name, read in readers.items():
        if name in fields and isinstance(fields[name], dict):
            return read(item)
    for name in _POLICY:
        if name in fields:
            return (_policy(item, part(fields, name)),)
    for name in notices:
        if name in fields:
            found = part(fields, name)
            # A message request says in one word whether the person took it.
            why = word_of(fields, name) if name == "message_request" else _why(found)
            return (item.noticed(name, why, refers=came_by(found) if name == "referral" else ()),)
    return (item.unread("item", "an item of an unknown kind"),)


def spoken(item: Item, content_type: str) -> tuple[InboundEvent]:
    """A message: taken back, an echo, a choice of a quick reply, a command, or plain text."""
    message = item.message
    if "is_deleted" in message and flag_of(message, "is_deleted"):
        # It has the id of the message that is gone, so its key must differ from that message's.
        key = f"revoke:{item.key_of('message')}:{item.stamp}"
        return (item.event(EventKind.REVOKE, key, "message", target=named_in(message)),)
    text = text_of(message, "text")
    quoted = named_in(part(message, "reply_to")) if "reply_to" in message else None
    if item.is_from_account:
        return (item.left(text, content_type, quoted),)
    refers: Refers = ()
    media: tuple[MediaReference, ...] = ()
    things: Refers = ()
    if "reply_to" in message or "attachments" in message or "referral" in message:
        media, things = _media(message), shared(items(message, "attachments")[:_MOST_ATTACHMENTS])
        refers = (*_came_from(message), *things)
        text = text or _emoji(message)
    is_press = "quick_reply" in message and as_fields(message["quick_reply"]) is not None
    if is_press:
        content_type = "quick_reply"
        text, button = pressed(text, said_of(message["quick_reply"], "payload"))
        refers = (*button, *refers)
    is_press = is_press and bool(text or refers)
    event = item.event(
        EventKind.MESSAGE,
        named_in(message) or item.key_of("message"),
        content_type,
        text=text,
        supported=text is not None or bool(media) or is_press or tells(things),
        at_once=is_press or is_command(text),
        media=media,
        quoted=quoted,
        refers=refers,
        reason=_WITHOUT_WORDS.get(content_type) if text is None else None,
    )
    return (event,)


def _came_from(message: Fields) -> Refers:
    story = as_fields(part(message, "reply_to").get("story"))
    return (
        *(thing("story", story, title="title", link="url", identifier="id") if story is not None else ()),
        *came_by(part(message, "referral")),
    )


def _emoji(message: Fields) -> str | None:
    """The emoji that an attachment stands for, where it is nothing but one."""
    for item in items(message, "attachments")[:1]:
        attachment = as_fields(item) or {}
        if word_of(attachment, "type") == "like_heart":
            return "\u2764\ufe0f"
        if _is_thumb(attachment):
            return "\U0001f44d"
    return None


def _is_thumb(attachment: Fields) -> bool:
    return id_of(part(attachment, "payload"), "sticker_id") in _THUMBS


def postback(item: Item) -> tuple[InboundEvent]:
    """A button that was pressed: its title counts as the message's text."""
    if item.is_from_account:
        return (item.unread("postback", "a press of the account itself"),)
    found = part(item.fields, "postback")
    text, button = pressed(text_of(found, "title"), said_of(found, "payload"))
    event = item.event(
        EventKind.MESSAGE,
        item.press_key("postback"),
        "postback",
        text=text,
        supported=bool(text or button),
        at_once=bool(text or button),
        reason=_WITHOUT_WORDS["postback"] if text is None else None,
        refers=(*button, *came_by(part(found, "referral"))),
    )
    return (event,)


def reaction(item: Item) -> tuple[InboundEvent]:
    """A reaction to a message, or its removal, which has no emoji."""
    found = part(item.fields, "reaction")
    action = word_of(found, "action") or "react"
    emoji = None if action == "unreact" else text_of(found, "emoji", 64) or word_of(found, "reaction")
    key = f"reaction:{item.key_of('reaction')}:{action}:{item.stamp}"
    return (item.event(EventKind.REACTION, key, "reaction", text=emoji, target=named_in(found)),)


def edit(item: Item) -> tuple[InboundEvent]:
    """A new text for an earlier message. Edits of one message differ by their number, and by their time."""
    found = part(item.fields, "message_edit")
    key = f"edit:{item.key_of('message_edit')}:{id_of(found, 'num_edit') or ''}:{item.stamp}"
    return (item.event(EventKind.EDIT, key, "message_edit", text=text_of(found, "text"), target=named_in(found)),)


def attached(message: Fields) -> str | None:
    """The platform's name for the kind of the first attachment; None where there is none."""
    for item in items(message, "attachments"):
        found = as_fields(item)
        if found is not None:
            return word_of(found, "type") or "attachment"
    return None


def _policy(item: Item, found: Fields) -> InboundEvent:
    return item.warned(AccountNotice(field=_POLICY[0], event=word_of(found, "action") or ""), _why(found))


def _why(notice: Fields) -> str | None:
    return word_of(notice, "reason") or word_of(notice, "action") or word_of(notice, "source") or word_of(notice, "type")


def _media(message: Fields) -> tuple[MediaReference, ...]:
    """The attached pictures and recordings, by their addresses."""
    found: list[MediaReference] = []
    for item in items(message, "attachments"):
        attachment = as_fields(item) or {}
        kind, payload = word_of(attachment, "type"), part(attachment, "payload")
        url = payload.get("url")
        # An address that was cut is useless.
        if isinstance(url, str) and 0 < len(url) <= _URL_LIMIT and not _is_thumb(attachment):
            if kind in _PICTURES:
                found.append(MediaReference(kind=kind, reference=clean(url, _URL_LIMIT)))
            elif kind in _SOUNDS:
                found.append(MediaReference(kind=SOUND, reference=clean(url, _URL_LIMIT)))
    return tuple(found[:_MOST_MEDIA])
