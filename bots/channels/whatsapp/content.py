"""What a message of each type contains: its words, its pictures, what it refers to, and whether it can be answered.

The words of a message of a kind that nobody here can open (a document, a video, an order) are answered all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from bots.channels.fields import Fields, NotJson, as_fields, clean, code_of, decode, id_of, items, part, text_of, word_of
from bots.channels.references import Refers, place, pressed, product, refer, said_of, thing
from bots.commands import is_command
from bots.domain import FORWARDED, EventKind, MediaReference

_BUTTON_WITHOUT_WORDS = "a button without words"
#: What somebody can choose from, and what the choice is called.
_CHOICES = (("button_reply", "button"), ("list_reply", "list row"))
_MOST_LINES = 20
_MOST_NUMBERS = 3
_FORM_LIMIT = 16_384


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
    refers = tuple(_entered(reply)) if named == "nfm_reply" else refer(("call permission", said_of(reply, "response")))
    return Content(text=text_of(reply, "body"), reason=f"interactive: {named or 'without a type'}", refers=refers)


def _entered(reply: Fields) -> Iterator[tuple[str, str]]:
    """What somebody entered into a form. It is a text, and usually JSON."""
    told = text_of(reply, "response_json", _FORM_LIMIT)
    if told is None:
        return
    try:
        found = as_fields(decode(told.encode()))
    except NotJson:
        found = None
    if found is None:
        yield "form", clean(told, 1_000)
        return
    for name in list(found)[:_MOST_LINES]:
        value = said_of(found, name) or next((said_of({name: one}, name) for one in items(found, name)), None)
        # The token is the business's own note about the form.
        if value is not None and name != "flow_token":
            yield "form", clean(f"{name}: {value}", 1_000)


def _file(name: str) -> Callable[[Fields], Content]:
    def read(item: Fields) -> Content:
        fields = part(item, name)
        return _said(text_of(fields, "caption"), refer(("file", said_of(fields, "filename"))))

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
    return Content(refers=place(part(item, "location")))


def _cards(item: Fields) -> Content:
    return Content(refers=refer(*(("contact card", _card(as_fields(one) or {})) for one in items(item, "contacts")[:_MOST_LINES])))


def _card(contact: Fields) -> str | None:
    numbers = [said_of(as_fields(one) or {}, "phone") for one in items(contact, "phones")[:_MOST_NUMBERS]]
    told = [said_of(part(contact, "name"), "formatted_name"), *numbers]
    return clean(", ".join(one for one in told if one is not None), 1_000) or None


def _order(item: Fields) -> Content:
    order = part(item, "order")
    lines = [("order line", _line(as_fields(one) or {})) for one in items(order, "product_items")[:_MOST_LINES]]
    return _said(text_of(order, "text"), refer(*lines, ("catalog", id_of(order, "catalog_id"))))


def _line(ordered: Fields) -> str | None:
    named = said_of(ordered, "product_retailer_id")
    if named is None:
        return None
    price = ordered.get("item_price")
    told = price if isinstance(price, float) else said_of(ordered, "item_price")
    words = [f"{said_of(ordered, 'quantity') or '?'} x {named}"]
    if told is not None:
        words.append(f"{told} {word_of(ordered, 'currency') or ''}".strip())
    return clean(", ".join(words), 1_000)


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
    "audio": _file("audio"),
    "voice": _file("voice"),
    "sticker": _picture("sticker"),
    "location": _location,
    "contacts": _cards,
    "order": _order,
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
    "system": _system,
    "request_welcome": _welcome,
    "unsupported": _unsupported,
}
