"""Asks each endpoint the turns; all see the same history, so that an error in one answer does not change what is asked next."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial

from chinwag.compare.talks import Turn
from inference.answer_guard import check
from inference.client import ModelClient
from inference.errors import AnswerCut, GarbageAnswer, InferenceError, ModelUnavailable
from inference.prompt_style import for_endpoint
from inference.tokens import TokenCounter
from inference.types import Usage
from inference.usage import cost_of, counted

#: Between two tries of a server that is busy or down: twice as long each time, at most this.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How each turn is asked."""

    max_tokens: int
    temperature: float
    top_p: float
    #: How long a turn waits for a server that is busy or down.
    patience_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One endpoint's answer to one turn, or why there is none."""

    turn: Turn
    endpoint: str
    model: str
    #: What a person would have seen; None when nothing could be shown.
    text: str | None
    #: Why there is no text, or why it is cut.
    fault: str | None = None
    #: None for a reply that was cut.
    usage: Usage | None = None
    first_token_ms: float | None = None
    #: To the last word, also of a reply that was cut.
    total_ms: float | None = None
    #: In USD; None when the endpoint has no price.
    cost: float | None = None


def replay(
    turns: Sequence[Turn], clients: Sequence[ModelClient], asking: Asking, *, parallel: int, told: Callable[[Reply], None]
) -> list[list[Reply]]:
    """Return for each turn the replies in the order of the clients. `told` is called with each reply as it comes.

    parallel: how many calls each endpoint gets at the same time.
    """
    found: list[list[Reply | None]] = [[None] * len(clients) for _ in turns]
    pools = [ThreadPoolExecutor(max_workers=parallel, thread_name_prefix=client.endpoint.name) for client in clients]
    try:
        asks = [partial(_ask, _Server(client, asking.patience_s), asking) for client in clients]
        places = {pools[column].submit(ask, turn): (row, column) for row, turn in enumerate(turns) for column, ask in enumerate(asks)}
        for done in as_completed(places):
            row, column = places[done]
            reply = found[row][column] = done.result()
            told(reply)
    finally:
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
    return [[reply for reply in row if reply is not None] for row in found]


class _Server:
    """An endpoint and whether it is worth waiting for: once a turn waited in vain, the others do not wait until it answers again."""

    def __init__(self, client: ModelClient, patience_s: float) -> None:
        self.client = client
        self.counter = TokenCounter(client.endpoint)
        self.answers = True
        self._patience_s = patience_s

    def wait(self, *, since: float, tries: int) -> bool:
        """Wait a little before a turn's next try; False when it is not to be asked again."""
        pause_s = min(_FIRST_PAUSE_S * 2 ** (tries - 1), _LONGEST_PAUSE_S)
        self.answers = self.answers and time.monotonic() + pause_s < since + self._patience_s
        if self.answers:
            time.sleep(pause_s)
        return self.answers


def _ask(server: _Server, asking: Asking, turn: Turn) -> Reply:
    endpoint = server.client.endpoint
    messages = for_endpoint(turn.messages, endpoint.traits)

    def reply(**values: object) -> Reply:
        return Reply(turn=turn, endpoint=endpoint.name, model=endpoint.model, **values)  # pyright: ignore[reportArgumentType] - Reply's own fields

    since, tries = time.monotonic(), 0
    while True:
        began, tries = time.monotonic(), tries + 1
        try:
            answer = server.client.chat(messages, max_tokens=asking.max_tokens, temperature=asking.temperature, top_p=asking.top_p)
        except AnswerCut as error:
            server.answers, took_ms = True, (time.monotonic() - began) * 1000
            return reply(text=error.text, fault="cut off: the answer took too long", total_ms=took_ms)
        except ModelUnavailable as error:
            if not server.wait(since=since, tries=tries):
                return reply(text=None, fault=str(error))
        except InferenceError as error:
            return reply(text=None, fault=str(error))
        else:
            break
    server.answers = True
    written = answer.thoughts + answer.text
    usage = counted(answer.usage, endpoint=endpoint, messages=messages, text=written, count=server.counter.count)
    figures = {
        "usage": usage,
        "first_token_ms": answer.first_token_ms,
        "total_ms": answer.total_ms,
        "cost": cost_of(endpoint.price, usage),
    }
    try:
        text = check(answer, messages)
    except GarbageAnswer as error:
        return reply(text=None, fault=str(error), **figures)
    return reply(text=text, fault="cut off at the answer's length limit" if answer.finish_reason == "length" else None, **figures)
