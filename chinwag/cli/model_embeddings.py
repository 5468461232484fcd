"""`chinwag model embeddings`: what an embeddings endpoint gives, held against what the database keeps; nothing is kept."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bots.storage import vectors
from chinwag.cli.database import desk
from chinwag.cli.model_probe import end, key_of
from inference.embed import Embedder, Prefixes
from inference.errors import InferenceError
from inference.types import Endpoint
from wire import address


class Prefixed(StrEnum):
    """Who adds what E5 wants in front of a text."""

    NONE = "none"
    E5 = "e5"
    SERVER = "server"


_MEANT: dict[Prefixed, Prefixes] = {Prefixed.NONE: "none", Prefixed.E5: "e5", Prefixed.SERVER: "server"}


def command(
    url: Annotated[str, typer.Option(help="The server's address, up to and including /v1.", show_default=False)],
    model: Annotated[str, typer.Option(help="The model's name on that server.", show_default=False)],
    key_file: Annotated[Path | None, typer.Option(help="A file with the server's API key.", show_default=False)] = None,
    prefixes: Annotated[
        Prefixed, typer.Option(help="E5's prefixes: the model knows none, they are added here, or by the server.")
    ] = Prefixed.NONE,
) -> None:
    """Ask an embeddings endpoint for one vector and hold its length against the database. Exit code 2 when they do not go together."""
    if not address.is_base(url):
        end("--url wants an address like http://host:port/v1, without a user, a password or a question mark")
    embedder = Embedder(Endpoint(name="asked", url=url.rstrip("/"), model=model, api_key=key_of(key_file)), prefixes=_MEANT[prefixes])
    try:
        sys.stdout.write(f"{'Vectors':<21}{embedder.measured()} numbers each\n")
        with desk() as at:
            kept = vectors.columns(at.connection)
        for one in kept:
            embedder.check_dimensions(one.dimensions)
            sys.stdout.write(f"{f'{one.table}.{one.column}':<21}{one.dimensions}, the same\n")
    except InferenceError as error:
        end(str(error))
    if not kept:
        sys.stdout.write(f"{'Database':<21}keeps no vectors yet: any length will do\n")
