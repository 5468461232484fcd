"""The pictures of a turn: fetched before the model is asked, with no transaction open meanwhile, and chosen for the prompt.

In the text of a prompt, and of later ones, a mark stands where a picture was: the text never changes, whatever happens to the picture's bytes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from bots.domain import Retry
from bots.errors import MediaError, MediaGone, MediaUnavailable, SendError
from bots.storage import media
from bots.storage.claims import Claim, ClaimedMedia, ClaimedMessage
from bots.storage.database import unit
from inference.types import Image, image_tokens
from workers.deps import Deps
from workers.turn import wording
from workers.turn.claimed import ClaimedTurn
from workers.turn.received import receive

log = structlog.get_logger()

_SHOWN = "(picture)"
#: The text of a message that is a picture and nothing else.
_WITHOUT_WORDS = "(picture, sent without words)"
_LOST = "(a picture that could not be loaded)"
_LEFT_OUT = "(one more picture, which is not shown)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What a prompt shows."""

    #: Those of the new turn, in order.
    new: tuple[Image, ...] = ()
    #: Those of earlier turns, by the turns' numbers.
    past: Mapping[int, tuple[Image, ...]] = field(default_factory=dict[int, "tuple[Image, ...]"])
    #: Why some are missing that may be there in a moment, so that the turn is to wait; None when none are.
    waits_for: str | None = None
    #: By message: the texts that replace its pictures.
    marks: Mapping[UUID, tuple[str, ...]] = field(default_factory=dict[UUID, "tuple[str, ...]"])

    def words(self, message: ClaimedMessage) -> str:
        """What a message says, with a mark for each of its pictures."""
        marks = self.marks.get(message.id, ())
        alone = marks == (_SHOWN,) and not (message.text or "").strip()
        return wording.words(message, (_WITHOUT_WORDS,) if alone else marks)

    def are_lost(self, messages: Sequence[ClaimedMessage]) -> bool:
        """Whether these messages are only pictures, and none could be loaded: then there is nothing to ask a model about."""
        marks = [mark for message in messages for mark in self.marks.get(message.id, ())]
        return not any((message.text or "").strip() for message in messages) and bool(marks) and set(marks) == {_LOST}


def load(turn: ClaimedTurn, messages: Sequence[ClaimedMessage]) -> Pictures:
    """Fetch the pictures of the messages to be answered, and read those that the prompt has room for, with those of the history."""
    deps, claim = turn.deps, turn.claim
    sent = [one for message in messages for one in message.media]
    most = deps.settings.images_per_prompt
    # Of many pictures the newest are fetched; the others are only mentioned.
    chosen = sent[-most:] if most else []
    there, waits_for = _fetched(turn, chosen)
    if waits_for is not None:
        return Pictures(waits_for=waits_for)
    of_past = [(past.number, one) for past in turn.history for one in past.media]
    of_past = of_past[dropped(len(of_past), len(there), most) :]
    wanted = [*there, *(one for _, one in of_past)]
    if not wanted:
        found: dict[UUID, media.StoredPicture] = {}
    else:
        with unit(deps.worker, contact=claim.contact) as connection:
            found = media.load(connection, wanted)
    shown: dict[int, tuple[Image, ...]] = {}
    for number, one in of_past:
        if one in found:
            shown[number] = (*shown.get(number, ()), _image(found[one]))
    left_out = {one.id for one in sent} - {one.id for one in chosen}
    marks = {message.id: tuple(_mark(one, found, left_out) for one in message.media) for message in messages if message.media}
    return Pictures(new=tuple(_image(found[one]) for one in there if one in found), past=shown, marks=marks)


def dropped(past: int, new: int, most: int) -> int:
    """How many of the history's pictures are left out, the oldest first: several at once, since each change there costs the prefix cache."""
    over = past + new - most
    if over <= 0:
        return 0
    step = max(1, most // 2)
    return min(past, -(-over // step) * step)


def _mark(one: ClaimedMedia, found: Mapping[UUID, object], left_out: set[UUID]) -> str:
    return _LEFT_OUT if one.id in left_out else _SHOWN if one.id in found else _LOST


def _image(picture: media.StoredPicture) -> Image:
    return Image(media_type=picture.media_type, data=picture.data, tokens=image_tokens(picture.width, picture.height))


def _fetched(turn: ClaimedTurn, chosen: Sequence[ClaimedMedia]) -> tuple[list[UUID], str | None]:
    """Fetch the pictures of which only a reference is known. Returns those that are there, and why the turn should wait for the rest, if it should."""
    deps, claim = turn.deps, turn.claim
    until = time.monotonic() + deps.settings.media_deadline_s
    there: list[UUID] = []
    waits_for: str | None = None
    for one in chosen:
        if one.state == "named":
            refusal = _fetch(turn, one, until)
            if refusal is not None and refusal[0] is not Retry.NEVER and claim.open_s < deps.settings.media_patience_s:
                waits_for = refusal[1]
                continue
            if refusal is not None:
                _refuse(deps, claim, one, refusal[1])
                continue
        if one.state != "refused":
            there.append(one.id)
    return there, waits_for


def _fetch(turn: ClaimedTurn, one: ClaimedMedia, until: float) -> tuple[Retry, str] | None:
    """Fetch one picture and store it; if that fails, return whether another try is worth it, and why it failed."""
    began = time.monotonic()
    try:
        picture = receive(turn, one, until, lambda location: turn.deps.media.fetch(location, until=until))
    except MediaError as error:
        log.info("picture_not_fetched", media=str(one.id), reason=error.reason, took_ms=round((time.monotonic() - began) * 1000))
        return error.retry, error.reason
    except SendError as error:
        log.info("picture_not_found", media=str(one.id), error=type(error).__name__, http_status=error.http_status, code=error.code)
        return error.retry, MediaGone.reason if error.retry is Retry.NEVER else MediaUnavailable.reason
    with unit(turn.deps.worker, contact=turn.claim.contact) as connection:
        media.fetched(connection, one.id, media_type=picture.media_type, width=picture.width, height=picture.height, data=picture.data)
    log.info("picture_fetched", media=str(one.id), bytes=len(picture.data), took_ms=round((time.monotonic() - began) * 1000))
    return None


def _refuse(deps: Deps, claim: Claim, one: ClaimedMedia, reason: str) -> None:
    with unit(deps.worker, contact=claim.contact) as connection:
        media.refused(connection, one.id, reason=reason)
