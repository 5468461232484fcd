"""`chinwag model probe`: what an endpoint really does, measured by some thirty small questions; nothing is kept."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import typer

from inference.errors import ModelUnavailable
from inference.probe import Probed, probe
from inference.types import Endpoint, Timeouts

_LARGEST_KEY_FILE = 16 * 1024
_SERVERS = {"vllm": "vLLM", "llamacpp": "llama.cpp", "unknown": "not known"}


def command(
    url: Annotated[str, typer.Option(help="The server's address, up to and including /v1.", show_default=False)],
    model: Annotated[str, typer.Option(help="The model's name on that server.", show_default=False)],
    key_file: Annotated[Path | None, typer.Option(help="A file with the server's API key.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what an endpoint does: context, roles, template tokens, JSON, pictures, vLLM's fields. Exit code 2 when it cannot be used."""
    problem = _unusable(url)
    if problem:
        _end(problem)
    endpoint = Endpoint(name="probed", url=url.rstrip("/"), model=model, api_key=_key(key_file))
    try:
        found = probe(endpoint, Timeouts())
    except ModelUnavailable as error:
        _end(str(error))
    if as_json:
        sys.stdout.write(json.dumps(asdict(found), ensure_ascii=False, indent=2) + "\n")
    elif not found.failures:
        sys.stdout.write("".join(f"{what:<18}{said}\n" for what, said in _lines(found)))
        sys.stdout.write("".join(f"- {note}\n" for note in found.notes))
    if found.failures:
        _end("; ".join(found.failures))


def _lines(found: Probed) -> list[tuple[str, str]]:
    traits = found.traits
    told: dict[bool | None, str] = {True: "yes", False: "no", None: "not known"}
    return [
        ("Server", _SERVERS[found.server]),
        ("First token", f"{found.answer_ms:.0f} ms" if found.answer_ms is not None else "not known"),
        ("Context", f"{traits.context} tokens" if traits.context else "not known"),
        ("System role", told[traits.system_role]),
        ("Roles alternate", told[traits.roles_alternate]),
        ("Template tokens", "read in a text, or not known" if traits.parses_tokens else "those of known families are plain text"),
        ("JSON schema", told[traits.json_schema]),
        ("Thinks aloud", told[traits.reasoning]),
        ("Pictures", told[traits.vision]),
        ("priority", told[traits.priority]),
        ("cache_salt", told[traits.cache_salt]),
        ("Ranks", str(traits.ranks)),
        ("Prefix cache", told[found.prefix_cache]),
    ]


def _unusable(url: str) -> str:
    """Say what is wrong with an address, or nothing."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        plain = parts.username is None and not parts.query and not parts.fragment and url.isprintable() and " " not in url
    except ValueError:
        usable = plain = False
    return "" if usable and plain else "--url wants an address like http://host:port/v1, without a user, a password or a question mark"


def _key(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        with file.open("rb") as opened:
            key = opened.read(_LARGEST_KEY_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        key = ""
    if not key or not key.isprintable():
        _end("--key-file names a file that cannot be read, or holds not exactly one key")
    return key


def _end(why: str) -> NoReturn:
    sys.stderr.write(f"{why}\n")
    raise typer.Exit(2)
