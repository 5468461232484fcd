"""The vectors in the database, whose length an embeddings endpoint must match."""

from __future__ import annotations

from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.storage import vectors
from bots.storage.database import hot
from bots.storage.vectors import VectorColumn


def columns(deps: Deps, _operator: Operator) -> list[VectorColumn]:
    """The columns that hold vectors, with their lengths."""
    with hot(deps.web) as connection:
        return vectors.columns(connection)
