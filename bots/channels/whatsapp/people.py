"""Who an item is from: a business-scoped id (BSUID), a phone number, or both. Ids are opaque text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bots.channels.envelope import EVENTS_LIMIT
from bots.channels.fields import NAME_LIMIT, Fields, as_fields, id_of, items, part, text_of
from bots.domain import Identity, IdentityKind

_SPACING = str.maketrans("", "", "+ -()./\u00a0")


def bsuid(value: str | None) -> tuple[Identity, ...]:
    """Return the identity in a field for business-scoped ids."""
    return (Identity(kind=IdentityKind.BSUID, value=value),) if value else ()


def handle(value: str | None) -> tuple[Identity, ...]:
    """Return the identity in a field for phone numbers, which can also contain a business-scoped id."""
    if not value:
        return ()
    digits = value.translate(_SPACING)
    if digits.isascii() and digits.isdigit():
        return (Identity(kind=IdentityKind.PHONE, value=digits),)
    return bsuid(value)


def identities(*found: Iterable[Identity]) -> tuple[Identity, ...]:
    """Combine identities, each once, business-scoped ids first; within a kind their order stays."""
    every = dict.fromkeys(identity for group in found for identity in group)
    return tuple(sorted(every, key=lambda identity: identity.kind is not IdentityKind.BSUID))


class Contacts:
    """The contacts[] of a webhook. They are found by id, never by their position in the list."""

    def __init__(self, value: Fields) -> None:
        self._known: list[tuple[tuple[Identity, ...], str | None]] = []
        self._by_identity: dict[Identity, int] = {}
        # There are no more people than events; whoever is beyond them has nothing here.
        for item in items(value, "contacts")[:EVENTS_LIMIT]:
            contact = as_fields(item)
            if contact is not None:
                self._add(contact)

    def _add(self, contact: Fields) -> None:
        found = identities(bsuid(id_of(contact, "user_id")), handle(id_of(contact, "wa_id")))
        for identity in found:
            self._by_identity.setdefault(identity, len(self._known))
        self._known.append((found, text_of(part(contact, "profile"), "name", NAME_LIMIT)))

    def complete(self, sender: Sequence[Identity]) -> tuple[tuple[Identity, ...], str | None]:
        """Return all identities and the name of a sender. A message without a sender is from the only contact in the webhook."""
        places = [self._by_identity[identity] for identity in sender if identity in self._by_identity]
        if not places and not sender and len(self._known) == 1:
            places = [0]
        if not places:
            return tuple(sender), None
        found, name = self._known[places[0]]
        return identities(sender, found), name
