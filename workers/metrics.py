"""The metrics of workers and the dispatcher: turns, calls of the model, sends. About two microseconds each; labels have few values."""

from __future__ import annotations

from functools import cache
from typing import Literal

from prometheus_client import Counter, Histogram

from bots.domain import Outcome
from bots.storage.turns import ModelCall, TurnResult

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0, 120.0)
_FIRST_TOKEN_SECONDS = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 5.0, 10.0, 20.0)
#: Reasons of turns that become labels unchanged; the part after a colon is for the log only.
_REASONS = frozenset(
    {
        "",
        "budget",
        "cut",
        "error",
        "fallback",
        "filtered",
        "model_unavailable",
        "nothing_to_answer",
        "told_before",
        "unsupported",
        "picture_lost",
        "picture_unavailable",
        "voice_unavailable",
        "stopped",
        "too_old",
        "fenced",
    }
)
_MOST_CODES = 100
_codes: set[int] = set()
#: Endpoints are named by operators and few; renaming them every day must not create ever more series in the monitoring.
_MOST_ENDPOINTS = 100
_endpoints: set[tuple[str, str]] = set()
_OUTCOMES = frozenset({"ok", "cut", "filtered", "garbage", "plain", "too_long", "refused"})

TURNS = Counter("chinwag_turns", "Turns by their final state, and why.", ["state", "reason"])
TURN_SECONDS = Histogram("chinwag_turn_seconds", "From a turn's claim to its commit.", buckets=_SECONDS)
ANSWER_SECONDS = Histogram(
    "chinwag_answer_seconds", "From the newest message, by the platform's clock, to the committed answer.", buckets=_SECONDS
)
MODEL_CALLS = Counter("chinwag_model_calls", "Calls of the model by outcome.", ["outcome"])
MODEL_SECONDS = Histogram("chinwag_model_seconds", "Whole calls of the model that gave an answer.", buckets=_SECONDS)
MODEL_FIRST_TOKEN_SECONDS = Histogram(
    "chinwag_model_first_token_seconds", "From a call of the model to its first word.", buckets=_FIRST_TOKEN_SECONDS
)
MODEL_TOKENS = Counter("chinwag_model_tokens", "Tokens by kind; cached ones are part of prompt.", ["kind"])
MODEL_ENDPOINT_TOKENS = Counter("chinwag_model_endpoint_tokens", "The same by endpoint and model.", ["endpoint", "model", "kind"])
MODEL_COST = Counter(
    "chinwag_model_cost_usd",
    "Cost of calls of the model in USD, for conversations or batches; none without a price.",
    ["endpoint", "model", "work"],
)
BUDGET_REFUSED = Counter("chinwag_budget_refused", "Turns that a budget ended, a contact's of the day or a bot's of the month.", ["budget"])
SENDS = Counter("chinwag_sends", "Attempts to send by outcome and the platform's code.", ["outcome", "code"])
SEND_SECONDS = Histogram("chinwag_send_seconds", "Calls of a platform that took a message.", buckets=_SECONDS)
OUTBOUND_UNKNOWN = Counter("chinwag_outbound_unknown", "Attempts of which it is not known whether the message left.")
OUTBOUND_NOT_STORED = Counter(
    "chinwag_outbound_not_stored", "Attempts whose outcome could not be stored; their messages are not sent again."
)
HEALTH_READS = Counter("chinwag_health_reads", "Reads of an account in outage, by whether the platform answered.", ["answered"])
OUTBOUND_RESENT = Counter("chinwag_outbound_resent", "Messages sent a second time, since the platform reported nothing about the first.")
BATCH_ITEMS = Counter("chinwag_batch_items_finished", "Batch items by their final state.", ["state"])
EMBEDDED = Counter("chinwag_embedded_turns", "Turns given their vectors, by how it ended.", ["state"])
RECALLED = Counter("chinwag_recalls", "Turns for which earlier ones were looked for, by whether any fitted.", ["found"])
QUESTIONS_WITHOUT_VECTOR = Counter("chinwag_questions_without_vector", "Questions that the embedder gave no vector for in time.")
REMEMBERED = Counter("chinwag_talks_read", "Quiet talks that a model read for facts to remember, by how it ended.", ["state"])
SUMMARIES = Counter("chinwag_summaries", "Conversations whose older turns were summarised, by how it ended.", ["state"])
PUBLISHED = Counter("chinwag_tasks_published", "Tasks that the dispatcher made.", ["queue"])


@cache
def _of(counter: Counter, *labels: str) -> Counter:
    """A counter with its labels: looked up once, since each turn counts in nine of them."""
    return counter.labels(*labels)


def count_turn(result: TurnResult, *, waited_s: float, took_s: float) -> None:
    """Count a committed turn: how old its newest message was when it was claimed, and how long it took."""
    _of(TURNS, result.state, reason_of(result.reason)).inc()
    TURN_SECONDS.observe(took_s)
    if result.state == "answered":
        ANSWER_SECONDS.observe(max(0.0, waited_s) + took_s)
    _count_calls(result)


def count_unused(result: TurnResult, why: str) -> None:
    """Count a turn whose answer is not used: another worker had taken its lease, or a person, or more was written. Its calls of the model are paid for."""
    _of(TURNS, why, why).inc()
    _count_calls(result)


def _count_calls(result: TurnResult) -> None:
    for call in result.calls:
        count_call(call)


def count_call(call: ModelCall, *, work: Literal["talk", "batch"] = "talk") -> None:
    """Count a call of the model: of a turn, a batch item or a summary."""
    _of(MODEL_CALLS, call.outcome if call.outcome in _OUTCOMES else "unavailable").inc()
    if call.total_ms is not None:
        MODEL_SECONDS.observe(call.total_ms / 1000)
    if call.first_token_ms is not None:
        MODEL_FIRST_TOKEN_SECONDS.observe(call.first_token_ms / 1000)
    endpoint, model = _endpoint(call)
    for kind, tokens in (("prompt", call.tokens_in), ("cached", call.tokens_cached), ("answer", call.tokens_out)):
        if tokens:
            _of(MODEL_TOKENS, kind).inc(tokens)
            _of(MODEL_ENDPOINT_TOKENS, endpoint, model, kind).inc(tokens)
    if call.cost:
        _of(MODEL_COST, endpoint, model, work).inc(call.cost)


def count_send(outcome: Outcome, *, code: int | None, took_s: float, resent: bool = False) -> None:
    """Count an attempt to send and what came of it."""
    _of(SENDS, outcome.value, _code(code)).inc()
    if outcome is Outcome.ACCEPTED:
        SEND_SECONDS.observe(took_s)
    elif outcome is Outcome.UNKNOWN:
        OUTBOUND_UNKNOWN.inc()
    if resent:
        OUTBOUND_RESENT.inc()


def reason_of(reason: str | None) -> str:
    """The class of a turn's reason."""
    name = (reason or "").partition(":")[0]
    return name if name in _REASONS else "other"


def _endpoint(call: ModelCall) -> tuple[str, str]:
    """Endpoint and model as labels; after so many different ones all others share one."""
    found = (call.endpoint, call.model)
    if len(_endpoints) < _MOST_ENDPOINTS:
        _endpoints.add(found)
    return found if found in _endpoints else ("other", "other")


def _code(code: int | None) -> str:
    """A platform's code as a label; after so many different ones all others share one: what a platform sends is not to be trusted."""
    if code is None:
        return ""
    if len(_codes) < _MOST_CODES:
        _codes.add(code)
    return str(code) if code in _codes else "other"
