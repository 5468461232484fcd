"""What the Cloud API accepts at /messages, as documented. Anything else is refused with the documented code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from chinwag.practice.refusals import Refusal, invalid, missing

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
TAG_LIMIT = 512

_BSUID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
_PHONE = re.compile(r"\+?[0-9][0-9 ().-]*")
_ADDRESS = {"messaging_product", "recipient_type", "to", "recipient", "recipient_identity_key_hash"}
_COMMON = _ADDRESS | {"type", "context", "biz_opaque_callback_data"}
_READ = {"messaging_product", "status", "message_id", "typing_indicator"}

Fields = dict[str, Any]


def is_bsuid(value: str) -> bool:
    """Say whether a value has the shape of a business-scoped user id."""
    return _BSUID.fullmatch(value) is not None


def check(body: object) -> str:
    """Check a request to /messages and return its kind: message, read or typing. Raises Refusal."""
    if not isinstance(body, dict):
        raise invalid("The body has to be a JSON object.")
    fields = cast("Fields", body)
    product = fields.get("messaging_product")
    if product is None:
        raise missing("messaging_product")
    if product != "whatsapp":
        raise invalid("Param messaging_product must be one of {WHATSAPP}.")
    return _check_read(fields) if "status" in fields else _check_message(fields)


def _check_read(body: Fields) -> str:
    _only(body, _READ)
    if body["status"] != "read":
        raise invalid("Param status must be one of {READ}.")
    message_id = _string(body, "message_id")
    if not message_id.startswith("wamid."):
        raise invalid("message_id is not the id of a message.", 131009)
    if "typing_indicator" not in body:
        return "read"
    typing = _object(body, "typing_indicator")
    _only(typing, {"type"}, "typing_indicator")
    if _string(typing, "type", "typing_indicator") != "text":
        raise invalid("Param typing_indicator['type'] must be one of {TEXT}.")
    return "typing"


def _check_message(body: Fields) -> str:
    kind = body.get("type", "text")
    if kind not in _TYPES:
        wanted = ", ".join(sorted(name.upper() for name in _TYPES))
        raise invalid(f"Param type must be one of {{{wanted}}}.")
    _only(body, _COMMON | {kind})
    _check_recipient(body)
    tag = body.get("biz_opaque_callback_data")
    if tag is not None and (not isinstance(tag, str) or not 0 < len(tag) <= TAG_LIMIT):
        raise invalid(f"Param biz_opaque_callback_data must be a string of 1 to {TAG_LIMIT} characters.")
    if "context" in body:
        context = _object(body, "context")
        _only(context, {"message_id"}, "context")
        _string(context, "message_id", "context")
    if kind not in body:
        raise Refusal(131008, f"The parameter {kind} is required.")
    _TYPES[kind](body)
    return "message"


def _check_recipient(body: Fields) -> None:
    group = body.get("recipient_type", "individual")
    if group not in {"individual", "group"}:
        raise invalid("Param recipient_type must be one of {INDIVIDUAL, GROUP}.")
    if "to" not in body and "recipient" not in body:
        raise missing("to")
    if "recipient" in body and not is_bsuid(_string(body, "recipient")):
        raise invalid("recipient is not a business-scoped user id.", 131009)
    to = _string(body, "to") if "to" in body else ""
    if to and group == "individual":
        digits = sum(letter.isdigit() for letter in to)
        if _PHONE.fullmatch(to) is None or not 6 <= digits <= 15:
            raise invalid("to is not a phone number; a business-scoped user id belongs in recipient.", 131009)


def _check_text(body: Fields) -> None:
    text = _object(body, "text")
    _only(text, {"body", "preview_url"}, "text")
    words = _string(text, "body", "text")
    if len(words) > TEXT_LIMIT:
        raise invalid(f"Param text['body'] must be at most {TEXT_LIMIT} characters long.")
    if not isinstance(text.get("preview_url", False), bool):
        raise invalid("Param text['preview_url'] must be a boolean.")


def _check_media(kind: str, extra: set[str]) -> Callable[[Fields], None]:
    def run(body: Fields) -> None:
        media = _object(body, kind)
        _only(media, {"id", "link"} | extra, kind)
        if ("id" in media) == ("link" in media):
            raise invalid(f"Param {kind} must hold exactly one of id and link.")
        _string(media, "id" if "id" in media else "link", kind)
        if len(str(media.get("caption", ""))) > CAPTION_LIMIT:
            raise invalid(f"Param {kind}['caption'] must be at most {CAPTION_LIMIT} characters long.")

    return run


def _check_reaction(body: Fields) -> None:
    reaction = _object(body, "reaction")
    _only(reaction, {"message_id", "emoji"}, "reaction")
    _string(reaction, "message_id", "reaction")
    if not isinstance(reaction.get("emoji"), str):
        raise missing("reaction['emoji']")


def _check_location(body: Fields) -> None:
    location = _object(body, "location")
    _only(location, {"latitude", "longitude", "name", "address"}, "location")
    for name in ("latitude", "longitude"):
        if location.get(name) is None:
            raise missing(f"location['{name}']")


def _check_contacts(body: Fields) -> None:
    contacts = body["contacts"]
    if not isinstance(contacts, list) or not contacts:
        raise invalid("Param contacts must be a list of at least one contact.")


def _check_template(body: Fields) -> None:
    template = _object(body, "template")
    _string(template, "name", "template")
    _string(_object(template, "language"), "code", "template['language']")


def _check_interactive(body: Fields) -> None:
    interactive = _object(body, "interactive")
    kind = _string(interactive, "type", "interactive")
    action = _object(interactive, "action")
    words = _string(_object(interactive, "body"), "text", "interactive['body']")
    if len(words) > (TEXT_LIMIT if kind == "list" else 1024):
        raise invalid("Param interactive['body']['text'] is too long.")
    if kind == "button":
        _check_buttons(action)
    if kind == "list":
        _check_rows(action)


def _check_buttons(action: Fields) -> None:
    buttons = action.get("buttons")
    if not isinstance(buttons, list) or not 1 <= len(cast("list[Any]", buttons)) <= 3:
        raise invalid("Param action['buttons'] must hold 1 to 3 buttons.")
    replies = [_object(button, "reply") for button in cast("list[Fields]", buttons)]
    _check_ids(replies, id_limit=256, title_limit=20)


def _check_rows(action: Fields) -> None:
    if not 1 <= len(_string(action, "button", "action")) <= 20:
        raise invalid("Param action['button'] must have 1 to 20 characters.")
    sections = cast("list[Fields]", action.get("sections") or [])
    rows = [row for section in sections for row in cast("list[Fields]", section.get("rows") or [])]
    if not 1 <= len(rows) <= 10 or len(sections) > 10:
        raise invalid("Param action['sections'] must hold 1 to 10 rows in all.")
    _check_ids(rows, id_limit=200, title_limit=24)


def _check_ids(choices: list[Fields], *, id_limit: int, title_limit: int) -> None:
    ids = [_string(choice, "id", "reply") for choice in choices]
    titles = [_string(choice, "title", "reply") for choice in choices]
    if len(set(ids)) != len(ids) or max(map(len, ids)) > id_limit or max(map(len, titles)) > title_limit:
        raise invalid(f"Ids must be unique, of at most {id_limit} characters; titles of at most {title_limit}.")


def _only(fields: Fields, known: set[str], where: str = "") -> None:
    for name in fields:
        if name not in known:
            raise invalid(f'Unexpected key "{name}"' + (f' on param "{where}".' if where else "."))


def _object(fields: object, name: str) -> Fields:
    value = cast("Fields", fields).get(name) if isinstance(fields, dict) else None
    if value is None:
        raise missing(name)
    if not isinstance(value, dict):
        raise invalid(f"Param {name} must be a JSON object.")
    return cast("Fields", value)


def _string(fields: Fields, name: str, where: str = "") -> str:
    path = f"{where}['{name}']" if where else name
    value = fields.get(name)
    if value is None or value == "":
        raise missing(path)
    if not isinstance(value, str):
        raise invalid(f"Param {path} must be a string.")
    return value


_TYPES: dict[str, Callable[[Fields], None]] = {
    "text": _check_text,
    "image": _check_media("image", {"caption"}),
    "video": _check_media("video", {"caption"}),
    "audio": _check_media("audio", {"voice"}),
    "document": _check_media("document", {"caption", "filename"}),
    "sticker": _check_media("sticker", set()),
    "reaction": _check_reaction,
    "location": _check_location,
    "contacts": _check_contacts,
    "template": _check_template,
    "interactive": _check_interactive,
}
