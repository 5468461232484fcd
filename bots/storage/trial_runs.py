"""Trials of a profile's models that operators ask for: due, claimed by a worker of the profile for one talk at a time, and how far they are.

Guarantee: of two workers one goes on, and what was asked so far is not asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, text

from bots.storage import model_trials
from bots.storage.database import to_json, unit
from bots.storage.model_trials import ModelTrial

_SELECT = "select tenant_id, profile, asked_by, asked_at, due_at, token, tries, version, models, said from trial_runs"


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is tried."""

    #: The name of its endpoint.
    endpoint: str
    url: str
    model: str
    #: How many talks it was asked about, and how many there are.
    done: int = 0
    of: int = 0
    #: What came of them (workers.trial.Result).
    counts: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRun:
    """The last trial of a profile's models."""

    tenant_id: UUID
    profile: str
    asked_by: str
    asked_at: datetime
    #: When it goes on; None: it has ended.
    due_at: datetime | None
    #: Only who holds the newest one may write.
    token: int
    #: How often in a row the model did not answer.
    tries: int
    version: str
    #: Empty before a worker has begun.
    models: Sequence[Tried]
    #: Why it does not go on, or has ended without a result; empty: nothing is wrong.
    said: str


def ask(connection: Connection, *, tenant: UUID, profile: str, by: str) -> bool:
    """Let workers try a profile's models, from the beginning; False when they already do."""
    done = connection.execute(
        text(
            "insert into trial_runs as r (tenant_id, profile, asked_by) values (:tenant, :profile, :by)"
            " on conflict (tenant_id, profile) do update set asked_by = excluded.asked_by, asked_at = now(), due_at = now(),"
            " token = r.token + 1, tries = 0, models = '[]', said = '' where r.due_at is null"
        ),
        {"tenant": tenant, "profile": profile, "by": by},
    )
    return done.rowcount == 1


def stop(connection: Connection, *, tenant: UUID, profile: str, said: str) -> bool:
    """Let a trial end without a result, and say why; False when it has ended already."""
    done = connection.execute(
        text(
            "update trial_runs set due_at = null, token = token + 1, said = :said"
            " where tenant_id = :tenant and profile = :profile and due_at is not null"
        ),
        {"tenant": tenant, "profile": profile, "said": said},
    )
    return done.rowcount == 1


def note(connection: Connection, *, tenant: UUID, profile: str, by: str, version: str, models: Sequence[Tried]) -> None:
    """Record a trial that somebody made without a worker; one that goes on meanwhile ends."""
    connection.execute(
        text(
            "insert into trial_runs as r (tenant_id, profile, asked_by, due_at, version, models)"
            " values (:tenant, :profile, :by, null, :version, cast(:models as jsonb))"
            " on conflict (tenant_id, profile) do update set asked_by = excluded.asked_by, asked_at = now(), due_at = null,"
            " token = r.token + 1, tries = 0, version = excluded.version, models = excluded.models, said = ''"
        ),
        {"tenant": tenant, "profile": profile, "by": by, "version": version, "models": to_json(list(models))},
    )


def list_all(connection: Connection, tenant: UUID) -> list[TrialRun]:
    """The last trial of each profile of a tenant."""
    rows = connection.execute(text(_SELECT + " where tenant_id = :tenant order by profile"), {"tenant": tenant})
    return [_run(row) for row in rows.mappings()]


def claim(engine: Engine, profile: str, *, within_s: float) -> TrialRun | None:
    """Take a trial of this profile, of any tenant, that is due; after `within_s` another worker may take it. None: there is nothing to do."""
    due = text(_SELECT + " where due_at <= now() and profile = :profile order by due_at limit 1 for update skip locked")
    with unit(engine) as connection:
        row = connection.execute(due, {"profile": profile}).mappings().one_or_none()
        if row is None:
            return None
        connection.execute(
            text(
                "update trial_runs set due_at = now() + make_interval(secs => :within), token = token + 1"
                " where tenant_id = :tenant and profile = :profile"
            ),
            {"within": within_s, "tenant": row["tenant_id"], "profile": profile},
        )
        found = _run(row)
        return replace(found, token=found.token + 1)


def go_on(
    engine: Engine,
    run: TrialRun,
    models: Sequence[Tried],
    *,
    version: str,
    after_s: float | None,
    tries: int = 0,
    said: str = "",
    result: ModelTrial | None = None,
) -> bool:
    """Write how far a claimed trial is, with the result of a model that is through; False, and nothing is written, for whoever came too late.

    after_s: when to go on; None: it has ended.
    """
    values = {
        "tenant": run.tenant_id,
        "profile": run.profile,
        "token": run.token,
        "models": to_json(list(models)),
        "version": version,
        "after": after_s,
        "tries": tries,
        "said": said,
    }
    with unit(engine) as connection:
        done = connection.execute(
            text(
                "update trial_runs set models = cast(:models as jsonb), version = :version, tries = :tries, said = :said,"
                " due_at = now() + make_interval(secs => cast(:after as double precision))"
                " where tenant_id = :tenant and profile = :profile and token = :token and due_at is not null"
            ),
            values,
        )
        if done.rowcount == 1 and result is not None:
            model_trials.store(connection, run.tenant_id, result)
        return done.rowcount == 1


def _run(row: RowMapping) -> TrialRun:
    values: dict[str, Any] = {**row, "models": msgspec.convert(row["models"], list[Tried])}
    return TrialRun(**values)
