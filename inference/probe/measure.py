"""Measures what an endpoint really does, so that its traits rest on observation and not on promises.

Guarantee: a probe ends within four minutes. A question without an answer, because the server was full or away, counts as not measured, and
never as a lack of the server. Its traits are named in `missing`, so that a caller can keep earlier values.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from inference.client import Breaker, ModelClient
from inference.client.shown import on_one_line
from inference.client.told import told
from inference.errors import GarbageAnswer, InferenceError, ModelBusy, ModelRefused, ModelUnavailable
from inference.probe.ask import Asker, Unanswered, user
from inference.probe.cards import Listing, Server, models
from inference.probe.checks import CHECKS, SEVERAL, SHORT, Findings
from inference.probe.reasons import explain, quoted
from inference.probe.replies import Reply, said
from inference.types import Answer, Endpoint, Message, Timeouts, Traits

_WHOLE_S = 240.0
_FIELDS = ("stream_options", "completion_tokens", "sampling")
_NOT_STREAMED = "the server answers a plain request, but not the streamed one that the service sends: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """The result of a probe."""

    traits: Traits
    #: Names of traits that were not measured, and so have their defaults.
    missing: tuple[str, ...] = ()
    #: What an operator should know, in plain sentences.
    notes: tuple[str, ...] = ()
    #: Why the endpoint cannot be used; empty when it can.
    failures: tuple[str, ...] = ()
    #: Whether a later probe may find more or succeed.
    again: bool = False
    server: Server = "unknown"
    #: Milliseconds from a streamed request to the first token of its answer; None without an answer.
    answer_ms: float | None = None
    #: Whether a prompt that is sent again costs less; None where the server does not say.
    prefix_cache: bool | None = None

    @property
    def measured(self) -> dict[str, Any]:
        """The traits that were measured."""
        return {name: value for name, value in asdict(self.traits).items() if name not in self.missing}


def probe(endpoint: Endpoint, timeouts: Timeouts) -> Probed:
    """Send the endpoint about thirty small requests and return what it does. Raises ModelUnavailable when nothing answers.

    Whether it can be used is judged by a call as the service makes it; the other questions only measure.
    """
    ask = Asker(endpoint, timeouts, until=time.monotonic() + _WHOLE_S)
    page = ask.page("/models")
    listing = models(page.body) if page.status == 200 else None
    found = Findings(ask=ask, first=ask.try_chat([user(SHORT)], max_tokens=SEVERAL))
    first = found.first
    if page.status == first.status == 0:
        raise ModelUnavailable(f"nothing answers at {endpoint.url}: is the server running, and is the address right?")
    if page.is_unanswered:
        found.missing.append("context")
    elif listing is not None or first.status == 200:
        _list(found, endpoint, listing)
    if first.status != 200 and not _wants_a_stream(first):
        return _result(found, failures=(explain(first, endpoint, listing),), again=first.is_unanswered or first.status >= 500)
    try:
        answer = _own_call(found, endpoint, timeouts)
    except (ModelRefused, ModelUnavailable, GarbageAnswer) as error:
        # What was said to the plain question is the better reason, where it was refused as well.
        why = _NOT_STREAMED + _reason(error, endpoint) if first.status == 200 else explain(first, endpoint, listing)
        return _result(found, failures=(why,), again=isinstance(error, ModelUnavailable))
    if said(first.body) is None:
        found.missing += [name for _, names in CHECKS for name in names]
        found.notes.append("answers only streamed questions, so what the other questions would show was not measured")
        return _result(found, answer_ms=answer.first_token_ms)
    _measure(found)
    return _result(found, again=bool(found.missing), answer_ms=answer.first_token_ms)


def _measure(found: Findings) -> None:
    for check, traits in CHECKS:
        try:
            check(found)
        except Unanswered:
            found.missing += traits
    if not found.missing:
        return
    if found.ask.is_full:
        why = "the server was full"
    elif found.ask.is_lost:
        why = "the server stopped answering in the middle"
    else:
        why = "some questions got no answer"
    found.notes.append(f"{why}, so these were not measured and keep their earlier values: {', '.join(found.missing).replace('_', ' ')}")


def _result(found: Findings, *, failures: tuple[str, ...] = (), again: bool = False, answer_ms: float | None = None) -> Probed:
    return Probed(
        traits=found.traits,
        missing=tuple(found.missing),
        notes=tuple(found.notes),
        failures=failures,
        again=again,
        server=found.server,
        answer_ms=answer_ms,
        prefix_cache=found.prefix_cache,
    )


def _list(found: Findings, endpoint: Endpoint, listing: Listing | None) -> None:
    """Read the context and the server's kind out of /v1/models."""
    if listing is None:
        found.notes.append("the server has no list of models, so the longest prompt is unknown")
        return
    own = listing.find(endpoint.model)
    if own is None:
        part = "the first page of its list" if listing.has_more else "the server"
        close = listing.close_to(endpoint.model)
        meant = f". Did you mean {close}?" if close else ""
        found.notes.append(f"{part} does not name {endpoint.model}; it has: {listing.names() or 'nothing'}{meant}")
        own = listing.models[0] if len(listing.models) == 1 and not listing.has_more else None
    elif own.name != endpoint.model:
        found.notes.append(f"the server lists {endpoint.model} as {on_one_line(own.name, 100)}")
    if own is not None:
        found.server = own.server
        found.set(context=own.context)
    if not found.traits.context:
        found.notes.append("the server does not say how long a prompt may be")


def _wants_a_stream(reply: Reply) -> bool:
    """Whether it refuses a question only because the answer is not to be streamed, as the service's own calls are."""
    return reply.is_refusal and "stream" in told(reply.body).words.lower()


def _own_call(found: Findings, endpoint: Endpoint, timeouts: Timeouts) -> Answer:
    """Make the call that the service will make, streamed and with token counts, and note what it must leave out. Raises InferenceError."""
    ask, waited = found.ask, 0
    learned = Traits(completion_tokens=ask.traits.completion_tokens, sampling=ask.traits.sampling)
    client = ModelClient(replace(endpoint, traits=learned), timeouts=timeouts, breaker=Breaker())
    while True:
        try:
            answer = client.chat([Message(role="user", content=SHORT)], max_tokens=max(SEVERAL, ask.least))
            break
        except ModelBusy as error:
            if not ask.wait(waited, error.retry_after_s):
                raise
            waited += 1
    traits = client.endpoint.traits
    found.set(**{name: getattr(traits, name) for name in _FIELDS})
    ask.traits = replace(ask.traits, completion_tokens=traits.completion_tokens, sampling=traits.sampling)
    if not traits.stream_options:
        found.notes.append("refuses `stream_options`, so tokens are counted here and costs are estimates")
    elif not answer.usage.tokens_in or answer.usage.estimated:
        found.notes.append("does not count tokens in a stream, so they are counted here and costs are estimates")
    if traits.completion_tokens:
        found.notes.append("takes the limit of an answer as `max_completion_tokens`")
    if not traits.sampling:
        found.notes.append("refuses `temperature` or `top_p`, so it answers with its own")
    return answer


def _reason(error: InferenceError, endpoint: Endpoint) -> str:
    words = quoted(error.said, endpoint)
    return f"{error}: {words}" if words and words not in str(error) else str(error)
