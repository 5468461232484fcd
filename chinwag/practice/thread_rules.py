"""What Messenger and Instagram accept at /messages, as documented. Anything else is refused with the documented code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from chinwag.practice.pages import Page
from chinwag.practice.refusals import Refusal

#: Messenger says "under 2,000 characters"; Instagram counts bytes of UTF-8.
TEXT_LIMIT, BYTES_LIMIT = 1_999, 1_000
_METADATA_LIMIT = 999
_TYPES = ("RESPONSE", "UPDATE", "MESSAGE_TAG")
_ACTIONS = {"mark_seen": "read", "typing_on": "typing", "typing_off": "typing_off", "react": "reaction", "unreact": "reaction"}
_MESSAGE = {
    "messenger": {"text", "attachment", "quick_replies", "metadata"},
    # Whether Instagram accepts metadata is not documented.
    "instagram": {"text", "attachment", "quick_replies"},
}
_MEDIA = {"image", "audio", "video", "file"}
_QUICK = {"text": {"content_type", "title", "payload", "image_url"}, "user_phone_number": {"content_type"}, "user_email": {"content_type"}}

Fields = dict[str, Any]


def check(page: Page, body: object) -> str:
    """Check a request to /messages and return its kind: message, read, typing, typing_off or reaction. Raises Refusal."""
    if not isinstance(body, dict):
        raise _wrong("The body has to be a JSON object.")
    fields = cast("Fields", body)
    recipient = _object(fields, "recipient")
    _only(recipient, {"id"}, "recipient")
    _string(recipient, "id", "recipient")
    if "sender_action" in fields:
        return _check_action(fields)
    _only(fields, {"recipient", "messaging_type", "tag", "message", "reply_to"})
    _check_type(page, fields)
    if "reply_to" in fields:
        reply = _object(fields, "reply_to")
        _only(reply, {"mid"}, "reply_to")
        _string(reply, "mid", "reply_to")
    _check_message(page, _object(fields, "message"))
    return "message"


def _check_action(body: Fields) -> str:
    action = _string(body, "sender_action")
    if action not in _ACTIONS:
        raise _wrong(f"Param sender_action must be one of {{{', '.join(name.upper() for name in _ACTIONS)}}}.")
    reacts = _ACTIONS[action] == "reaction"
    # It must be alone in the call: the platform refuses a call that also has a message.
    _only(body, {"recipient", "sender_action"} | ({"payload"} if reacts else set()))
    if reacts:
        payload = _object(body, "payload")
        _only(payload, {"message_id", "reaction"}, "payload")
        _string(payload, "message_id", "payload")
        if action == "react":
            _string(payload, "reaction", "payload")
    return _ACTIONS[action]


def _check_type(page: Page, body: Fields) -> None:
    kind = body.get("messaging_type")
    if kind is None and page.channel == "messenger":
        raise _missing("messaging_type")
    if kind is not None and kind not in _TYPES:
        raise _wrong(f"Param messaging_type must be one of {{{', '.join(_TYPES)}}}.")
    if (kind == "MESSAGE_TAG") != ("tag" in body):
        raise _wrong("Param tag belongs to messaging_type MESSAGE_TAG.")
    if "tag" in body and body["tag"] != "HUMAN_AGENT":
        # Also the tags that were removed in April 2026.
        raise _wrong("Invalid parameter")


def _check_message(page: Page, message: Fields) -> None:
    _only(message, _MESSAGE[page.channel], "message")
    metadata = message.get("metadata", "")
    if not isinstance(metadata, str) or len(metadata) > _METADATA_LIMIT:
        raise _wrong(f"Length of param message[metadata] must be less than or equal to {_METADATA_LIMIT}.")
    if "text" in message and "attachment" in message:
        raise _wrong("Param message may hold text or attachment, not both.")
    if "text" in message:
        _check_text(page, message["text"])
    elif "attachment" in message:
        _check_attachment(page, _object(message, "attachment", "message"))
    else:
        raise _wrong("Message cannot be empty, must provide valid attachment or text")
    if "quick_replies" in message:
        if page.channel == "instagram" and "text" not in message:
            raise _wrong("Param message[quick_replies] needs text.")
        _check_quick_replies(message["quick_replies"])


def _check_text(page: Page, text: Any) -> None:
    if not isinstance(text, str):
        raise _wrong("Param message[text] must be a string.")
    if not text.strip():
        raise _wrong("Message cannot be empty, must provide valid attachment or text")
    try:
        size = len(text) if page.channel == "messenger" else len(text.encode())
    except UnicodeEncodeError as error:
        raise _wrong("Param message[text] must be a valid UTF-8 string.") from error
    limit, unit = (TEXT_LIMIT, "characters") if page.channel == "messenger" else (BYTES_LIMIT, "bytes")
    if size > limit:
        raise _wrong(f"Length of param message[text] must be less than or equal to {limit} {unit}.")


def _check_quick_replies(given: Any) -> None:
    for reply in _list(given, "message[quick_replies]", 13):
        kind = _string(reply, "content_type", "message[quick_replies]")
        if kind not in _QUICK:
            raise _wrong("Param content_type must be one of {TEXT, USER_PHONE_NUMBER, USER_EMAIL}.")
        _only(reply, _QUICK[kind], "message[quick_replies]")
        if kind == "text":
            _string(reply, "title", "message[quick_replies]", limit=20)
            _string(reply, "payload", "message[quick_replies]", limit=1000)


def _check_attachment(page: Page, attachment: Fields) -> None:
    _only(attachment, {"type", "payload"}, "attachment")
    kind = _string(attachment, "type", "attachment")
    if page.channel == "instagram" and kind == "like_heart":
        _only(attachment, {"type"}, "attachment")
        return
    payload = _object(attachment, "payload", "attachment")
    if page.channel == "instagram" and kind == "MEDIA_SHARE":
        _only(payload, {"id"}, "payload")
        _string(payload, "id", "payload")
    elif kind in _MEDIA:
        _only(payload, {"url", "is_reusable", "attachment_id"}, "payload")
        if ("url" in payload) == ("attachment_id" in payload):
            raise _wrong("Param payload must hold exactly one of url and attachment_id.")
        _string(payload, "url" if "url" in payload else "attachment_id", "payload")
    elif kind == "template" and payload.get("template_type") in _TEMPLATES:
        _TEMPLATES[payload["template_type"]](payload)
    else:
        raise _wrong("Param attachment[type] must be one of {IMAGE, AUDIO, VIDEO, FILE, TEMPLATE}, a template of {BUTTON, GENERIC}.")


def _check_button_template(payload: Fields) -> None:
    _only(payload, {"template_type", "text", "buttons"}, "payload")
    _string(payload, "text", "payload", limit=640)
    _check_buttons(payload.get("buttons"))


def _check_generic_template(payload: Fields) -> None:
    _only(payload, {"template_type", "elements", "image_aspect_ratio"}, "payload")
    for element in _list(payload.get("elements"), "payload[elements]", 10):
        _only(element, {"title", "subtitle", "image_url", "default_action", "buttons"}, "elements")
        _string(element, "title", "elements", limit=80)
        if "subtitle" in element:
            _string(element, "subtitle", "elements", limit=80)
        if "buttons" in element:
            _check_buttons(element["buttons"])


def _check_buttons(given: Any) -> None:
    for button in _list(given, "buttons", 3):
        kind = _string(button, "type", "buttons")
        if kind not in {"postback", "web_url"}:
            raise _wrong("Param buttons[type] must be one of {POSTBACK, WEB_URL}.")
        value = "payload" if kind == "postback" else "url"
        _only(button, {"type", "title", value}, "buttons")
        _string(button, "title", "buttons", limit=20)
        _string(button, value, "buttons", limit=1000)


def _list(given: Any, path: str, most: int) -> list[Fields]:
    found = cast("list[Any]", given) if isinstance(given, list) else []
    if not 1 <= len(found) <= most or not all(isinstance(one, dict) for one in found):
        raise _wrong(f"Param {path} must be an array of 1 to {most} objects.")
    return cast("list[Fields]", found)


def _only(fields: Fields, known: set[str], where: str = "") -> None:
    for name in fields:
        if name not in known:
            raise _wrong(f'Unexpected key "{name}"' + (f' on param "{where}".' if where else "."))


def _object(fields: Fields, name: str, where: str = "") -> Fields:
    path = f"{where}[{name}]" if where else name
    value = fields.get(name)
    if value is None:
        raise _missing(path)
    if not isinstance(value, dict):
        raise _wrong(f"Param {path} must be a JSON object.")
    return cast("Fields", value)


def _string(fields: Fields, name: str, where: str = "", *, limit: int = 4096) -> str:
    path = f"{where}[{name}]" if where else name
    value = fields.get(name)
    if value is None or value == "":
        raise _missing(path)
    if not isinstance(value, str):
        raise _wrong(f"Param {path} must be a string.")
    if len(value) > limit:
        raise _wrong(f"Length of param {path} must be less than or equal to {limit}.")
    return value


def _wrong(what: str) -> Refusal:
    return Refusal(100, message=f"(#100) {what}")


def _missing(path: str) -> Refusal:
    return Refusal(100, message=f"(#100) The parameter {path} is required.")


_TEMPLATES: dict[str, Callable[[Fields], None]] = {"button": _check_button_template, "generic": _check_generic_template}
