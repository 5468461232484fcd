"""What a message of each type contains: its words, its pictures, what it refers to, and whether it can be answered.

The words of a message of a kind that nobody here can open (a document, a video) are answered all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bots.channels.fields import Fields, as_fields, clean, code_of, id_of, items, part, text_of, word_of
from bots.channels.references import Refers, place, pressed, product, refer, said_of, thing
from bots.channels.whatsapp import things
from bots.commands import is_command
from bots.domain import FORWARDED, SOUND, EventKind, MediaReference

_BUTTON_WITHOUT_WORDS = "a button without words"
#: What somebody can choose from, and what the choice is called.
_CHOICES = (("button_reply", "button"), ("list_reply", "list row"))


class Content(NamedTuple):
    """The content of a message."""

    text: str | None = None
    kind: EventKind = EventKind.MESSAGE
    supported: bool = False
    at_once: bool = False
    reason: str | None = None
    media: tuple[MediaReference, ...] = ()
    #: The item or a part of it that names the message that this is about.
    about: Fields | None = None
    #: The message that a corrected one replies to is named in here.
    within: Fields | None = None
    refers: Refers = ()


def type_of(item: Fields) -> str:
    """The platform's name for the type of a message; where it is missing, the first known one whose object is there."""
    return word_of(item, "type") or next((name for name in READERS if as_fields(item.get(name)) is not None), "unknown")


def content_of(item: Fields, content_type: str) -> Content:
    """Read the content of a message."""
    return READERS.get(content_type, _unreadable)(item)


def referred(item: Fields) -> Refers:
    """What a message of any type refers to: the advertisement or post that a person came from, the product that they asked about; whether it was forwarded."""
    found: Refers = ()
    if "referral" in item:
        referral = part(item, "referral")
        named = {"ad": "advertisement", "post": "post"}.get(word_of(referral, "source_type") or "", "advertisement")
        found = thing(named, referral, title="headline", text="body", link="source_url", identifier="source_id")
    if "context" in item:
        context = part(item, "context")
        meant = part(context, "referred_product")
        if meant:
            found = (*found, *product(None, id_of(meant, "product_retailer_id")), *refer(("catalog", id_of(meant, "catalog_id"))))
        how = "often" if context.get("frequently_forwarded") is True else "once" if context.get("forwarded") is True else None
        found = (*found, *refer((FORWARDED, how)))
    return found


def _said(text: str | None, refers: Refers = ()) -> Content:
    return Content(text=text, supported=text is not None, at_once=is_command(text), refers=refers)


def _text(item: Fields) -> Content:
    text = text_of(part(item, "text"), "body")
    if text is None:
        return Content(reason="a text message without a text")
    return Content(text, EventKind.MESSAGE, True, is_command(text))  # noqa: FBT003 - names cost time, and these are most messages


def _button(item: Fields) -> Content:
    button = part(item, "button")
    return _press(text_of(button, "text"), said_of(button, "payload"), "button")


def _press(title: str | None, identifier: str | None, kind: str, more: Refers = ()) -> Content:
    text, refers = pressed(title, identifier, kind)
    is_press = bool(text or refers)
    reason = _BUTTON_WITHOUT_WORDS if text is None and is_press else None
    return Content(text=text, supported=is_press, at_once=is_press, reason=reason, refers=(*refers, *more))


def _interactive(item: Fields) -> Content:
    interactive = part(item, "interactive")
    named = word_of(interactive, "type")
    for name, kind in _CHOICES:
        if name in interactive and named in (name, None):
            choice = part(interactive, name)
            described = refer((f"{kind} description", said_of(choice, "description"))) if "description" in choice else ()
            content = _press(text_of(choice, "title"), said_of(choice, "id"), kind, described)
            if content.text or content.refers:
                return content
    if not interactive:
        return Content()
    reply = part(interactive, named or "")
    refers = things.form(reply) if named == "nfm_reply" else things.permission(reply) if named == "call_permission_reply" else ()
    if refers:
        # The text of a form's answer is the same for all people: "Sent".
        return Content(supported=True, at_once=True, refers=refers)
    return Content(text=text_of(reply, "body"), reason=f"interactive: {named or 'without a type'}")


def _file(name: str) -> Callable[[Fields], Content]:
    def read(item: Fields) -> Content:
        fields = part(item, name)
        return _said(text_of(fields, "caption"), refer(("file", said_of(fields, "filename"))))

    return read


def _sound(name: str) -> Callable[[Fields], Content]:
    def read(item: Fields) -> Content:
        fields = part(item, name)
        text, reference = text_of(fields, "caption"), id_of(fields, "id")
        if reference is None:
            return _said(text)
        media = MediaReference(kind=SOUND, reference=reference, media_type=word_of(fields, "mime_type"))
        return Content(text=text, supported=True, at_once=is_command(text), media=(media,))

    return read


def _picture(name: str) -> Callable[[Fields], Content]:
    def read(item: Fields) -> Content:
        fields = part(item, name)
        text, reference = text_of(fields, "caption"), id_of(fields, "id")
        if reference is None:
            return _said(text)
        media = MediaReference(kind=name, reference=reference, media_type=word_of(fields, "mime_type"))
        return Content(text=text, supported=True, at_once=is_command(text), media=(media,))

    return read


def _location(item: Fields) -> Content:
    return _sent(place(part(item, "location")))


def _cards(item: Fields) -> Content:
    found = items(item, "contacts")
    asked = word_of(item, "origin") == "contact_request"
    return _sent(things.cards(found, "own contact card" if asked else "contact card"))


def _order(item: Fields) -> Content:
    order = part(item, "order")
    return _sent(things.order(order), text_of(order, "text"))


def _poll(item: Fields) -> Content:
    return _sent(things.poll(part(item, type_of(item))))


def _sent(refers: Refers, text: str | None = None) -> Content:
    """A thing that a person sends: what is known of it is told to the model, whether or not words are with it."""
    return Content(text=text, supported=bool(text or refers), at_once=is_command(text), refers=refers)


def _reaction(item: Fields) -> Content:
    # No emoji, or an empty one: the reaction was removed.
    found = part(item, "reaction")
    return Content(kind=EventKind.REACTION, text=text_of(found, "emoji", 64), about=found)


def _edit(item: Fields) -> Content:
    found = part(item, "edit")
    edited = part(found, "message")
    text = text_of(part(edited, "text"), "body") or text_of(part(edited, word_of(edited, "type") or ""), "caption")
    return Content(kind=EventKind.EDIT, text=text, about=found, within=edited)


def _revoke(item: Fields) -> Content:
    return Content(kind=EventKind.REVOKE, about=part(item, "revoke"))


def _system(item: Fields) -> Content:
    system = part(item, "system")
    return Content(kind=EventKind.SYSTEM, text=text_of(system, "body"), reason=word_of(system, "type"), about=system)


def _welcome(_: Fields) -> Content:
    return Content(kind=EventKind.SYSTEM, reason="the chat was opened")


def _unsupported(item: Fields) -> Content:
    named = word_of(part(item, "unsupported"), "type")
    code = code_of(item)
    words = [f"error {code}"] if code is not None else []
    return Content(reason=clean(", ".join([*([named] if named else []), *words]), 128) or None)


def _unreadable(_: Fields) -> Content:
    return Content()


READERS: dict[str, Callable[[Fields], Content]] = {
    "text": _text,
    "button": _button,
    "interactive": _interactive,
    "image": _picture("image"),
    "video": _file("video"),
    "document": _file("document"),
    "audio": _sound("audio"),
    "voice": _sound("voice"),
    "sticker": _picture("sticker"),
    "location": _location,
    "contacts": _cards,
    "order": _order,
    "poll": _poll,
    "poll_creation": _poll,
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
    "system": _system,
    "request_welcome": _welcome,
    "unsupported": _unsupported,
}
