"""`chinwag webhook send`: write to an account like a person, through the practice platform, and print the answer."""

from __future__ import annotations

import base64
import mimetypes
import os
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx
import typer

from bots.channels.sound import media_type_of
from chinwag.cli.sayings import PersonAct, card, place
from chinwag.local.ground import environment
from chinwag.practice.inbound import SOMEBODY
from chinwag.practice.payloads import digits
from chinwag.practice.rules import is_bsuid

#: Who writes by default; the same person each time, so that the bot can remember.
DEMO_SENDERS = SOMEBODY
#: After this long without another part, an answer is complete.
_QUIET_S = 1.5
_LARGEST_IMAGE = 32 * 1024 * 1024
_VIDEOS = frozenset({".mp4", ".3gp", ".webm", ".mov"})
_MARKS = {b"\x89PNG": "image/png", b"GIF8": "image/gif", b"WEBP": "image/webp"}


class Channel(StrEnum):
    """A messenger that people use."""

    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    INSTAGRAM = "instagram"


class FileKind(StrEnum):
    """What a file is sent as."""

    VOICE = "voice"
    DOCUMENT = "document"
    STICKER = "sticker"
    VIDEO = "video"


def send(
    text: Annotated[str, typer.Option("--text", help="What the person writes.")] = "",
    image: Annotated[Path | None, typer.Option("--image", help="A picture that the person sends; --text goes with it.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="A file that the person sends: a voice note, document, sticker or video.")
    ] = None,
    kind: Annotated[
        FileKind | None, typer.Option("--kind", help="What the file is sent as; default: by its content.", show_default=False)
    ] = None,
    location: Annotated[str, typer.Option(metavar="LAT,LON[,NAME]", help="A place that the person sends: 55.6,13.0,Depot.")] = "",
    contact_card: Annotated[Path | None, typer.Option(help="A vCard (.vcf) that the person sends (WhatsApp).")] = None,
    button: Annotated[str, typer.Option(metavar="ID", help="The button that the person presses; --text is its title.")] = "",
    reply_to: Annotated[str, typer.Option(metavar="ID", help="The id of the message that the person replies to.")] = "",
    edit: Annotated[str, typer.Option(metavar="ID", help="The id of the person's message whose words --text replaces.")] = "",
    unsend: Annotated[str, typer.Option(metavar="ID", help="The id of the person's message that is taken back.")] = "",
    channel: Annotated[Channel, typer.Option("--channel", help="The messenger that the person uses.")] = Channel.WHATSAPP,
    account: Annotated[str, typer.Option("--account", help="The account's name, or its id on the platform.")] = "demo",
    wait: Annotated[
        float | None,
        typer.Option("--wait", help="Seconds to wait for an answer; default: 60, and 5 for --edit and --unsend.", show_default=False),
    ] = None,
    sender: Annotated[str, typer.Option("--from", help="The person's number, or id on that channel; default: always the same one.")] = "",
    name: Annotated[str, typer.Option("--name", help="The person's profile name (WhatsApp).")] = "Demo Person",
) -> None:
    """Sign and send a message like the platform, and print the answer. Its id is printed to standard error, for --reply-to, --edit and --unsend.

    chinwag webhook send --text "Which day suits you?"

    chinwag webhook send --location 55.6,13.0,Depot

    chinwag webhook send --file note.ogg --kind voice
    """
    saying = PersonAct(
        location=place(location) if location else None,
        card=card(contact_card) if contact_card is not None else "",
        button=button,
        reply_to=reply_to,
        edit=edit,
        unsend=unsend,
    )
    if image is not None and file is not None:
        _fail("Give --image or --file.", 2)
    if (image is not None or file is not None) and saying != PersonAct():
        _fail("--image and --file go with --text alone.", 2)
    if kind is not None and file is None:
        _fail("--kind says what a --file is sent as.", 2)
    if not text.strip() and image is None and file is None and saying == PersonAct(reply_to=reply_to):
        _fail("Nothing to send: give --text, --image, --file, --location, --contact-card, --button, or what to --unsend.", 2)
    picture = picture_of(_read(image)) if image is not None else _file(file, kind) if file is not None else None
    address = environment(os.environ).get("FAKE_PLATFORM_URL", "")
    if not address:
        _fail("This stack has no practice platform; `make run` starts one.", 2)
    writer = sender or DEMO_SENDERS[channel.value]
    wait_s = wait if wait is not None else 5.0 if saying.changes else 60.0
    parts = converse(
        address, account=account, sender=writer, text=text, name=name, wait_s=wait_s, channel=channel.value, picture=picture, saying=saying
    )
    if not parts and saying.changes:
        typer.echo(f"Changed. No new answer came within {wait_s:g} s; a message that was answered already is not answered again.", err=True)
    elif not parts:
        _fail(f"No answer reached the platform within {wait_s:g} s. The admin pages show what happened to the message.", 1)
    typer.echo("\n".join(parts))


def converse(
    address: str,
    *,
    account: str,
    sender: str,
    text: str,
    name: str,
    wait_s: float,
    channel: str = Channel.WHATSAPP.value,
    picture: dict[str, str] | None = None,
    saying: PersonAct | None = None,
) -> list[str]:
    """Write to an account through the practice platform and return the parts of the answer; none when time is over."""
    if channel == Channel.WHATSAPP and not is_bsuid(sender) and not digits(sender):
        _fail(f"--from must be a phone number such as {DEMO_SENDERS[channel]}, or a business-scoped id such as ES.81230091.", 2)
    deadline = time.monotonic() + wait_s
    with httpx.Client(base_url=address, timeout=httpx.Timeout(35.0, connect=3.0), trust_env=False) as http:
        try:
            talk = _Talk(http, _account_id(http, channel, account), channel, sender)
            talk.write(text, name, deadline, picture, saying)
            return talk.answer(deadline)
        except httpx.HTTPError as error:
            _fail(f"The practice platform at {address} does not answer ({type(error).__name__}). Is the stack running?", 2)


@dataclass(slots=True)
class _Talk:
    """One question and its answer, as the platform sees them."""

    http: httpx.Client
    account_id: str
    channel: str
    sender: str
    seen: int = 0

    def write(self, text: str, name: str, deadline: float, picture: dict[str, str] | None = None, saying: PersonAct | None = None) -> None:
        """Post the person's message to the account's webhook."""
        self.seen = int(_asked(self.http.get("/_practice/log", params={"after": 2**53}))["last"])
        who = {"bsuid": self.sender} if self._is_bsuid() else {"from": self.sender}
        if self.channel == Channel.WHATSAPP:
            who["name"] = name
        left = max(0.5, min(30.0, deadline - time.monotonic()))
        message: dict[str, Any] = {"account_id": self.account_id, "wait_s": left, **who}
        if saying is not None and saying != PersonAct():
            message |= saying.message(self.channel, text)
        elif text or picture is None:
            message["text"] = text
        if picture is not None:
            message["pictures"] = [picture]
        answer = _asked(self.http.post("/_practice/inbound", json=message))
        status = answer["http_status"]
        if "why" in answer:
            _fail(answer["why"], 1)
        if status != 200:
            came = f"answered {status}" if status else "did not answer"
            _fail(f"The account's webhook {came}, after {answer['attempts']} attempts. The platform keeps trying.", 1)
        if saying is not None:
            typer.echo(f"sent as {answer['message_id']}", err=True)

    def answer(self, deadline: float) -> list[str]:
        """Collect the parts of the answer until no more come."""
        parts: dict[str, str] = {}
        until = deadline
        while (left := until - time.monotonic()) > 0:
            fresh = _asked(self.http.get("/_practice/log", params={"after": self.seen, "wait": round(min(left, 20.0), 3)}))
            self.seen = int(fresh["last"])
            for entry in fresh["entries"]:
                if self._is_for_sender(entry):
                    parts.setdefault(entry["correlation"] or entry["external_id"], entry["text"] or f"[{entry['type']}]")
                    until = time.monotonic() + _QUIET_S
        return list(parts.values())

    def _is_bsuid(self) -> bool:
        return self.channel == Channel.WHATSAPP and is_bsuid(self.sender)

    def _is_for_sender(self, entry: dict[str, Any]) -> bool:
        if entry["kind"] != "message" or entry["outcome"] != "accepted" or entry["account_id"] != self.account_id:
            return False
        if self.channel != Channel.WHATSAPP or self._is_bsuid():
            return entry["recipient"] == self.sender
        return digits(entry["to"] or "") == digits(self.sender)


def picture_of(data: bytes) -> dict[str, str]:
    """A picture as the practice platform takes it."""
    return {"data": base64.b64encode(data).decode(), "media_type": _media_type(data)}


def _file(file: Path, kind: FileKind | None) -> dict[str, str]:
    """A file of another kind. What begins like a recording is a voice note, if nothing else is said."""
    data = _read(file)
    sound = media_type_of(data)
    if kind is None:
        is_video = sound in ("audio/mp4", "audio/webm") and file.suffix.lower() in _VIDEOS
        kind = FileKind.VIDEO if is_video else FileKind.VOICE if sound.startswith("audio/") else FileKind.DOCUMENT
    media_type = sound if kind is FileKind.VOICE else mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return {"data": base64.b64encode(data).decode(), "media_type": media_type, "kind": kind.value, "filename": file.name}


def _read(image: Path) -> bytes:
    """Read a file; the service checks its content."""
    try:
        with image.open("rb") as file:
            data = file.read(_LARGEST_IMAGE + 1)
    except OSError as error:
        _fail(f"{image} cannot be read: {error.strerror}.", 2)
    if not 0 < len(data) <= _LARGEST_IMAGE:
        _fail(f"{image} is empty or larger than {_LARGEST_IMAGE // 1024 // 1024} MB.", 2)
    return data


def _media_type(picture: bytes) -> str:
    """Its content type on the platform."""
    return next((kind for mark, kind in _MARKS.items() if picture[8 * (mark == b"WEBP") :].startswith(mark)), "image/jpeg")


def _account_id(http: httpx.Client, channel: str, account: str) -> str:
    listed = [one for one in _asked(http.get("/_practice/accounts"))["accounts"] if one["channel"] == channel]
    names = {str(one["account"] or one["account_id"]): str(one["account_id"]) for one in listed}
    ids = set(names.values())
    if account not in names and account not in ids:
        _fail(f"The practice platform has no {channel} account {account}; it has: {', '.join(sorted(names)) or 'none'}.", 2)
    return names.get(account, account)


def _asked(response: httpx.Response) -> dict[str, Any]:
    content: dict[str, Any] = response.json()
    if response.status_code != 200:
        _fail(f"The practice platform refused: {content.get('error')}", 2)
    return content


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
