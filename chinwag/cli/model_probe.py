"""`chinwag model probe`: what an endpoint can really do, measured by about thirty short questions; nothing is stored."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bots.admin.endpoints import status
from inference.errors import ModelUnavailable
from inference.probe import Probed, probe
from inference.types import Endpoint, Timeouts
from wire import address

Url = Annotated[str, typer.Option(help="The server's address, up to and including /v1.", show_default=False)]
ModelName = Annotated[str, typer.Option("--model", help="The model's name on that server.", show_default=False)]
KeyFile = Annotated[Path | None, typer.Option(help="A file with the server's API key.", show_default=False)]

_LARGEST_KEY_FILE = 16 * 1024
_SERVERS = {"vllm": "vLLM", "llamacpp": "llama.cpp", "unknown": "not known"}


def command(
    url: Url,
    model: ModelName,
    key_file: KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what an endpoint can do: context, roles, template tokens, JSON, images, vLLM's fields. Exit code 2 when it cannot be used."""
    try:
        found = probe(endpoint_of(url, model, key_file), Timeouts())
    except ModelUnavailable as error:
        end(str(error))
    if as_json:
        sys.stdout.write(json.dumps(asdict(found), ensure_ascii=False, indent=2) + "\n")
    elif not found.failures:
        sys.stdout.write("".join(f"{what:<21}{said}\n" for what, said in _lines(found)))
        sys.stdout.write("".join(f"- {note}\n" for note in found.notes))
    if found.failures:
        end("; ".join(found.failures))


def _lines(found: Probed) -> list[tuple[str, str]]:
    told: dict[bool | None, str] = {True: "yes", False: "no", None: "not known"}
    return [
        ("Server", _SERVERS[found.server]),
        ("First token", f"{found.answer_ms:.0f} ms" if found.answer_ms is not None else "not known"),
        *((fact.title, fact.message) for fact in status.facts(found.measured)),
        ("Prefix cache", told[found.prefix_cache]),
    ]


def endpoint_of(url: str, model: str, key_file: Path | None) -> Endpoint:
    """Return the endpoint that the options describe; invalid ones end the command."""
    if not address.is_base(url):
        end("--url needs an address like http://host:port/v1, without a user, a password or a question mark")
    return Endpoint(name="asked", url=url.rstrip("/"), model=model, api_key=_key(key_file))


def _key(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        with file.open("rb") as opened:
            key = opened.read(_LARGEST_KEY_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        key = ""
    if not key or not key.isprintable():
        end("--key-file must name a readable file that contains exactly one key")
    return key


def end(why: str) -> NoReturn:
    """End the command with one line and exit code 2."""
    sys.stderr.write(f"{why}\n")
    raise typer.Exit(2)
