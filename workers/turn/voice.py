"""What is said aloud in a turn's messages: each recording is fetched, heard, and its words become its message's, before anything else reads these.

What was said aloud is obeyed, answered and remembered like what was written. A recording in which nothing can be heard is said so to its writer; the turn
goes on with the others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
import structlog

from bots.channels.sound import media_type_of
from bots.domain import SOUND, Retry
from bots.errors import MediaError, MediaGone, MediaUnavailable, SendError
from bots.storage import media
from bots.storage.claims import ClaimedMedia, ClaimedMessage
from bots.storage.database import unit
from inference.errors import InferenceError
from inference.hear import NotHeard
from workers.turn.claimed import ClaimedTurn
from workers.turn.received import receive

log = structlog.get_logger()

#: The platform's content type of a message whose recording was heard: then nothing of it is left to be opened.
HEARD = "heard"
#: Why a recording has no words, and the text that says so.
_SAID = {"too_long": "voice_too_long"}
_NO_WORDS, _NOT_HEARD = "no_words", "not_heard"


@dataclass(slots=True, kw_only=True)
class HeardTurn:
    """What came of a turn's recordings."""

    #: Why the turn is to wait for one; None where it need not.
    waits_for: str | None = None
    #: The names of the texts that say why a recording was not heard, by its message.
    problems: dict[UUID, str] = field(default_factory=dict[UUID, str])


def hear(turn: ClaimedTurn) -> HeardTurn:
    """Hear the recordings of the turn's messages, and put what was said in their place. Raises StorageUnavailable."""
    found = HeardTurn()
    if not any(one.kind == SOUND for message in turn.claim.messages for one in message.media):
        return found
    if not turn.deps.hearing.may_hear(may_leave=turn.account.bot.data_may_leave):
        turn.read_anew([_unheard(message) for message in turn.claim.messages])
        return found
    with turn.deps.typing.shown(turn.typing_indicator(), lasts_s=turn.account.channel.typing_s):
        messages = [_with_words(turn, message, found) for message in turn.claim.messages]
    if found.waits_for is None:
        turn.read_anew(messages)
    return found


def _unheard(message: ClaimedMessage) -> ClaimedMessage:
    """The message without its recordings: what is left can be answered only if it has words or pictures."""
    rest = [one for one in message.media if one.kind != SOUND]
    is_answered = bool((message.text or "").strip() or rest or message.refers)
    return msgspec.structs.replace(message, media=rest, supported=message.supported and is_answered)


def _with_words(turn: ClaimedTurn, message: ClaimedMessage, found: HeardTurn) -> ClaimedMessage:
    words = [message.text or ""]
    is_heard = False
    for one in message.media:
        if one.kind != SOUND or found.waits_for is not None:
            continue
        if one.state == "named":
            said = _heard(turn, one, found, message.id)
            words.append(said)
            is_heard = is_heard or bool(said)
        elif one.state == "fetched":
            # Heard in an earlier try: its words are the message's.
            is_heard = True
        else:
            found.problems.setdefault(message.id, _NOT_HEARD)
    if not is_heard:
        return _unheard(message)
    text = "\n".join(filter(None, (one.strip() for one in words)))
    rest = [one for one in message.media if one.kind != SOUND]
    return msgspec.structs.replace(message, text=text, media=rest, content_type=HEARD)


def _heard(turn: ClaimedTurn, one: ClaimedMedia, found: HeardTurn, message: UUID) -> str:
    """Fetch and hear one recording and store what came of it; empty where no words were heard, or the turn has to wait."""
    deps, began, data = turn.deps, time.monotonic(), b""
    try:
        data = _received(turn, one)
        heard = deps.hearing.hear(data, hint=turn.known_language)
    except MediaError as error:
        return _failed(turn, one, found, message, error.reason, waits=error.retry is not Retry.NEVER)
    except SendError as error:
        reason = MediaGone.reason if error.retry is Retry.NEVER else MediaUnavailable.reason
        return _failed(turn, one, found, message, reason, waits=error.retry is not Retry.NEVER)
    except NotHeard as error:
        return _failed(turn, one, found, message, error.code)
    except InferenceError as error:
        log.info("voice_server_failed", error=type(error).__name__, status=error.status)
        return _failed(turn, one, found, message, "voice_unavailable", waits=True)
    if not heard.text:
        return _failed(turn, one, found, message, _NO_WORDS)
    with unit(deps.worker, contact=turn.claim.contact) as connection:
        media.heard(
            connection,
            one.id,
            words=heard.text,
            seconds=heard.seconds,
            language=heard.language,
            language_certainty=heard.language_certainty,
            certainty=heard.certainty,
        )
    log.info(
        "voice_heard",
        media=str(one.id),
        bytes=len(data),
        seconds=heard.seconds,
        language=heard.language,
        certainty=heard.certainty,
        took_ms=round((time.monotonic() - began) * 1000),
    )
    return heard.text


def _failed(turn: ClaimedTurn, one: ClaimedMedia, found: HeardTurn, message: UUID, reason: str, *, waits: bool = False) -> str:
    log.info("voice_not_heard", media=str(one.id), reason=reason)
    if waits and turn.claim.open_s < turn.deps.settings.hearing_patience_s:
        found.waits_for = "voice_unavailable"
        return ""
    found.problems[message] = _SAID.get(reason, _NOT_HEARD)
    with unit(turn.deps.worker, contact=turn.claim.contact) as connection:
        media.refused(connection, one.id, reason=reason)
    return ""


def _received(turn: ClaimedTurn, one: ClaimedMedia) -> bytes:
    """The recording's bytes: those that an earlier try or the chat page stored, else the platform's, which are stored. Raises MediaError, SendError."""
    with unit(turn.deps.worker, contact=turn.claim.contact) as connection:
        stored = media.load(connection, [one.id]).get(one.id)
    if stored is not None:
        return stored.data
    until = time.monotonic() + turn.deps.settings.media_deadline_s
    data = receive(turn, one, until, lambda location: turn.deps.media.download(location, until=until))
    with unit(turn.deps.worker, contact=turn.claim.contact) as connection:
        media.received(connection, one.id, media_type=media_type_of(data), data=data)
    return data
