"""Who an item is from: a business-scoped id (BSUID), a phone number, or both. Ids are opaque text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bots.channels.fields import NAME_LIMIT, Fields, as_fields, id_of, items, part, text_of
from bots.domain import Identity, IdentityKind

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
    return (Identity(kind=IdentityKind.BSUID, value=value),) if value else ()


def handle(value: str | None) -> tuple[Identity, ...]:
    """Return the identity in a field for phone numbers, which can also contain a business-scoped id."""
    if not value:
        return ()
    digits = value if value.isdigit() else value.translate(_SPACING)
    if digits.isascii() and digits.isdigit():
        return (Identity(kind=IdentityKind.PHONE, value=digits),)
    return bsuid(value)


def identities(*found: Sequence[Identity]) -> tuple[Identity, ...]:
    """Combine identities, each once, business-scoped ids first; within a kind their order stays."""
    every: list[Identity] = []
    for group in found:
        every += [one for one in group if one not in every]
    if len(every) > 1:
        every.sort(key=lambda one: one.kind is not IdentityKind.BSUID)
    return tuple(every)


class Contacts:
    """The contacts[] of a webhook. They are found by id, never by their position in the list."""

    def __init__(self, value: Fields) -> None:
        self._known: list[Sender] = []
        #: By what stands in a field for phone numbers, and in one for business-scoped ids.
        self._by_phone: dict[str, int] = {}
        self._by_bsuid: dict[str, int] = {}
        self._own = _digits(id_of(part(value, "metadata"), "display_phone_number"))
        if "contacts" in value:
            for item in items(value, "contacts"):
                contact = as_fields(item)
                if contact is not None:
                    self._add(contact)

    def _add(self, contact: Fields) -> None:
        found = identities(bsuid(id_of(contact, "user_id")), handle(id_of(contact, "wa_id")))
        for identity in found:
            self._places(identity).setdefault(identity.value, len(self._known))
        self._known.append(Sender(found, text_of(part(contact, "profile"), "name", NAME_LIMIT)))

    def _places(self, identity: Identity) -> dict[str, int]:
        return self._by_bsuid if identity.kind is IdentityKind.BSUID else self._by_phone

    def sender_of(self, item: Fields) -> Sender:
        """Return all identities and the name of whom an item is from. An item without a sender is from the only contact in the webhook."""
        stated = identities(bsuid(id_of(item, "from_user_id")), handle(id_of(item, "from")))
        if self._own is not None and any(one.value == self._own for one in stated):
            return Sender(is_own=True)
        return self.complete(stated)

    def complete(self, stated: tuple[Identity, ...]) -> Sender:
        """Return all identities and the name of a person of whom some identities are stated."""
        place = next((n for n in (self._places(one).get(one.value) for one in stated) if n is not None), None)
        if place is None:
            if stated or len(self._known) != 1:
                return Sender(stated)
            place = 0
        found = self._known[place]
        return found if len(found.identities) == len(stated) == 1 else found._replace(identities=identities(stated, found.identities))


def _digits(value: str | None) -> str | None:
    found = handle(value)
    return found[0].value if found and found[0].kind is IdentityKind.PHONE else None
