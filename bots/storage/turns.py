"""How a turn ends: everything it decided, and the journal of its first send, are written in one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from bots.domain import End
from bots.errors import Fenced, StorageUnavailable, Superseded
from bots.storage.database import call, call_timed, to_json
from bots.storage.outbox import Sending
from bots.storage.together import Together
from bots.storage.undone import Undone

#: When Postgres is unavailable, try to record an answer for as long as its lease may last.
_PATIENCE_S = (0.05, 0.3, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)
#: Of somebody who has written for years it takes so long to find every copy of what they want forgotten.
_ERASING_S = 60.0
#: The outcomes of a successful model call: an answer, notes of older turns, facts that were looked for in what a person wrote, or the answer to a harmless question (docs/decisions/0032).
WELL = frozenset({"ok", "summary", "plain", "summary:plain", "remember", "remember:plain"})
_FINISH = "select finish_turn(%s, %s, %s, %s, %s, %s::jsonb)::text"
_FINISH_SEVERAL = "select finish_turns(%s, %s, %s::jsonb)::text"
#: How many turns one transaction finishes.
_MOST = 32
_PAY_FENCED = "select pay_fenced(%s, %s, %s::jsonb)"


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """One model call, to be recorded."""

    attempt: int
    endpoint: str
    model: str
    #: Role and content of each message, and how many images it has; never their bytes.
    prompt: list[dict[str, Any]]
    outcome: str
    tokens_in: int | None = None
    tokens_cached: int | None = None
    tokens_out: int | None = None
    first_token_ms: float | None = None
    total_ms: float | None = None
    #: In USD; None where the endpoint has no price.
    cost: float | None = None
    #: Whether the tokens were counted or estimated here, since the server gave no counts.
    estimated: bool = False


class NewFact(msgspec.Struct, frozen=True, kw_only=True):
    """A fact to remember, and the message that it came from."""

    kind: str
    text: str
    source: UUID
    #: As in bots.domain.Fact.
    topic: str | None = None
    day: date | None = None
    last_day: date | None = None
    since: date | None = None


class NewEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that something remembered is no longer so, and the message that says it."""

    kind: str
    #: None: whatever is remembered of this kind.
    text: str | None
    source: UUID
    #: As in bots.domain.End.
    on: date | None = None
    but: tuple[str, ...] = ()
    every: bool = False

    @classmethod
    def said(cls, end: End, source: UUID) -> NewEnd:
        """The end that this message states."""
        return cls(kind=end.kind, text=end.value, source=source, on=end.on, but=end.but, every=end.every)


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What the contact asks to forget: the memories, and everything that repeats their words."""

    memories: list[UUID] = []
    #: Turns of which no word is to stay.
    turns: list[UUID] = []
    #: Messages of which none is to stay; the others of their turns do.
    messages: list[UUID] = []
    #: Everything that was ever said or remembered.
    everything: bool = False


class NewEpisode(msgspec.Struct, frozen=True, kw_only=True):
    """A turn as it can be recalled later (bots/recall)."""

    #: The text search configuration of Postgres: a language, or "simple".
    config: str
    #: The words to index: of the contact, and of the answer.
    asked: str
    answered: str
    #: Whether the contact's words end as a question; how many words of time they have; whether they speak of themself.
    asks: bool = False
    time_words: int = 0
    first_person: bool = False


class RecalledTurn(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier turn that went into the prompt, and the signals that found it."""

    turn: UUID
    signals: list[str]


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that went into the prompt, and why."""

    memory: UUID
    reason: str


class TurnResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """What a turn decided. wait and retry leave it open; the others end it."""

    state: Literal["answered", "skipped", "dead", "wait", "retry"]
    reason: str | None = None
    #: What the model answered, in Markdown; later prompts repeat it. Of a turn that waits: what was answered to commands that erased something, as `Claim.done`.
    answer: str | None = None
    #: What the model was asked, as written in the prompt.
    asked: str | None = None
    in_history: bool = True
    #: Its messages that no prompt is to repeat: the service itself answered them.
    untold: list[UUID] = []
    #: The messages to send, rendered for the channel. In state wait: the one apology.
    parts: list[str] = []
    calls: list[ModelCall] = []
    recalls: list[Recalled] = []
    recalled: list[RecalledTurn] = []
    facts: list[NewFact] = []
    ends: list[NewEnd] = []
    erase: Erasure | msgspec.UnsetType = msgspec.UNSET
    #: Unset: this turn cannot be recalled.
    episode: NewEpisode | msgspec.UnsetType = msgspec.UNSET
    #: Whether nothing new is to be remembered of the contact from now on, or nothing sensitive; whether they were told now that something is.
    memory_off: bool | msgspec.UnsetType = msgspec.UNSET
    sensitive_off: bool | msgspec.UnsetType = msgspec.UNSET
    sensitive_told: bool | msgspec.UnsetType = msgspec.UNSET
    history_from: int | None = None
    #: The turns up to this one should be summarised, in the background.
    summarise_to: int | msgspec.UnsetType = msgspec.UNSET
    #: After so many seconds without another turn a model reads what the contact wrote, for facts to remember.
    read_after_s: float | msgspec.UnsetType = msgspec.UNSET
    #: Whether to drop the summary of the conversation so far.
    drop_summary: bool = False
    #: Whether to close the conversation, so that the next message opens a new one.
    close: bool = False
    stopped: bool | msgspec.UnsetType = msgspec.UNSET
    new_session: bool | msgspec.UnsetType = msgspec.UNSET
    retry_s: float = 0.0
    #: Whether the answer is dropped if more was written within seconds of what it answers, and the turn asks again with everything.
    takes_more: bool | msgspec.UnsetType = msgspec.UNSET


class Finishing(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that its worker has worked, and what it decided."""

    contact: UUID
    turn: UUID
    #: The fencing token of its claim.
    token: int
    result: TurnResult


class Finished(msgspec.Struct, frozen=True):
    """A turn as it was stored, and the send that was journaled with it."""

    state: str
    sending: Sending | None
    #: Whether it had been stored before. An open turn says so also when its conversation was taken away meanwhile, as by an edit of its message.
    again: bool = False


#: None: fenced. busy: not done, since another transaction has its conversation.
Ended = Finished | None | Literal["busy"]
_ENDED = msgspec.json.Decoder(list[Ended])
_ONE_ENDED = msgspec.json.Decoder(Finished)


class Finishes:
    """The ends of a worker process's turns: those that come at once share a transaction."""

    def __init__(self, engine: Engine, *, boot: UUID, stale_s: float) -> None:
        """stale_s: for how long the attempt of a send that leaves with its turn may stay open."""
        self._engine, self._boot, self._stale_s = engine, boot, stale_s
        self._together = Together(self._several, most=_MOST)
        self._undone = Undone("ends")

    def finish(self, one: Finishing) -> Sending | None:
        """End a turn and return the send that was journaled with it.

        Raises Fenced when another worker has the lease by now, and Superseded; what the turn's calls cost is recorded either way.
        """
        began: float | None = None
        # Erasing takes its time, and many locks.
        if one.result.erase is msgspec.UNSET:
            ended, began = self._together.call(one)
            if ended != "busy":
                return _sending(self._engine, one, ended, began)
        return finish(
            self._engine,
            contact=one.contact,
            turn=one.turn,
            token=one.token,
            boot=self._boot,
            stale_s=self._stale_s,
            result=one.result,
            began=began,
        )

    def _several(self, turns: Sequence[Finishing]) -> Sequence[tuple[Ended, float | None]]:
        began = time.monotonic()
        try:
            return finish_several(self._engine, turns, boot=self._boot, stale_s=self._stale_s)
        except (StorageUnavailable, DBAPIError, ValueError) as error:
            # One of them may be the cause; or it was done, and the answer was lost. Each is done alone, which does no harm where it was.
            self._undone.note(error, calls=len(turns))
            return [("busy", began) for _ in turns]


def finish_several(engine: Engine, turns: Sequence[Finishing], *, boot: UUID, stale_s: float) -> list[tuple[Ended, float | None]]:
    """End turns in one transaction, and return what came of each, with the monotonic time before which it cannot have been done.

    Nothing is done where one of them cannot be stored.
    """
    found, began = call_timed(engine, _FINISH_SEVERAL, (boot, stale_s, to_json(turns)), repeat=False)
    return [(one, None if one == "busy" else began) for one in _ENDED.decode(found)]


def told_unsupported(connection: Connection, *, conversation: UUID, before: UUID) -> bool:
    """Whether an earlier turn told the contact in the last hour that a message could not be read. Needs `unit(contact=...)`."""
    return connection.execute(_TOLD, {"conversation": conversation, "turn": before}).first() is not None


_TOLD = text("""
    select from turns t
    where t.conversation_id = :conversation and t.id <> :turn and t.reason = 'unsupported' and t.finished_at > now() - interval '1 hour' limit 1""")


def finish(
    engine: Engine, *, contact: UUID, turn: UUID, token: int, boot: UUID, stale_s: float, result: TurnResult, began: float | None = None
) -> Sending | None:
    """End one turn alone, as `Finishes.finish` does. began: the monotonic time of an earlier try, which may have been committed."""
    one = Finishing(contact=contact, turn=turn, token=token, result=result)
    within_s = None if result.erase is msgspec.UNSET else _ERASING_S
    values = (contact, turn, token, boot, stale_s, to_json(result))
    found, at = call_timed(engine, _FINISH, values, delays=_PATIENCE_S, within_s=within_s)
    return _sending(engine, one, None if found is None else _ONE_ENDED.decode(found), at if began is None else began)


def _sending(engine: Engine, one: Finishing, ended: Finished | None, began: float | None) -> Sending | None:
    if one.result.calls and (ended is None or (ended.again and ended.state == "open")):
        # What is recorded already is not recorded again.
        call(engine, _PAY_FENCED, (one.contact, one.turn, to_json(one.result.calls)))
    if ended is None:
        raise Fenced
    if one.result.takes_more is True and ended.state != one.result.state:
        raise Superseded
    return None if ended.sending is None else msgspec.structs.replace(ended.sending, journaled_at=began or 0.0)
