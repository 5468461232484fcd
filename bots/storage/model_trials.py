"""How well models find facts to remember: the last trial of each model at its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from bots.storage.database import to_json, unit

_OUTDATED = "The messages or the questions of the trial have changed since: try it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTrial:
    """The result of a trial."""

    #: Base address up to and including /v1.
    url: str
    model: str
    #: Which messages and questions it was.
    version: str
    passed: bool
    figures: Mapping[str, Any]
    tried_at: datetime | None = None


def store(connection: Connection, tenant: UUID, trial: ModelTrial) -> None:
    """Store a trial in place of an earlier one of the same model at the same address."""
    connection.execute(
        text(
            "insert into model_trials (tenant_id, url, model, version, passed, figures)"
            " values (:tenant, :url, :model, :version, :passed, cast(:figures as jsonb))"
            " on conflict (tenant_id, url, model) do update set version = excluded.version, passed = excluded.passed, figures = excluded.figures,"
            " tried_at = now()"
        ),
        {
            "tenant": tenant,
            "url": trial.url,
            "model": trial.model,
            "version": trial.version,
            "passed": trial.passed,
            "figures": to_json(dict(trial.figures)),
        },
    )


def list_all(connection: Connection, tenant: UUID) -> list[ModelTrial]:
    """All trials of a tenant."""
    rows = connection.execute(
        text("select url, model, version, passed, figures, tried_at from model_trials where tenant_id = :tenant order by model, url"),
        {"tenant": tenant},
    )
    return [ModelTrial(**row) for row in rows.mappings()]


def passed(engine: Engine, tenant: UUID, version: str) -> frozenset[tuple[str, str]]:
    """The address and name of each model that passed this version of the trial. Raises StorageUnavailable."""
    with unit(engine) as connection:
        return frozenset((one.url, one.model) for one in list_all(connection, tenant) if one.passed and one.version == version)


def outdate(engine: Engine, version: str) -> None:
    """Let what models passed in another version of the trial be no longer passed."""
    with unit(engine) as connection:
        connection.execute(
            text("update model_trials set passed = false, figures = figures || cast(:why as jsonb) where passed and version <> :version"),
            {"version": version, "why": to_json({"why_not": _OUTDATED})},
        )
