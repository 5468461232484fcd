"""Who an item is from: a business-scoped id (BSUID), a phone number, or both. Ids are opaque text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bots.channels.fields import NAME_LIMIT, Fields, as_fields, id_of, items, part, text_of
from bots.channels.whatsapp.numbers import one_number
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
        for item in items(value, "contacts"):
            contact = as_fields(item)
            if contact is not None:
                self._add(contact)

    def _add(self, contact: Fields) -> None:
        found = identities(bsuid(id_of(contact, "user_id")), handle(id_of(contact, "wa_id")))
        for identity in found:
            self._by_identity.setdefault(_any_spelling(identity), len(self._known))
        self._known.append((found, text_of(part(contact, "profile"), "name", NAME_LIMIT)))

    def complete(self, sender: Sequence[Identity]) -> tuple[tuple[Identity, ...], str | None]:
        """Return all identities and the name of a sender. A message without a sender is from the only contact in the webhook."""
        places = [self._by_identity[one] for one in map(_any_spelling, sender) if one in self._by_identity]
        if not places and not sender and len(self._known) == 1:
            places = [0]
        if not places:
            return tuple(sender), None
        found, name = self._known[places[0]]
        # A number as the message has it, not once more as the list of contacts spells it.
        have = {_any_spelling(identity) for identity in sender}
        return identities(sender, (one for one in found if _any_spelling(one) not in have)), name


def _any_spelling(identity: Identity) -> Identity:
    return Identity(kind=identity.kind, value=one_number(identity.value)) if identity.kind is IdentityKind.PHONE else identity
