"""Who an item is from: a business-scoped id (BSUID), a phone number, or both. Ids are opaque text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from bots.channels.envelope import EVENTS_LIMIT
from bots.channels.fields import NAME_LIMIT, Fields, as_fields, id_of, items, part, text_of
from bots.channels.whatsapp.numbers import one_number
from bots.commands import is_command
from bots.domain import Identity, IdentityKind

_BSUID, _PHONE = IdentityKind.BSUID, IdentityKind.PHONE
_SPACING = str.maketrans("", "", "+ -()./\u00a0")


class Sender(NamedTuple):
    """Who an item is from."""

    identities: tuple[Identity, ...] = ()
    #: The name that the person chose.
    name: str | None = None
    #: Whether it is the account itself.
    is_own: bool = False


def bsuid(value: str | None) -> tuple[Identity, ...]:
    """Return the identity in a field for business-scoped ids."""
    return (Identity(kind=_BSUID, value=value),) if value else ()


def handle(value: str | None) -> tuple[Identity, ...]:
    """Return the identity in a field for phone numbers, which can also contain a business-scoped id."""
    if not value:
        return ()
    digits = _digits(value)
    return (Identity(kind=_PHONE, value=digits),) if digits is not None else (Identity(kind=_BSUID, value=value),)


def identities(*found: Sequence[Identity]) -> tuple[Identity, ...]:
    """Combine identities, each once, business-scoped ids first; within a kind their order stays."""
    every: list[Identity] = []
    for group in found:
        every += [one for one in group if one not in every]
    if len(every) > 1:
        every.sort(key=lambda one: one.kind is not _BSUID)
    return tuple(every)


def person(bsuid_in: str, handle_in: str, fields: Fields) -> tuple[Identity, ...]:
    """Return the identities of a person whose ids are in two fields: one for business-scoped ids, one for phone numbers."""
    if bsuid_in in fields:
        return identities(bsuid(id_of(fields, bsuid_in)), handle(id_of(fields, handle_in)))
    return handle(id_of(fields, handle_in))


class Contacts:
    """The contacts[] of a webhook. They are found by id, never by their position in the list."""

    __slots__ = ("_by_bsuid", "_by_phone", "_known", "_own")

    def __init__(self, value: Fields, metadata: Fields) -> None:
        self._known: list[Sender] = []
        #: Places in the list by a number, and by a business-scoped id.
        self._by_phone: dict[str, int] = {}
        self._by_bsuid: dict[str, int] = {}
        own = id_of(metadata, "display_phone_number")
        #: The account's own number.
        self._own = own if own is None or own.isdigit() else _digits(own)
        if "contacts" in value:
            # There are no more people than events; whoever is beyond them has nothing here.
            for item in items(value, "contacts")[:EVENTS_LIMIT]:
                contact = as_fields(item)
                if contact is not None:
                    self._add(contact)

    def _add(self, contact: Fields) -> None:
        found, place = person("user_id", "wa_id", contact), len(self._known)
        for one in found:
            self._places(one).setdefault(_key(one), place)
        self._known.append(self._sender(found, text_of(part(contact, "profile"), "name", NAME_LIMIT)))

    def _sender(self, found: tuple[Identity, ...], name: str | None = None) -> Sender:
        return Sender(found, name, found != () and found[-1].value == self._own)

    def sender_of(self, item: Fields) -> Sender:
        """Return all identities and the name of whom an item is from. An item without a sender is from the only contact in the webhook."""
        if len(self._known) == 1 and "from_user_id" not in item:
            known = self._known[0]
            if len(known.identities) == 1 and known.identities[0].value == item.get("from"):
                # Nearly always: the only person, spelled as in the message.
                return known
        return self.complete(person("from_user_id", "from", item))

    def is_addressed(self, item: Fields, text: str | None) -> bool:
        """Whether a group's message speaks to the account: it replies to a message of it, names its number behind @, or is a command."""
        own = self._own
        if is_command(text):
            return True
        if own is None:
            return False
        context = part(item, "context")
        told = id_of(context, "from") if id_of(context, "id") is not None else None
        return (told is not None and _digits(told) == own) or (text is not None and re.search(rf"@\+?{own}(?![0-9])", text) is not None)

    def _places(self, one: Identity) -> dict[str, int]:
        return self._by_phone if one.kind is _PHONE else self._by_bsuid

    def complete(self, stated: tuple[Identity, ...]) -> Sender:
        """Return all identities and the name of a person of whom some identities are stated."""
        for one in stated:
            place = self._places(one).get(_key(one))
            if place is not None:
                found = self._known[place]
                return self._sender(stated if stated == found.identities else _together(stated, found.identities), found.name)
        return self._sender(stated) if stated or len(self._known) != 1 else self._known[0]


def _key(one: Identity) -> str:
    """One key for all spellings of a number."""
    return one_number(one.value) if one.kind is _PHONE else one.value


def _together(stated: tuple[Identity, ...], listed: tuple[Identity, ...]) -> tuple[Identity, ...]:
    """Combine what an item and the list of contacts say of a person: a number as the item spells it, not once more as the list does."""
    have = {(one.kind, _key(one)) for one in stated}
    return identities(stated, [one for one in listed if (one.kind, _key(one)) not in have])


def _digits(value: str) -> str | None:
    """The digits of a phone number; None where it is something else."""
    digits = value if value.isdigit() else value.translate(_SPACING)
    return digits if digits.isdigit() and digits.isascii() else None
