"""Asks the turns of each endpoint; all see the same history, so that a slip in one answer does not change what is asked next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from chinwag.compare.talks import Turn
from inference.answer_guard import check
from inference.client import ModelClient
from inference.errors import AnswerCut, GarbageAnswer, InferenceError
from inference.prompt_style import for_endpoint
from inference.types import Usage
from inference.usage import cost_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One endpoint's answer to one turn, or why there is none."""

    turn: Turn
    endpoint: str
    model: str
    #: What a person would have seen; None where nothing could be shown.
    text: str | None
    #: Why there is no text, or that it is not whole.
    fault: str | None = None
    usage: Usage = field(default_factory=Usage)
    first_token_ms: float | None = None
    total_ms: float | None = None
    #: In USD; None where the endpoint has no price.
    cost: float | None = None


def replay(
    turns: Sequence[Turn],
    clients: Sequence[ModelClient],
    *,
    parallel: int,
    max_tokens: int,
    temperature: float,
    top_p: float,
    told: Callable[[], None],
) -> list[list[Reply]]:
    """Return for each turn the replies in the order of the clients. `told` is called after each reply.

    parallel: how many calls each endpoint gets at once.
    """

    def ask(client: ModelClient, turn: Turn) -> Reply:
        return _ask(client, turn, max_tokens=max_tokens, temperature=temperature, top_p=top_p)

    found: list[list[Reply | None]] = [[None] * len(clients) for _ in turns]
    pools = [ThreadPoolExecutor(max_workers=parallel, thread_name_prefix=client.endpoint.name) for client in clients]
    try:
        places = {
            pools[column].submit(ask, client, turn): (row, column)
            for row, turn in enumerate(turns)
            for column, client in enumerate(clients)
        }
        for done in as_completed(places):
            row, column = places[done]
            found[row][column] = done.result()
            told()
    finally:
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
    return [[reply for reply in row if reply is not None] for row in found]


def _ask(client: ModelClient, turn: Turn, *, max_tokens: int, temperature: float, top_p: float) -> Reply:
    endpoint = client.endpoint
    messages = for_endpoint(turn.messages, endpoint.traits)

    def reply(**values: object) -> Reply:
        return Reply(turn=turn, endpoint=endpoint.name, model=endpoint.model, **values)  # pyright: ignore[reportArgumentType] - Reply's own fields

    try:
        answer = client.chat(messages, max_tokens=max_tokens, temperature=temperature, top_p=top_p)
    except AnswerCut as error:
        return reply(text=error.text, fault="cut off: the time for an answer was over")
    except InferenceError as error:
        return reply(text=None, fault=str(error))
    figures = {
        "usage": answer.usage,
        "first_token_ms": answer.first_token_ms,
        "total_ms": answer.total_ms,
        "cost": cost_of(endpoint.price, answer.usage),
    }
    try:
        text = check(answer, messages)
    except GarbageAnswer as error:
        return reply(text=None, fault=str(error), **figures)
    return reply(text=text, fault="cut off at the longest answer" if answer.finish_reason == "length" else None, **figures)
