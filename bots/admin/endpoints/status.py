"""What is known about an endpoint, in plain sentences: what the probe found, what it means, and what an operator must do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from bots.admin.endpoints import presets, price_units
from bots.admin.endpoints.forms import prices_of
from bots.storage.endpoints import EndpointRow
from inference.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that was measured, and what it means."""

    title: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """The state of the probe: ok, bad or wait, and the same in words."""

    state: str
    message: str


def status_of(row: EndpointRow) -> EndpointStatus:
    """Describe the state of an endpoint's probe."""
    if row.probed_at is not None:
        return EndpointStatus(state="ok", message="probed")
    # Without a measurement, notes say why there is none.
    if row.notes:
        return EndpointStatus(state="bad", message="cannot be used")
    return EndpointStatus(state="wait", message="not probed yet")


def host(row: EndpointRow) -> str:
    """The host and port of an endpoint's address."""
    return urlsplit(row.url).netloc


def facts(traits: Mapping[str, Any]) -> list[Fact]:
    """Describe what the probe found; what it did not measure has no fact."""
    found = [Fact(title=title, message=tell(traits[key])) for key, title, tell in _FACTS if key in traits]
    if "system_role" in traits or "roles_alternate" in traits:
        found.insert(min(2, len(found)), Fact(title="Roles", message=_roles(traits)))
    return found


def warnings(row: EndpointRow, catalog: Catalog, *, today: date) -> list[str]:
    """Say what an operator should know besides what the probe found: the licence, a date of retirement, a key sent unencrypted, an odd price."""
    found = [presets.licence(catalog, row.model)]
    if row.leaves_house:
        over = presets.ended(catalog, row.model, today=today, url=row.url)
        found.append(over or presets.ending(catalog, row.model, today=today, url=row.url))
        found.append(_unencrypted(row))
    return [message for message in (*found, *odd_prices(row)) if message]


def odd_prices(row: EndpointRow) -> list[str]:
    """Say which prices look like ones for another number of tokens, and which do not fit together."""
    found = [f"{_PRICES[key]}: {question}" for key, question in price_units.questions(prices_of(row)).items()]
    if row.price_in is not None and row.price_cached is not None and row.price_cached > row.price_in:
        found.append("Price: cached input tokens cost more than others. Usually they cost less.")
    return found


def _context(tokens: int) -> str:
    if not tokens:
        return "The server does not say how long a prompt may be; prompts are limited by the settings."
    return f"{tokens:,} tokens for prompt and answer together."


def _roles(traits: Mapping[str, Any]) -> str:
    system = (
        "Its chat template has a system role."
        if traits.get("system_role", True)
        else ("Its chat template has no system role: the persona goes into the first message.")
    )
    by_turns = " User and assistant must alternate; prompts are built that way." if traits.get("roles_alternate") else ""
    return system + by_turns


def _ranks(ranks: int) -> str:
    if ranks < 2:
        return "One."
    return f"{ranks}, each with its own prefix cache; a conversation goes back to the rank that has cached it."


def _either(yes: str, no: str) -> Callable[[Any], str]:
    def tell(value: object) -> str:
        return yes if value else no

    return tell


_PRICES = {"price_in": "Input price", "price_cached": "Price of cached input", "price_out": "Output price"}
_FACTS = (
    ("context", "Context", _context),
    (
        "vision",
        "Images",
        _either(
            "It understands images; those that people send are passed on to it.",
            "Text only; in place of an image it gets a line that says that one was sent.",
        ),
    ),
    ("json_schema", "JSON schema", _either("It follows a schema when one is sent.", "It does not follow a schema, so none is sent.")),
    (
        "reasoning",
        "Reasoning",
        _either(
            "It reasons before it answers; people see only the answer, and the reasoning is billed.", "It answers without reasoning first."
        ),
    ),
    (
        "parses_tokens",
        "Template tokens",
        _either(
            "Template tokens in a message would be read as template tokens, so they are removed first.",
            "It reads template tokens in a message as plain text.",
        ),
    ),
    ("cache_salt", "Cache salt", _either("Supported: each tenant's cached prefixes are kept apart.", "Not supported.")),
    ("priority", "Priority", _either("Supported: people are served before batches.", "Not supported.")),
    (
        "stream_interval",
        "Streaming",
        _either("Several tokens come at once where nobody watches, which costs it less.", "Each token comes by itself."),
    ),
    ("ranks", "Data-parallel ranks", _ranks),
)


def _unencrypted(row: EndpointRow) -> str:
    parts = urlsplit(row.url)
    if parts.scheme != "http" or _is_near(parts.hostname or ""):
        return ""
    return "The address uses http, not https: what people write and the key are sent over the network unencrypted."


def _is_near(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
