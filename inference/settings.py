"""The settings of models, each once with type, default, unit and meaning. Its variable is CHINWAG_MODEL_ and the name in capitals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from inference.errors import BadModelSetting
from inference.types import Endpoint, Timeouts
from wire import address

_PREFIX = "CHINWAG_MODEL_"
_LARGEST_KEY_FILE = 16 * 1024
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False, "": False}


def _setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """The settings of the model that answers."""

    url: str = _setting("", "address of an OpenAI-compatible server, up to and including /v1")
    name: str = _setting("default", "the model's name on that server")
    endpoint: str = _setting("default", "name of this endpoint in logs and on the pages")
    key_file: str = _setting("", "file with the server's API key; empty: no key is sent")
    leaves_house: str = _setting(
        "auto",
        "whether this server is outside your own network: yes, no, or auto (yes unless the address is this host's or a private network's)",
    )
    first: bool = _setting(
        False,  # noqa: FBT003 - a default like the others
        "ask this endpoint before those of any profile; for a worker with its own engine",
    )
    measure: bool = _setting(
        True,  # noqa: FBT003 - a default like the others
        "measure what this endpoint can do when a worker starts, with about thirty short questions, which hosted servers bill",
    )
    catalog: str = _setting(
        "", "folder with your own model files, in the form of inference/models; a file with the key of a shipped model replaces it"
    )

    connect_s: float = _setting(3.0, "longest time to connect, in seconds")
    first_token_s: float = _setting(20.0, "longest time from the request to the first word, in seconds")
    silence_s: float = _setting(10.0, "longest time between two pieces of an answer, in seconds")
    total_s: float = _setting(60.0, "longest time of a whole answer, in seconds")
    max_response_bytes: int = _setting(1024 * 1024, "largest response, in bytes")

    temperature: float = _setting(0.3, "sampling temperature: how freely the model picks its words, 0 to 2")
    top_p: float = _setting(0.9, "share of the likeliest words that the model picks from, 0 to 1")

    breaker_failures: int = _setting(5, "failures in a row after which the model is not called for a while")
    breaker_probe_s: float = _setting(5.0, "how often a model that is not called is tried again, in seconds")

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> ModelSettings:
        """Build the settings from variables. Raises BadModelSetting with every problem in one message."""
        hints = get_type_hints(cls)
        known = {_PREFIX + f.name.upper(): f.name for f in fields(cls)}
        values: dict[str, Any] = {}
        problems: list[str] = []
        for variable, text in env.items():
            if not variable.startswith(_PREFIX):
                continue
            if variable not in known:
                problems.append(f"{variable} is not a setting")
                continue
            try:
                values[known[variable]] = _read(text, hints[known[variable]])
            except (ValueError, KeyError):
                problems.append(f"{variable} must be a value of type {hints[known[variable]].__name__}")
        if not problems:
            problems = _unusable(values)
        if problems:
            raise BadModelSetting("; ".join(sorted(problems)) + ". See docs/operations.md for the settings.")
        return cls(**values)

    def open_endpoint(self) -> Endpoint:
        """Return the endpoint with its key read from the file. Raises BadModelSetting when there is no address or no readable key."""
        if not self.url:
            raise BadModelSetting(f"{_PREFIX}URL is not set: it must be the address of an OpenAI-compatible server")
        url = self.url.rstrip("/")
        return Endpoint(name=self.endpoint, url=url, model=self.name, api_key=self._key(), leaves_house=self._leaves_house(url))

    @property
    def timeouts(self) -> Timeouts:
        """The deadlines of one call."""
        return Timeouts(connect_s=self.connect_s, first_token_s=self.first_token_s, silence_s=self.silence_s, total_s=self.total_s)

    def _leaves_house(self, url: str) -> bool:
        return not address.is_near(url) if self.leaves_house in {"", "auto"} else _SWITCH[self.leaves_house]

    def _key(self) -> str:
        if not self.key_file:
            return ""
        try:
            with Path(self.key_file).open("rb") as file:
                raw = file.read(_LARGEST_KEY_FILE)
            key = raw.decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadModelSetting(f"{_PREFIX}KEY_FILE names a file that cannot be read as a key") from error
        if not key or not key.isprintable():
            raise BadModelSetting(f"{_PREFIX}KEY_FILE names a file without exactly one key")
        return key


def _read(text: str, kind: type) -> Any:
    if kind is bool:
        return _SWITCH[text.strip().lower()]
    value = kind(text.strip())
    if kind in (int, float) and not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _unusable(values: Mapping[str, Any]) -> list[str]:
    """Say which values have the right type but cannot work."""
    problems: list[str] = []
    if values.get("url") and not address.is_base(str(values["url"])):
        problems.append(f"{_PREFIX}URL must be an address like http://host:port/v1, without a user, a password or a question mark")
    above_zero = ("connect_s", "first_token_s", "silence_s", "total_s", "max_response_bytes", "breaker_failures", "top_p")
    problems += [f"{_PREFIX}{name.upper()} must be above 0" for name in above_zero if values.get(name) == 0]
    if values.get("leaves_house", "auto") not in {"auto", *_SWITCH}:
        problems.append(f"{_PREFIX}LEAVES_HOUSE must be yes, no or auto")
    for name, most in (("temperature", 2), ("top_p", 1)):
        if values.get(name, 0) > most:
            problems.append(f"{_PREFIX}{name.upper()} must be from 0 to {most}")
    return problems
