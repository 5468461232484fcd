"""Which models `make run` starts: the one that answers first, and a better one that is fetched behind it and takes over."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from chinwag.local import choices, models
from chinwag.local.choices import Choice
from chinwag.local.models import ModelFile
from chinwag.local.processes import CannotStart
from chinwag.local.settings import LocalSettings

_REACH_S = 2.0
_OWN = {choices.TINY, choices.SMALL, choices.DEFAULT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The models of one start."""

    first: ModelFile
    #: Fetched while the first one answers.
    better: ModelFile | None = None
    #: Why these, in a sentence.
    why: str = ""


def wanted(settings: LocalSettings, *, free_bytes: int) -> Wanted:
    """The models for this MODEL= on a machine with so much memory free. Raises CannotStart."""
    small = models.pinned(choices.get(choices.SMALL), settings)
    if settings.model in {"", choices.DEFAULT}:
        choice = choices.get(choices.DEFAULT)
        large = models.pinned(choice, settings)
        problem = _problem(choice, large, settings, free_bytes)
        if problem:
            return Wanted(first=small, why=f"{large.name} would be better, but {problem}.")
        if large.is_here():
            return Wanted(first=large, why=f"It is the default where {choice.memory_gb:g} GB of memory are free.")
        return Wanted(first=small, better=large, why=_behind(large))
    choice = choices.choices().get(settings.model)
    if choice is not None and settings.model not in _OWN and choice.memory_gb * 1e9 > free_bytes:
        raise CannotStart(
            f"MODEL={settings.model} needs {choice.memory_gb:g} GB of free memory, and {free_bytes / 1e9:.1f} GB are free:"
            " give a smaller one, or MODEL_URL= and MODEL_NAME="
        )
    file = models.wanted(settings)
    # What is not larger than the small one is sooner there itself.
    if not settings.fetch or file.size <= small.size or file.is_here():
        return Wanted(first=file, why=f"MODEL={settings.model} says so.")
    models.check_room(file.path.parent, file.size)
    return Wanted(first=small, better=file, why=_behind(file))


def offered(settings: LocalSettings, *, free_bytes: int) -> list[tuple[str, Choice]]:
    """The better models that memory and disk of this machine allow, by their words for MODEL=; none where the Hub cannot be reached."""
    folder = settings.cache / "models"
    fitting = [
        (word, choice)
        for word, choice in choices.choices().items()
        if word not in _OWN and word != settings.model and choice.memory_gb * 1e9 <= free_bytes and models.has_room(folder, choice.size)
    ]
    if not fitting:
        return []
    try:
        httpx.head(settings.hub_url, timeout=_REACH_S)
    except httpx.HTTPError:
        return []
    return fitting


def offer_line(settings: LocalSettings, *, free_bytes: int) -> str:
    """Those in a line; empty without any."""
    found = [
        f"MODEL={word} ({choice.name}, {choice.size / 1e9:.1f} GB, {choice.memory_gb:g} GB of memory, about {choice.tokens_s:g} tokens a second, "
        f"{choice.licence})"
        for word, choice in offered(settings, free_bytes=free_bytes)
    ]
    return f"Better models that fit this machine: make run {' or '.join(found)}." if found else ""


def _behind(file: ModelFile) -> str:
    return f"A better one, {file.name}, is fetched behind it ({file.size / 1e9:.1f} GB, once) and takes over when it is here."


def _problem(choice: Choice, file: ModelFile, settings: LocalSettings, free_bytes: int) -> str:
    """Why a choice cannot be the default here; empty: it can."""
    if choice.memory_gb * 1e9 > free_bytes:
        return f"it needs {choice.memory_gb:g} GB of free memory, and {free_bytes / 1e9:.1f} GB are free"
    if file.is_here():
        return ""
    if not settings.fetch:
        return "it is not in the cache, and CHINWAG_LOCAL_FETCH=no"
    if not models.has_room(file.path.parent, file.size):
        return f"the disk of {file.path.parent} has no room to fetch it ({2 * file.size / 1e9:.1f} GB)"
    return ""
