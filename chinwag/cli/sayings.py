"""What a person can do on each messenger, as the platform writes it: words, a place, a contact card, a press, a reply, an edit, an unsend."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

Json = dict[str, Any]
_LARGEST_CARD = 1_000_000
_WHATSAPP = "whatsapp"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAct:
    """What is sent beside or instead of words."""

    #: (latitude, longitude, name or "")
    location: tuple[float, float, str] | None = None
    #: The text of a vCard.
    card: str = ""
    #: The id of the button; the words are its title.
    button: str = ""
    #: The id of the message that this one replies to.
    reply_to: str = ""
    #: The id of the message whose words these replace.
    edit: str = ""
    #: The id of the message that is taken back.
    unsend: str = ""

    @property
    def changes(self) -> bool:
        """Whether it changes an earlier message; that need not be answered."""
        return bool(self.edit or self.unsend)

    def message(self, channel: str, text: str) -> Json:
        """The fields of a request to the practice platform. Raises BadParameter for what a messenger does not have."""
        if sum(map(bool, (self.location, self.card, self.button, self.edit, self.unsend))) > 1:
            raise typer.BadParameter("give one of --location, --contact-card, --button, --edit, --unsend")
        if self.edit and not text.strip():
            raise typer.BadParameter("--edit needs the new words: --text")
        if text.strip() and (self.location or self.card):
            raise typer.BadParameter("nobody can write anything beside a place or a contact card: send --text by itself")
        if self.changes and self.reply_to:
            raise typer.BadParameter("--reply-to goes with a new message, not with --edit or --unsend")
        return self._on_whatsapp(text) if channel == _WHATSAPP else self._on_a_page(channel, text)

    def _on_whatsapp(self, text: str) -> Json:
        message: Json = {"type": "text", "text": {"body": text}}
        if self.location:
            latitude, longitude, name = self.location
            message = {"type": "location", "location": {"latitude": latitude, "longitude": longitude} | ({"name": name} if name else {})}
        elif self.card:
            message = {"type": "contacts", "contacts": [_contact(one) for one in _cards(self.card)], "origin": "other"}
        elif self.button:
            reply = {"id": self.button, "title": text or self.button}
            message = {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": reply}}
        elif self.edit:
            inner = {"type": "text", "text": {"body": text}}
            return {"message": {"type": "edit", "edit": {"original_message_id": self.edit, "message": inner}}}
        elif self.unsend:
            return {"message": {"type": "revoke", "revoke": {"original_message_id": self.unsend}}}
        return {"message": message | ({"context": {"id": self.reply_to}} if self.reply_to else {})}

    def _on_a_page(self, channel: str, text: str) -> Json:
        reply: Json = {"reply_to": {"mid": self.reply_to}} if self.reply_to else {}
        if self.card:
            raise typer.BadParameter(f"nobody can send a contact card on {channel}")
        if self.location:
            if channel != "messenger":
                raise typer.BadParameter(f"nobody can send a place on {channel}")
            latitude, longitude, name = self.location
            place = {
                "type": "location",
                "title": name or "Pinned Location",
                "payload": {"coordinates": {"lat": latitude, "long": longitude}},
            }
            return {"attachments": [place], **reply}
        if self.button:
            return {"text": text or self.button, "quick_reply": {"payload": self.button}, **reply}
        if self.edit:
            return {"edit": {"mid": self.edit, "text": text, "num_edit": 1}}
        if self.unsend:
            return {"message": {"mid": self.unsend, "is_deleted": True}}
        return {"text": text, **reply}


def place(given: str) -> tuple[float, float, str]:
    """Read LAT,LON or LAT,LON,NAME. Raises BadParameter."""
    latitude, _, rest = given.partition(",")
    longitude, _, name = rest.partition(",")
    try:
        found = float(latitude), float(longitude)
    except ValueError as error:
        raise typer.BadParameter("--location takes LAT,LON or LAT,LON,NAME, such as 55.6,13.0,Depot") from error
    if not (abs(found[0]) <= 90 and abs(found[1]) <= 180):
        raise typer.BadParameter("a latitude is from -90 to 90, a longitude from -180 to 180")
    return (*found, name.strip())


def card(file: Path) -> str:
    """Read a vCard. Raises BadParameter."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST_CARD).decode("utf-8", "replace")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from error
    if not re.search(r"^BEGIN:VCARD", text, re.IGNORECASE | re.MULTILINE):
        raise typer.BadParameter(f"{file} is not a vCard: it has no line BEGIN:VCARD")
    return text


def _cards(text: str) -> list[str]:
    return [found[0] for found in re.finditer(r"^BEGIN:VCARD.*?(?:^END:VCARD|\Z)", text, re.IGNORECASE | re.MULTILINE | re.DOTALL)]


def _contact(text: str) -> Json:
    """A vCard as WhatsApp sends one. Of a name written in parts only FN counts, which every vCard has."""
    lines = re.sub(r"\r?\n[ \t]", "", text).splitlines()
    found: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        found.setdefault(name.partition(";")[0].rpartition(".")[2].upper(), []).append(_unescaped(value.strip()))
    phones = [{"phone": value.removeprefix("tel:")} for value in found.get("TEL", [])]
    contact: Json = {"name": {"formatted_name": "".join(found.get("FN", [])[:1])}, "phones": phones, "vcard": text}
    contact["emails"] = [{"email": value} for value in found.get("EMAIL", [])]
    return contact | ({"org": {"company": found["ORG"][0].rstrip(";")}} if found.get("ORG") else {})


def _unescaped(value: str) -> str:
    return re.sub(r"\\([\\,;nN])", lambda sign: "\n" if sign[1] in "nN" else sign[1], value)
