"""Who works on which conversation: claims with a lease and a fencing token, heartbeats, and what is due."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import partial
from uuid import UUID

import msgspec
from sqlalchemy import Engine

from bots.domain import FORWARDED
from bots.kinds import always_told, kinds
from bots.storage.database import call, hot, to_json
from bots.storage.queues import reply_queue
from bots.storage.together import Together

#: For so long a process that has ended may seem to live.
_GONE_S = 1.0
_DAYS = to_json({name: kind.days for name, kind in kinds().items() if kind.days is not None})
#: How many conversations one transaction claims.
_MOST = 32

#: The most rows of one kind that keep_house deletes.
_SWEPT_AT_ONCE = 500


class ClaimedMedia(msgspec.Struct, frozen=True):
    """A picture in a message, fetched already or not."""

    id: UUID
    kind: str
    reference: str
    state: str
    media_type: str | None = None


class Reference(msgspec.Struct, frozen=True):
    """What a message refers to besides its words, such as an advertisement."""

    name: str
    text: str


class ClaimedMessage(msgspec.Struct, frozen=True):
    """A message that the turn answers."""

    id: UUID
    event_key: str
    content_type: str
    supported: bool
    age_s: float
    text: str | None = None
    media: list[ClaimedMedia] = []
    #: The first words of the message that it replies to.
    quoted: str | None = None
    refers: list[Reference] | None = None

    @property
    def is_forwarded(self) -> bool:
        """Whether its words are somebody else's, whom the contact passes on."""
        return any(one.name == FORWARDED for one in self.refers or ())


class PastTurn(msgspec.Struct, frozen=True):
    """An earlier turn as prompts repeat it."""

    number: int
    #: What the model was asked in that turn, as it was sent.
    asked: str
    answer: str
    #: Those pictures of its messages that are stored.
    media: list[UUID] = []
    #: When it was opened.
    at: datetime | None = None


class KnownFact(msgspec.Struct, frozen=True):
    """A memory that may enter the prompt."""

    id: UUID
    kind: str
    text: str
    said_at: datetime
    day: date | None = None
    last_day: date | None = None
    #: Whether it was learned in this session: the beginning of the prompt, which must not change, does not have it.
    is_new: bool = False


class Handle(msgspec.Struct, frozen=True):
    """One identity of the contact."""

    kind: str
    value: str


class Claim(msgspec.Struct, frozen=True):
    """One turn with everything that is needed to answer it."""

    tenant: UUID
    conversation: UUID
    contact: UUID
    account: UUID
    queue: str
    #: The fencing token: only its holder may finish the turn.
    token: int
    turn: UUID
    number: int
    tries: int
    history_from: int
    #: The summary of the turns up to summary_until.
    summary: str | None
    summary_until: int
    open_s: float
    apologised: bool
    watched: bool
    stopped: bool
    #: Whether the bot has never answered this contact.
    first: bool
    identities: list[Handle]
    messages: list[ClaimedMessage]
    history: list[PastTurn]
    #: What is remembered: of the kinds that are always told all, of the others the newest.
    memories: list[KnownFact]
    #: Whether the contact wants nothing remembered, and nothing sensitive; and whether they know already that something sensitive is.
    memory_off: bool = False
    sensitive_off: bool = False
    sensitive_told: bool = False
    #: How many of the contact's earlier turns, in all conversations with this bot, prompts no longer repeat word for word. Some of them may be in
    #: `history` all the same, until notes stand for them.
    earlier: int = 0
    #: What an earlier try of this turn erased, as it wrote it down.
    done: str | None = None
    #: When the turn was opened: the time that its prompt tells.
    at: datetime | None = None


_CLAIMS = msgspec.json.Decoder(list[Claim])


class Waiting(msgspec.Struct, frozen=True):
    """One queue's work at a moment."""

    queue: str
    due: int
    running: int
    slots: int


class Claims:
    """The claims of a worker process: its free slots ask together, and each gets a conversation of its own."""

    def __init__(self, engine: Engine, *, boot: UUID, lease_s: float, session_s: float) -> None:
        self._engine, self._boot, self._lease_s, self._session_s = engine, boot, lease_s, session_s
        self._queues: dict[str, Together[None, Claim | None]] = {}

    def claim(self, queue: str) -> Claim | None:
        """Claim a due conversation of a queue; None when there is none. Raises StorageUnavailable."""
        together = self._queues.get(queue)
        if together is None:
            together = self._queues.setdefault(queue, Together(partial(self._several, queue), most=_MOST))
        return together.call(None)

    def _several(self, queue: str, slots: Sequence[None]) -> Sequence[Claim | None]:
        found = claim_turns(self._engine, queue, boot=self._boot, lease_s=self._lease_s, session_s=self._session_s, most=len(slots))
        return [*found, *(None for _ in range(len(slots) - len(found)))]


def claim_turns(engine: Engine, queue: str, *, boot: UUID, lease_s: float, session_s: float, most: int) -> list[Claim]:
    """Claim the best due conversations of a queue, so many at most."""
    # Not repeated: a claim whose answer was lost is never renewed, and becomes due again when its lease ends.
    found: str = call(
        engine,
        "select claim_turns(%s, %s, %s, %s, %s, %s::text[], %s::jsonb)::text",
        (queue, boot, lease_s, session_s, most, list(always_told()), _DAYS),
        repeat=False,
    )
    return _CLAIMS.decode(found)


def renew(engine: Engine, conversations: Sequence[UUID], *, boot: UUID, lease_s: float) -> int:
    """Extend the leases of these conversations that have not run out, and return how many there were."""
    return call(engine, "select renew_leases(%s, %s::uuid[], %s)", (boot, list(conversations), lease_s), repeat=False)


def heartbeat(
    engine: Engine, name: str, *, boot: UUID, queues: Sequence[str], slots: int, busy: int, first: bool = False, holds_lock: bool = False
) -> int:
    """Report that a worker is running; the first report after a start frees the leases of dead processes of its name. Returns how many.

    holds_lock: it holds its `ProcessLock`, so that others of its name can tell whether it lives.
    """
    return call(engine, "select heartbeat(%s, %s, %s::text[], %s, %s, %s, %s)", (name, boot, list(queues), slots, busy, first, holds_lock))


def report_held(engine: Engine, held: Mapping[UUID, tuple[int, int]], *, boot: UUID) -> None:
    """Report how many slots of a process accounts hold whose sends take long, and how many of them by sends; what it reported before is replaced."""
    found = to_json({str(account): counts for account, counts in held.items()}) if held else None
    with hot(engine) as connection:
        connection.exec_driver_sql("update worker_heartbeats set held = %s::jsonb where boot_id = %s", (found, boot))


def release(engine: Engine, *, boot: UUID) -> int:
    """Give back the leases of a process that stops, and return how many there were."""
    return call(engine, "select release_leases(%s)", (boot,))


def forget_worker(engine: Engine, name: str) -> int:
    """Remove the workers of a name whose processes have ended from the list, free their leases, and return how many there were.

    The dispatcher then stops counting their slots at once, and need not wait until the last heartbeat is old.
    """
    statement = (
        "with gone as (delete from worker_heartbeats where name = %s and (not holds_lock or process_is_dead(boot_id)) returning boot_id)"
        " select coalesce(sum(release_leases(boot_id)), 0)::integer from gone"
    )
    end = time.monotonic() + _GONE_S
    freed: int = call(engine, statement, (name,))
    # Postgres notices the end of a process a moment later.
    while call(engine, "select exists (select from worker_heartbeats where name = %s)", (name,)) and time.monotonic() < end:
        time.sleep(0.05)
        freed += call(engine, statement, (name,))
    return freed


def end_leases(engine: Engine) -> int:
    """Make due again what dead workers held in the queues that are consumed, and return how many there were.

    A claim does the same where nothing else is due.
    """
    statement = (
        "select coalesce(sum(end_leases(queue)), 0)::integer from (select distinct unnest(queues) as queue from worker_heartbeats"
        " where at > now() - interval '15 seconds') as consumed where starts_with(queue, %s)"
    )
    return call(engine, statement, (reply_queue(""),))


def waiting(engine: Engine, *, reserve: int) -> list[Waiting]:
    """What is due, what runs and what could run, for each queue with due work, in one query.

    The slots for batches are those beyond the reserve that each process keeps for conversations.
    """
    with hot(engine) as connection:
        rows = connection.exec_driver_sql("select queue, due, running, slots from everything_waiting(%s)", (reserve,)).all()
    return [Waiting(queue=row.queue, due=row.due, running=row.running, slots=row.slots) for row in rows]


def keep_house(engine: Engine, *, envelope_days: int) -> bool:
    """Delete some of what is older than its storage period; True if there is more to delete at once."""
    # Not repeated: whatever holds it up may last, and the caller has other work.
    return call(engine, "select keep_house(%s)", (envelope_days,), repeat=False) >= _SWEPT_AT_ONCE
