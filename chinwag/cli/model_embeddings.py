"""`chinwag model embeddings`: what an embeddings endpoint gives, held against what the database keeps; nothing is kept."""

from __future__ import annotations

import sys

from bots.storage import vectors
from chinwag.cli.database import desk
from chinwag.cli.model_probe import KeyFile, ModelName, Url, end, endpoint_of
from inference.embed import Embedder
from inference.errors import InferenceError


def command(url: Url, model: ModelName, key_file: KeyFile = None) -> None:
    """Ask an embeddings endpoint for one vector and compare its length with the database. Exit code 2 when they do not match."""
    embedder = Embedder(endpoint_of(url, model, key_file), prefixes="none")
    with desk() as at:
        kept = vectors.columns(at.connection)
    try:
        given = embedder.check_dimensions(*(one.dimensions for one in kept))
    except InferenceError as error:
        end(str(error))
    told = [("Vectors", f"{given} numbers each"), *((f"{one.table}.{one.column}", f"{one.dimensions}, the same") for one in kept)]
    if not kept:
        told.append(("Database", "stores no vectors yet, so any length will do"))
    sys.stdout.write("".join(f"{what:<21}{said}\n" for what, said in told))
