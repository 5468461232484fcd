"""What a person wrote or did: one item of messages[], of any type, becomes one event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bots.channels.envelope import is_command
from bots.channels.fields import (
    Fields,
    as_fields,
    clean,
    code_of,
    digest,
    id_of,
    part,
    stamp_of,
    text_of,
    time_of,
    word_of,
)
from bots.channels.whatsapp.people import Contacts, bsuid, handle, identities
from bots.domain import DeliveryStatus, EventKind, Identity, InboundEvent, MediaReference, StatusUpdate

#: Prefix of the keys of messages without an id, or with one too long to store; the platform's own ids never begin like this.
DERIVED = "message:"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """The content of a message."""

    text: str | None = None
    kind: EventKind = EventKind.MESSAGE
    supported: bool = False
    at_once: bool = False
    reason: str | None = None
    media: tuple[MediaReference, ...] = ()
    #: Further identities of the same person, as stated by the platform.
    also: tuple[Identity, ...] = ()


def read_message(item: Fields, contacts: Contacts, account: str | None, beside: Fields) -> InboundEvent:
    """Read one message; `beside` is the value that contains it, which may have errors about it."""
    content_type = _type_of(item)
    content = _READERS.get(content_type, _unknown)(item)
    sender = identities(content.also, bsuid(id_of(item, "from_user_id")), handle(id_of(item, "from")))
    people, name = contacts.complete(sender)
    reason = content.reason
    if not content.supported and reason is None:
        code = code_of(item) or code_of(beside)
        reason = f"error {code}" if code is not None else None
    kind, supported, media = content.kind, content.supported, content.media
    if item.get("group_id") is not None and kind is EventKind.MESSAGE:
        # An answer would reach one participant in private, so messages of groups are only stored and shown.
        kind, supported, reason, media = EventKind.UNKNOWN, False, "a group's message is not answered", ()
    return InboundEvent(
        kind=kind,
        event_key=_key(item, content.kind, account),
        account_external_id=account,
        identities=people,
        contact_name=name,
        text=content.text,
        content_type=content_type,
        occurred_at=time_of(item),
        supported=supported,
        reply_at_once=content.at_once,
        media=media,
        reason=reason,
    )


def read_echo(item: Fields, account: str | None) -> InboundEvent:
    """Read what a person of the business wrote in the phone app: from now on that person answers, not the bot."""
    content_type, found = _type_of(item), id_of(item, "id")
    content = _READERS.get(content_type, _unknown)(item)
    people = identities(bsuid(id_of(item, "to_user_id")), handle(id_of(item, "to")))
    key = f"echo:{found or digest(account, item)}"
    is_message = content.kind is EventKind.MESSAGE and bool(people)
    return InboundEvent(
        kind=EventKind.ECHO if is_message else EventKind.UNKNOWN,
        event_key=key,
        account_external_id=account,
        identities=people,
        text=content.text,
        content_type=content_type if is_message else "echo",
        occurred_at=time_of(item),
        supported=False,
        status=StatusUpdate(external_id=found or key, status=DeliveryStatus.SENT) if is_message else None,
        reason="written by a person in the phone app",
    )


def _type_of(item: Fields) -> str:
    found = word_of(item, "type")
    if found:
        return found
    return next((name for name in _READERS if as_fields(item.get(name)) is not None), "unknown")


def _key(item: Fields, kind: EventKind, account: str | None) -> str:
    found = id_of(item, "id")
    if found is None and isinstance(item.get("id"), str) and item["id"].strip():
        found = DERIVED + digest(item["id"])
    if found is None:
        return f"{kind}:{digest(account, item)}" if kind is not EventKind.MESSAGE else DERIVED + digest(account, item)
    if kind in {EventKind.REACTION, EventKind.EDIT, EventKind.REVOKE}:
        return f"{kind}:{found}:{stamp_of(item)}"
    return found


def _text(item: Fields) -> _Content:
    text = text_of(part(item, "text"), "body")
    if text is None:
        return _Content(reason="a text message without a text")
    return _Content(text=text, supported=True, at_once=is_command(text))


def _button(item: Fields) -> _Content:
    button = part(item, "button")
    text = text_of(button, "text") or text_of(button, "payload")
    return _Content(text=text, supported=text is not None, at_once=text is not None)


def _interactive(item: Fields) -> _Content:
    interactive = part(item, "interactive")
    named = word_of(interactive, "type")
    for name in ("button_reply", "list_reply"):
        choice = part(interactive, name)
        text = text_of(choice, "title") or text_of(choice, "id")
        if text is not None and named in (name, None):
            return _Content(text=text, supported=True, at_once=True)
    if not interactive:
        return _Content()
    return _Content(text=text_of(part(interactive, named or ""), "body"), reason=f"interactive: {named or 'without a type'}")


def _captioned(name: str) -> Callable[[Fields], _Content]:
    return lambda item: _Content(text=text_of(part(item, name), "caption"))


def _picture(name: str) -> Callable[[Fields], _Content]:
    def read(item: Fields) -> _Content:
        fields = part(item, name)
        text, reference = text_of(fields, "caption"), id_of(fields, "id")
        if reference is None:
            return _Content(text=text)
        media = MediaReference(kind=name, reference=reference, media_type=word_of(fields, "mime_type"))
        return _Content(text=text, supported=True, at_once=is_command(text), media=(media,))

    return read


def _order(item: Fields) -> _Content:
    return _Content(text=text_of(part(item, "order"), "text"))


def _reaction(item: Fields) -> _Content:
    # No emoji, or an empty one: the reaction was removed.
    return _Content(kind=EventKind.REACTION, text=text_of(part(item, "reaction"), "emoji", 64))


def _edit(item: Fields) -> _Content:
    edited = part(part(item, "edit"), "message")
    text = text_of(part(edited, "text"), "body") or text_of(part(edited, word_of(edited, "type") or ""), "caption")
    return _Content(kind=EventKind.EDIT, text=text)


def _revoke(_: Fields) -> _Content:
    return _Content(kind=EventKind.REVOKE)


def _system(item: Fields) -> _Content:
    system = part(item, "system")
    # After a change of number or id it is still the same person: both identities belong to one contact.
    new = identities(bsuid(id_of(system, "user_id")), handle(id_of(system, "wa_id")), handle(id_of(system, "new_wa_id")))
    return _Content(kind=EventKind.SYSTEM, text=text_of(system, "body"), reason=word_of(system, "type"), also=new)


def _welcome(_: Fields) -> _Content:
    return _Content(kind=EventKind.SYSTEM, reason="the chat was opened")


def _unsupported(item: Fields) -> _Content:
    named = word_of(part(item, "unsupported"), "type")
    code = code_of(item)
    words = [f"error {code}"] if code is not None else []
    return _Content(reason=clean(", ".join([*([named] if named else []), *words]), 128) or None)


def _unknown(_: Fields) -> _Content:
    return _Content()


_READERS: dict[str, Callable[[Fields], _Content]] = {
    "text": _text,
    "button": _button,
    "interactive": _interactive,
    "image": _picture("image"),
    "video": _captioned("video"),
    "document": _captioned("document"),
    "audio": _unknown,
    "voice": _unknown,
    "sticker": _picture("sticker"),
    "location": _unknown,
    "order": _order,
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
    "system": _system,
    "request_welcome": _welcome,
    "unsupported": _unsupported,
}
