"""The chat page's line about the model: which one answers, how capable it is, and whether a better one is on its way."""

from __future__ import annotations

from pathlib import Path

import msgspec


class _Said(msgspec.Struct, frozen=True):
    """What the local stack wrote (chinwag.local.answering)."""

    #: It answers profiles without endpoints.
    model: str = ""
    #: What the answers of known models are like.
    about: dict[str, str] = {}
    #: What is on its way to take over from it.
    more: str = ""
    #: The parts of the stack that are still on their way.
    starting: tuple[str, ...] = ()


def line(file: str, first: str) -> str:
    """Return the line; empty where nothing is known. `first` is the model that the bot's profile asks first, if it has endpoints."""
    try:
        said = msgspec.json.decode(Path(file).read_bytes(), type=_Said) if file else _Said()
    except (OSError, msgspec.DecodeError):
        said = _Said()
    model = first or said.model
    if not model:
        return ""
    about = said.about.get(model, "")
    more = said.more if model == said.model else ""
    starting = f"Still starting: {', '.join(said.starting)}." if said.starting else ""
    return " ".join(filter(None, (f"{model} answers{f': {about}' if about else ''}.", more, starting)))
