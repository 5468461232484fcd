"""What is known of an endpoint, in words: what the probe found and what it means, what an operator should look at. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from bots.admin.endpoints import presets
from bots.storage.endpoints import EndpointRow
from inference.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that was measured, and what it means."""

    title: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an endpoint stands: ok, bad or wait, and a word on it."""

    state: str
    word: str


def standing(row: EndpointRow) -> Standing:
    """Say how far the probe has come with an endpoint."""
    if row.probed_at is not None:
        return Standing(state="ok", word="measured")
    # Without a measurement, notes say why there is none.
    if row.notes:
        return Standing(state="bad", word="cannot be used")
    return Standing(state="wait", word="not probed yet")


def host(row: EndpointRow) -> str:
    """The host and port of an endpoint's address."""
    return urlsplit(row.url).netloc


def facts(traits: Mapping[str, Any]) -> list[Fact]:
    """Tell what the probe found; of what it did not say there is no fact."""
    found = [Fact(title=title, words=tell(traits[key])) for key, title, tell in _FACTS if key in traits]
    if "system_role" in traits or "roles_alternate" in traits:
        found.insert(min(2, len(found)), Fact(title="Roles", words=_roles(traits)))
    return found


def warnings(row: EndpointRow, catalog: Catalog, *, today: date) -> list[str]:
    """Say what an operator should know beside what the probe found: the licence, an end that is near, a key on an open line."""
    found = [presets.licence(catalog, row.model)]
    if row.leaves_house:
        over = presets.ended(catalog, row.model, today=today, url=row.url)
        found.append(over or presets.ending(catalog, row.model, today=today, url=row.url))
        found.append(_open_line(row))
    return [words for words in found if words]


def _context(tokens: int) -> str:
    if not tokens:
        return "The server does not tell how long a prompt may be; prompts are kept to the budget of the settings."
    return f"{tokens:,} tokens, prompt and answer together."


def _roles(traits: Mapping[str, Any]) -> str:
    system = (
        "Its template knows the system role."
        if traits.get("system_role", True)
        else ("Its template knows no system role: the persona is told in the first message.")
    )
    by_turns = " It takes user and assistant by turns alone; prompts are laid out so." if traits.get("roles_alternate") else ""
    return system + by_turns


def _ranks(ranks: int) -> str:
    if ranks < 2:
        return "One."
    return f"{ranks}, each with a prefix cache of its own; a conversation goes back to the rank that holds its beginning."


def _either(yes: str, no: str) -> Callable[[Any], str]:
    def tell(value: object) -> str:
        return yes if value else no

    return tell


_FACTS = (
    ("context", "Context", _context),
    (
        "vision",
        "Eyes",
        _either(
            "It sees pictures: those that people send go to it.",
            "Text alone: in a picture's place it is told that one was sent.",
        ),
    ),
    ("json_schema", "JSON schema", _either("It keeps to a schema that is asked for.", "It does not keep to a schema: none is asked for.")),
    (
        "reasoning",
        "Thinking aloud",
        _either(
            "It thinks aloud before it answers; people see the answer alone, and the thinking is paid for.", "It answers straight away."
        ),
    ),
    (
        "parses_tokens",
        "Template tokens",
        _either(
            "Marks of its template in a person's words would count as marks: they are taken out before they get there.",
            "Marks of its template in a person's words are plain words to it.",
        ),
    ),
    ("cache_salt", "Cache salt", _either("It keeps each tenant's prefixes apart.", "Not taken.")),
    ("priority", "Priority", _either("It serves people before batches.", "Not taken.")),
    ("ranks", "Data-parallel ranks", _ranks),
)


def _open_line(row: EndpointRow) -> str:
    parts = urlsplit(row.url)
    if parts.scheme != "http" or _is_near(parts.hostname or ""):
        return ""
    return "The address is http, not https: what people write, and the key, cross the network for everybody to read."


def _is_near(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
