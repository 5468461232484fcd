"""One item of messages[], of any type, becomes one event: what a person wrote or did, or what the business itself did.

The business's own words are never told as the person's: the keys of echoes, and of the edits and unsends in them, begin with "echo:".
"""

from __future__ import annotations

from bots.channels.fields import Fields, code_of, digest, id_of, part, stamp_of, time_of, word_of
from bots.channels.references import refer
from bots.channels.whatsapp.changes import changed_handles
from bots.channels.whatsapp.content import Content, content_of, referred, type_of
from bots.channels.whatsapp.people import Contacts, person
from bots.domain import DeliveryStatus, EventKind, Identity, IdentityKind, InboundEvent, StatusUpdate

#: Prefix of the keys of messages without an id, or with one too long to store; the platform's own ids never begin like this.
DERIVED = "message:"
#: Each of these is about another message. An event's id can be that message's, so it alone does not make a key.
_ABOUT = frozenset({EventKind.REACTION, EventKind.EDIT, EventKind.REVOKE})
#: What staff does to a message of their own; the key of an echo says that it was they.
_OF_STAFF = frozenset({EventKind.ECHO, EventKind.EDIT, EventKind.REVOKE})
_BY_STAFF = "written by a person in the phone app"


def read_message(item: Fields, contacts: Contacts, account: str | None, beside: Fields) -> InboundEvent:
    """Read one message; `beside` is the value that contains it, which may have errors about it."""
    content_type = type_of(item)
    content = content_of(item, content_type)
    people, name, is_own = contacts.sender_of(item)
    if is_own:
        return read_echo(item, account)
    previous: tuple[Identity, ...] = ()
    kind, supported, media, reason = content.kind, content.supported, content.media, content.reason
    if kind is EventKind.SYSTEM and content.about is not None:
        people, previous = changed_handles(content.about, people, content.text)
    if not supported and reason is None:
        code = code_of(item) or code_of(beside)
        reason = f"error {code}" if code is not None else None
    refers = (*content.refers, *referred(item)) if "referral" in item or "context" in item else content.refers
    addressed: bool | None = None
    if "group_id" in item and item["group_id"] is not None:
        # Never told as what one of its members said in private.
        addressed = contacts.is_addressed(item, content.text)
        refers = (*refer(("member of the group", name or (people[0].value if people else None))), *refers)
        group = id_of(item, "group_id")
        people, name = (Identity(kind=IdentityKind.GROUP, value=group),) if group else (), None
        # Nobody's handles become a group's.
        previous = ()
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
        target=None if content.about is None else _target(content),
        quoted=_quoted(item, content) if "context" in item or content.within else None,
        refers=refers,
        addressed=addressed,
        previous=previous,
        reason=reason,
    )


def read_echo(item: Fields, account: str | None) -> InboundEvent:
    """Read what a person of the business wrote in the phone app: from now on that person answers, not the bot."""
    content_type = type_of(item)
    content = content_of(item, content_type)
    found, people = _named(item, "id"), _recipient(item)
    key = f"echo:{found or digest(account, item)}"
    kind = content.kind
    if kind is EventKind.MESSAGE:
        kind = EventKind.ECHO if people else EventKind.UNKNOWN
    elif kind not in _ABOUT:
        kind = EventKind.UNKNOWN
    is_message = kind is EventKind.ECHO
    return InboundEvent(
        kind=kind,
        event_key=f"{key}:{kind}:{stamp_of(item)}" if kind in _ABOUT else key,
        account_external_id=account,
        identities=people if kind in _OF_STAFF else (),
        text=content.text,
        content_type="echo" if kind is EventKind.UNKNOWN else content_type,
        occurred_at=time_of(item),
        supported=False,
        status=StatusUpdate(external_id=found or key, status=DeliveryStatus.SENT) if is_message else None,
        target=_target(content),
        quoted=_quoted(item, content),
        refers=content.refers,
        reason=_BY_STAFF,
    )


def _recipient(item: Fields) -> tuple[Identity, ...]:
    """The person whom an echo went to; a group is nobody."""
    if item.get("group_id") is not None or word_of(item, "recipient_type") == "group":
        return ()
    return person("to_user_id", "to", item)


def _key(item: Fields, kind: EventKind, account: str | None) -> str:
    found = id_of(item, "id") or _named(item, "id")
    if found is None:
        return DERIVED + digest(account, item) if kind is EventKind.MESSAGE else f"{kind}:{digest(account, item)}"
    return f"{kind}:{found}:{stamp_of(item)}" if kind in _ABOUT else found


def _named(fields: Fields, name: str) -> str | None:
    """The id of a message; where it is too long to store, one that we make from it."""
    found = id_of(fields, name)
    if found is not None:
        return found
    whole = fields.get(name)
    return DERIVED + digest(whole) if isinstance(whole, str) and whole.strip() else None


def _target(content: Content) -> str | None:
    """The message that a reaction, an edit or an unsend is about."""
    if content.about is None or content.kind not in _ABOUT:
        return None
    return _named(content.about, "message_id" if content.kind is EventKind.REACTION else "original_message_id")


def _quoted(item: Fields, content: Content) -> str | None:
    """The message that this one replies to. A forwarded message has a context without an id."""
    return _named(part(item, "context"), "id") or _named(part(content.within or {}, "context"), "id")
