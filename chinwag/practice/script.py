"""Faults on demand: how requests are treated, chosen from outside through the control API.

A rule is {"match": {...}, "faults": [...]}. `match` may hold channel, account_id, phone_number_id, to, recipient, correlation, text, text_contains,
type, kind (message by default; read, typing, picture with type find or fetch, any). Each matching request takes the next
fault; a rule without faults left is removed.
A fault is a name, or {"fault": name, "times": 3, "always": true, ...options}.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from chinwag.practice.numbers import read_statuses

_STATUS_CODES = {"429", "500", "502", "503", "504"}
_NAMES = {
    "ok",
    "accept_then_hang",
    "accept_then_close",
    "read_body_then_hold",
    "hang",
    "close",
    "garbage_200",
    "truncated_200",
    "no_status",
    "status_before_response",
    "duplicate_status",
    "failed_status",
    "latency",
    "redirect",
}
_OPTIONS = {"latency_ms", "retry_after_s", "code", "http_status", "statuses", "status_delay_s", "status_times", "subcode", "location"}
_MATCH = {"channel", "account_id", "phone_number_id", "to", "recipient", "correlation", "text", "text_contains", "type", "kind"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How one request is treated."""

    name: str = "ok"
    latency_ms: float | None = None
    retry_after_s: float | None = None
    code: int | None = None
    subcode: int = 0
    http_status: int | None = None
    statuses: tuple[tuple[str, float], ...] | None = None
    status_delay_s: float = 0.0
    status_times: int = 1
    #: The address to redirect to; only for pictures.
    location: str = ""


@dataclass(slots=True)
class _Planned:
    fault: Fault
    left: int
    always: bool


@dataclass(slots=True)
class _Rule:
    match: dict[str, Any]
    planned: list[_Planned] = field(default_factory=list[_Planned])


class Script:
    """The rules in the order in which they were given; the first that matches decides."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []

    def add(self, match: dict[str, Any], faults: list[Any]) -> None:
        """Add a rule. Raises ValueError that says what is wrong."""
        if unknown := sorted(set(match) - _MATCH):
            raise ValueError(f"unknown in match: {', '.join(unknown)}; known: {', '.join(sorted(_MATCH))}")
        if not faults:
            raise ValueError("faults has to be a list of at least one fault")
        self._rules.append(_Rule(match, [_plan(one) for one in faults]))

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def left(self) -> int:
        """Return how many rules still have faults."""
        return len(self._rules)

    def take(self, facts: dict[str, Any]) -> Fault | None:
        """Return the fault for a request, and use it up."""
        if not self._rules:
            return None
        for rule in self._rules:
            if _matches(rule.match, facts):
                return self._use(rule)
        return None

    def _use(self, rule: _Rule) -> Fault:
        planned = rule.planned[0]
        if not planned.always:
            planned.left -= 1
            if planned.left <= 0:
                rule.planned.pop(0)
            if not rule.planned:
                self._rules.remove(rule)
        return planned.fault


def _matches(match: dict[str, Any], facts: dict[str, Any]) -> bool:
    for name, wanted in match.items():
        if name == "kind":
            continue
        if name == "text_contains":
            if str(wanted) not in (facts.get("text") or ""):
                return False
        elif name == "to":
            if _digits(wanted) != _digits(facts.get("to")):
                return False
        elif facts.get(name) != wanted:
            return False
    kind = match.get("kind", "message")
    return kind in ("any", facts.get("kind"))


def _digits(value: Any) -> str:
    return "".join(letter for letter in str(value or "") if letter.isdigit())


def _plan(given: Any) -> _Planned:
    options: dict[str, Any] = dict(cast("dict[str, Any]", given)) if isinstance(given, dict) else {"fault": given}
    name = str(options.pop("fault", "ok"))
    times = int(options.pop("times", 1))
    always = bool(options.pop("always", False))
    if unknown := sorted(set(options) - _OPTIONS):
        raise ValueError(f"unknown in a fault: {', '.join(unknown)}; known: {', '.join(sorted(_OPTIONS))}")
    if "statuses" in options:
        options["statuses"] = read_statuses(options["statuses"])
    return _Planned(_fault(name, options), times, always)


def _fault(name: str, options: dict[str, Any]) -> Fault:
    if name in _STATUS_CODES:
        options.setdefault("http_status", int(name))
        return Fault(name="http", **options)
    if name.isdigit():
        options.setdefault("code", int(name))
        return Fault(name="refuse", **options)
    if name not in _NAMES:
        raise ValueError(f"unknown fault {name}; known: {', '.join(sorted(_NAMES | _STATUS_CODES))} and every error code")
    if name == "no_status":
        options["statuses"] = ()
    if name == "duplicate_status":
        options.setdefault("status_times", 2)
    if name == "failed_status":
        options.setdefault("code", 131026)
        options.setdefault("statuses", (("failed", 120.0),))
    if name == "redirect" and not options.get("location"):
        raise ValueError("redirect needs a location")
    if name == "latency" and "latency_ms" not in options:
        raise ValueError("latency needs latency_ms")
    return Fault(name=name, **options)
