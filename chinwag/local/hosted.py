"""The model at MODEL_URL: whether it can be reached, and how many requests at once are worth sending it.

An engine that says that it works on few at a time gets few: more would only wait in its queue, and be given up there. Everything else is sent as
many as vLLM works on at once by itself; a server that bears less says so (429), and the router leaves it alone for as long as it asks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from chinwag.local.ports import HOST

FEW, MANY = 16, 256
#: Owners in the list of models. llama.cpp tells its slots; Ollama does not, and answers one to four requests at once.
_LLAMA_CPP, _OLLAMA = "llamacpp", "library"
_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """What a look showed."""

    #: Why it cannot be reached; empty: it can.
    problem: str = ""
    slots: int = MANY


def look(url: str) -> Hosted:
    """Ask the server for its models, and llama.cpp for its slots."""
    try:
        with httpx.Client(timeout=_PATIENCE_S, trust_env=urlsplit(url).hostname not in {HOST, "localhost"}) as client:
            owners = _owners(_json(client.get(f"{url}/models")))
            if _OLLAMA in owners:
                return Hosted(slots=FEW)
            if _LLAMA_CPP not in owners:
                return Hosted()
            slots = _json(client.get(f"{url.removesuffix('/v1')}/props")).get("total_slots")
            return Hosted(slots=max(FEW, slots)) if isinstance(slots, int) else Hosted()
    except httpx.HTTPError as error:
        return Hosted(problem=str(error) or type(error).__name__)


def _owners(page: dict[str, Any]) -> set[str]:
    rows = page.get("data")
    named = (
        (cast("dict[str, Any]", row).get("owned_by") for row in cast("list[Any]", rows) if isinstance(row, dict))
        if isinstance(rows, list)
        else ()
    )
    return {owner for owner in named if isinstance(owner, str)}


def _json(answer: httpx.Response) -> dict[str, Any]:
    """An answer's object; empty where it is none, whatever the reason."""
    try:
        page = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", page) if isinstance(page, dict) else {}
