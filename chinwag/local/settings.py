"""What a person may set for the local stack: make arguments or environment variables without a prefix, and CHINWAG_LOCAL_*."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from chinwag.local.processes import CannotStart

ROOT = Path(__file__).resolve().parent.parent.parent
_DEFAULT_HUB = "https://huggingface.co"

ChatEngine = Literal["llamacpp", "vllm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """The settings of `make run`."""

    #: "" is the default model; also a name of chinwag.local.choices, a path, or hf:owner/repo/file.gguf; with vllm a folder with config.json, too.
    model: str = ""
    #: The engine that serves the model on this machine.
    engine: ChatEngine = "llamacpp"
    model_url: str = ""
    model_name: str = ""
    model_key_file: str = ""
    database_url: str = field(default="", repr=False)
    redis_url: str = field(default="", repr=False)
    port: int = 8080
    #: Address of the model hub; a mirror, or a practice server in tests.
    hub_url: str = _DEFAULT_HUB
    #: Whether a better model is fetched while the small one answers.
    fetch: bool = True
    #: Whether voice messages are heard, and with which model: a folder, or a name on the Hub; empty: Whisper base.
    voice: bool = True
    voice_model: str = ""
    #: The user's cache, shared by all checkouts.
    cache: Path = Path()
    #: The checkout's own data: git-ignored.
    data: Path = ROOT / ".chinwag"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> LocalSettings:
        """Read them. Raises CannotStart with one line for a bad value."""
        url, name = env.get("MODEL_URL", "").strip(), env.get("MODEL_NAME", "").strip()
        model, key_file = env.get("MODEL", "").strip(), env.get("MODEL_KEY_FILE", "").strip()
        if url and not name:
            raise CannotStart("MODEL_URL= needs MODEL_NAME=, the model's name on that server")
        if url and model:
            raise CannotStart("give MODEL= or MODEL_URL=, not both")
        if name and not url:
            raise CannotStart("MODEL_NAME= needs MODEL_URL=https://.../v1, the server's address")
        if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise CannotStart(f"MODEL_URL={url} is not an http(s) address")
        if key_file and not Path(key_file).expanduser().is_file():
            raise CannotStart(f"MODEL_KEY_FILE={key_file} cannot be read")
        engine = _engine(env.get("ENGINE", "").strip())
        if url and engine == "vllm":
            raise CannotStart("give ENGINE= or MODEL_URL=, not both: a hosted model needs no engine here")
        home = env.get("XDG_CACHE_HOME", "")
        cache = Path(home) if home.startswith("/") else Path(env.get("HOME", "") or "~").expanduser() / ".cache"
        return cls(
            model=model,
            engine=engine,
            model_url=url.rstrip("/"),
            model_name=name,
            model_key_file=str(Path(key_file).expanduser().resolve()) if key_file else "",
            database_url=_postgres(env.get("DATABASE_URL", "").strip()),
            redis_url=_scheme("REDIS_URL", env.get("REDIS_URL", "").strip(), ("redis", "rediss", "redis+socket", "unix")),
            port=_port(env.get("PORT", "").strip()),
            hub_url=(env.get("CHINWAG_LOCAL_HUB_URL") or _DEFAULT_HUB).rstrip("/"),
            fetch=_switch("CHINWAG_LOCAL_FETCH", env.get("CHINWAG_LOCAL_FETCH", "")),
            voice=_switch("VOICE", env.get("VOICE", "")),
            voice_model=env.get("VOICE_MODEL", "").strip(),
            cache=cache / "chinwag",
            data=Path(env.get("CHINWAG_LOCAL_DATA") or ROOT / ".chinwag"),
        )


def checkout_of_this_python() -> Path:
    """The checkout whose `.venv` runs this; from another environment, the one that contains this file."""
    own = Path(sys.prefix).parent
    return own if (own / "chinwag" / "cli").is_dir() else ROOT


def _engine(text: str) -> ChatEngine:
    if text in {"", "llamacpp"}:
        return "llamacpp"
    if text == "vllm":
        return "vllm"
    raise CannotStart(f"ENGINE={text} is not an engine: give vllm or llamacpp (the default)")


def _switch(name: str, text: str) -> bool:
    words = {"": True, "yes": True, "1": True, "true": True, "no": False, "0": False, "false": False, "on": True, "off": False}
    try:
        return words[text.strip().lower()]
    except KeyError:
        raise CannotStart(f"{name}={text} must be yes or no (on or off)") from None


def _port(text: str) -> int:
    if not text:
        return 8080
    if not text.isascii() or not text.isdigit() or not 0 <= int(text) <= 65535:
        raise CannotStart(f"PORT={text} is not a port: give a number from 1 to 65535, or 0 for any free one")
    return int(text)


def _scheme(name: str, url: str, schemes: tuple[str, ...]) -> str:
    if url and urlsplit(url).scheme not in schemes:
        raise CannotStart(f"{name}= needs an address that begins with {schemes[0]}://")
    return url


def _postgres(url: str) -> str:
    """The address in SQLAlchemy's form, whichever of the usual ones was given."""
    _scheme("DATABASE_URL", url, ("postgresql", "postgres", "postgresql+psycopg"))
    scheme, rest = url.split("://", 1) if url else ("", "")
    return f"postgresql+psycopg://{rest}" if scheme else ""
