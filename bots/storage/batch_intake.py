"""A batch file on its way in: lines become items, a few hundred at a time, and one statement starts them all.

Guarantee: a batch runs with every line of its file or not at all; the memory it takes does not grow with the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from bots.batch_lines import BadLine, Line, LineReader
from bots.errors import Conflict, NotFound
from bots.storage import batches
from bots.storage.database import unit
from bots.storage.queues import batch_queue

_ROWS = 500
_CHARS = 1_000_000
#: So many bad lines are named; of more only the count.
_MOST_BAD = 100
_REPLACED = "This submission was replaced by a newer one, or cancelled."


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """What a batch is to be."""

    tenant: UUID
    #: The bot's name.
    bot: str
    name: str
    #: Whose slots it takes; None: the bot's.
    profile: str | None = None
    #: The same key and the same file are the same batch.
    key: str | None = None
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What came of a file."""

    #: None: there were bad lines, and nothing was kept.
    batch: UUID | None
    total: int
    bad: tuple[BadLine, ...] = ()
    #: All bad lines, also those beyond the ones that are named.
    bad_count: int = 0
    #: The key was used with the same file before: this is that batch.
    existing: bool = False


class Submission:
    """Takes a file's pieces, then starts its batch."""

    def __init__(self, engine: Engine, new: NewBatch, *, line_bytes: int) -> None:
        """Begin a batch. Raises NotFound for an unknown bot, Conflict while the key's batch is being checked by somebody else."""
        self._engine, self.new = engine, new
        self._reader = LineReader(line_bytes=line_bytes)
        self._waiting: list[Line] = []
        self._chars = 0
        self.bad: list[BadLine] = []
        self.bad_count = 0
        self.good = 0
        #: The file as a whole is no good: no more pieces are wanted.
        self.refused = False
        self._batch, self._before = self._begin()

    def feed(self, piece: bytes) -> None:
        """Take a piece of the file. Raises Conflict when somebody else took the key over meanwhile."""
        if self._before is not None:
            self._reader.hash_only(piece)
            return
        if not self.refused:
            for line in self._reader.feed(piece):
                self._take(line)
                if self.refused:
                    return

    def check(self) -> Submitted | None:
        """Take the file's end. None: every line was good, and the batch can start; else what came of it.

        Raises Conflict when the key belongs to another file.
        """
        if self._before is not None:
            return self._compared(self._before)
        if not self.refused:
            for line in self._reader.end():
                self._take(line)
            self._flush()
        if not self.bad_count:
            return None
        self.abandon()
        ordered = sorted(self.bad, key=lambda line: line.n)
        return Submitted(batch=None, total=self.good, bad=tuple(ordered), bad_count=self.bad_count)

    def start(self, connection: Connection) -> Submitted:
        """Start the batch of a file that was checked. Raises Conflict when somebody else took the key over meanwhile."""
        started = connection.execute(
            text(
                "update batches set state = 'running', started_at = now(), total = :total, file_sha256 = :sha"
                " where tenant_id = :tenant and id = :batch and state = 'checking' and touched_at > '-infinity' returning id"
            ),
            self._values(total=self.good, sha=self._reader.sha256),
        ).scalar()
        if started is None:
            raise Conflict(_REPLACED)
        return Submitted(batch=self._batch, total=self.good)

    def abandon(self) -> None:
        """Remove the batch that was begun, with its items."""
        if self._before is None:
            self._remove(self._batch)

    def _begin(self) -> tuple[UUID, bytes | None]:
        """Make the batch, or find the one of this key with its file's hash. Raises NotFound, Conflict."""
        for _ in range(2):
            with unit(self._engine) as connection:
                batch, before, is_left = self._make_or_find(connection)
            if not is_left:
                return batch, before
            # A check that broke off, or that the same person began anew.
            self._remove(batch)
        raise Conflict("A file with this idempotency key is being checked right now.")

    def _make_or_find(self, connection: Connection) -> tuple[UUID, bytes | None, bool]:
        new = self.new
        bot = connection.execute(
            text("select id, profile from bots where tenant_id = :tenant and name = :bot"), {"tenant": new.tenant, "bot": new.bot}
        ).one_or_none()
        if bot is None:
            raise NotFound(f"There is no bot named {new.bot}.")
        made = connection.execute(
            text(
                "insert into batches (tenant_id, bot_id, name, queue, idempotency_key, created_by)"
                " values (:tenant, :bot, :name, :queue, :key, :actor)"
                " on conflict (tenant_id, idempotency_key) do nothing returning id"
            ),
            {
                "tenant": new.tenant,
                "bot": bot.id,
                "name": new.name,
                "queue": batch_queue(new.profile or bot.profile),
                "key": new.key,
                "actor": new.actor,
            },
        ).scalar()
        if made is not None:
            return made, None, False
        before = connection.execute(
            text(
                "select id, state, file_sha256, created_by = :actor or touched_at < now() - interval '1 minute' as mine from batches"
                " where tenant_id = :tenant and idempotency_key = :key"
            ),
            {"tenant": new.tenant, "key": new.key, "actor": new.actor},
        ).one_or_none()
        if before is None or (before.state == "checking" and not before.mine):
            raise Conflict("A file with this idempotency key is being checked right now.")
        if before.state == "checking":
            return before.id, None, True
        return before.id, bytes(before.file_sha256), False

    def _compared(self, sha256: bytes) -> Submitted:
        if self._reader.sha256 != sha256:
            raise Conflict("This idempotency key belongs to the batch of another file. Choose a new key.")
        with unit(self._engine) as connection:
            total = connection.execute(
                text("select total from batches where tenant_id = :tenant and id = :batch"), self._values()
            ).scalar_one()
        return Submitted(batch=self._batch, total=total, existing=True)

    def _take(self, line: Line | BadLine) -> None:
        if isinstance(line, BadLine):
            self._complain(line)
            self.refused = self.refused or line.n == 0
            return
        self._waiting.append(line)
        self._chars += len(line.request)
        if len(self._waiting) >= _ROWS or self._chars >= _CHARS:
            self._flush()

    def _complain(self, line: BadLine) -> None:
        self.bad_count += 1
        if len(self.bad) < _MOST_BAD:
            self.bad.append(line)

    def _flush(self) -> None:
        lines, self._waiting, self._chars = self._waiting, [], 0
        with unit(self._engine) as connection:
            alive = connection.execute(
                text(
                    "update batches set touched_at = now() where tenant_id = :tenant and id = :batch and state = 'checking' and touched_at > '-infinity' returning id"
                ),
                self._values(),
            ).scalar()
            if alive is None:
                raise Conflict(_REPLACED)
            if not lines:
                return
            taken = connection.execute(
                text(
                    "insert into batch_items (tenant_id, batch_id, n, custom_id, request, ready_at)"
                    " select :tenant, :batch, x.n, x.custom_id, x.request::jsonb, now()"
                    " from unnest(cast(:ns as bigint[]), cast(:ids as text[]), cast(:requests as text[])) as x(n, custom_id, request)"
                    " on conflict (batch_id, custom_id) do nothing returning n"
                ),
                self._values(ns=[x.n for x in lines], ids=[x.custom_id for x in lines], requests=[x.request for x in lines]),
            ).scalars()
            kept = set(taken)
            self.good += len(kept)
            twice = [line for line in lines if line.n not in kept]
            if twice:
                self._name_twins(connection, twice)

    def _name_twins(self, connection: Connection, twice: list[Line]) -> None:
        rows = connection.execute(
            text("select custom_id, n from batch_items where batch_id = :batch and tenant_id = :tenant and custom_id = any(:ids)"),
            self._values(ids=list({line.custom_id for line in twice})),
        )
        first: dict[str, int] = {row.custom_id: row.n for row in rows}
        for line in twice:
            self._complain(BadLine(n=line.n, reason=f"custom_id is the same as in line {first[line.custom_id]}"))

    def _remove(self, batch: UUID) -> None:
        values = {"tenant": self.new.tenant, "gone": batch}
        with unit(self._engine) as connection:
            # From now on whoever still fills it finds it gone, and its key is free.
            is_ours = connection.execute(
                text(
                    "update batches set idempotency_key = null, touched_at = '-infinity'"
                    " where tenant_id = :tenant and id = :gone and state = 'checking'"
                ),
                values,
            ).rowcount
        if not is_ours:
            return
        items = 1
        while items:
            with unit(self._engine) as connection:
                items = batches.clear_slice(connection, batch, tenant=self.new.tenant)
        with unit(self._engine) as connection:
            connection.execute(text("delete from batches where tenant_id = :tenant and id = :gone and state = 'checking'"), values)

    def _values(self, **more: Any) -> dict[str, Any]:
        return {"tenant": self.new.tenant, "batch": self._batch} | more
