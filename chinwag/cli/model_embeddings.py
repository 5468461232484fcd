"""`chinwag model embeddings`: whether an embeddings endpoint fits the vectors in the database; nothing is stored."""

from __future__ import annotations

import sys

from bots.admin.endpoints import vectors
from chinwag.cli.model_probe import KeyFile, ModelName, Url, end, endpoint_of
from chinwag.cli.use_cases import use_cases
from inference.embed import Embedder
from inference.errors import InferenceError


def command(url: Url, model: ModelName, key_file: KeyFile = None) -> None:
    """Ask an embeddings endpoint for one vector and compare its length with the database. Exit code 2 when they do not match."""
    embedder = Embedder(endpoint_of(url, model, key_file), prefixes="none")
    with use_cases() as (deps, operator):
        stored = vectors.columns(deps, operator)
    try:
        given = embedder.check_dimensions(*(one.dimensions for one in stored))
    except InferenceError as error:
        end(str(error))
    told = [("Vectors", f"{given} numbers each"), *((f"{one.table}.{one.column}", f"{one.dimensions}, the same") for one in stored)]
    if not stored:
        told.append(("Database", "takes vectors of any length"))
    sys.stdout.write("".join(f"{what:<21}{said}\n" for what, said in told))
