"""One item of a batch from claim to end: the model is asked as for a turn, without memory or history. People go first: see workers.tasks."""

from __future__ import annotations

import random
import time
from typing import cast

import structlog

from bots.errors import StorageUnavailable
from bots.storage import batch_items
from bots.storage.batch_items import Item, ItemResult
from inference.answer_guard import check
from inference.errors import AnswerCut, GarbageAnswer, ModelRefused, ModelUnavailable, PromptTooLong
from inference.prompt_style import neutralise
from inference.types import Answer, Message, Role, Usage
from workers import metrics
from workers.answer import TRIES, call_of
from workers.deps import Deps

log = structlog.get_logger()


def batch_one(deps: Deps, queue: str) -> bool:
    """Work one due item of a batch queue to its end; False when none was due."""
    item = batch_items.claim(deps.crossing, queue, boot=deps.boot, lease_s=deps.settings.batch_lease_s)
    if item is None:
        return False
    started = time.monotonic()
    # For the watchdog. A batch's id is no conversation's, so nothing is renewed: the lease is longer than an item may take.
    with deps.in_flight.turn(item.batch):
        state = _work(deps, item)
    metrics.BATCH_ITEMS.labels(state).inc()
    log.info(
        "batch_item_finished",
        batch=str(item.batch),
        n=item.n,
        state=state,
        took_ms=round((time.monotonic() - started) * 1000),
    )
    return True


def _work(deps: Deps, item: Item) -> str:
    try:
        result = _ask(deps, item)
        ours = batch_items.finish(deps.worker, item, result)
    except ModelUnavailable:
        batch_items.hold(deps.crossing, item, hold_s=deps.settings.ask_again_s)
        return "held"
    except StorageUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - the task's edge: what is wrong with ourselves costs one item, not the queue
        log.error("batch_item_broke", batch=str(item.batch), n=item.n, error=type(error).__name__)  # noqa: TRY400 - a traceback would show the text
        return _own_error(deps, item, type(error).__name__)
    return result.state if ours else "fenced"


def _ask(deps: Deps, item: Item) -> ItemResult:
    """Ask the model, twice where its answer is garbage. Raises ModelUnavailable."""
    messages = _messages(item)
    request, usual = item.request, deps.model_settings
    for attempt in range(1, TRIES + 1):

        def count(outcome: str, answer: Answer | None = None, attempt: int = attempt) -> None:
            metrics.count_call(call_of(deps, messages, attempt, outcome, answer))

        try:
            answer = deps.model.chat(
                messages,
                max_tokens=request.max_tokens or deps.settings.answer_tokens,
                temperature=usual.temperature if request.temperature is None else request.temperature,
                top_p=usual.top_p if request.top_p is None else request.top_p,
            )
            text = check(answer, messages)
        except GarbageAnswer:
            count("garbage")
            continue
        except AnswerCut as error:
            # Too slow to come to its end: asking again would end alike.
            count("cut")
            return _cut(deps, error.text, messages)
        except PromptTooLong:
            count("too_long")
            return ItemResult(state="failed", reason="too_long", model=deps.endpoint.model)
        except ModelUnavailable as error:
            count(type(error).__name__)
            raise
        except ModelRefused as error:
            count("refused")
            log.warning("model_refused", batch=str(item.batch), n=item.n, error=type(error).__name__)
            return ItemResult(state="failed", reason="refused", model=deps.endpoint.model)
        count("ok", answer)
        return _done(deps, text, answer)
    return ItemResult(state="failed", reason="garbage", model=deps.endpoint.model)


def _messages(item: Item) -> list[Message]:
    request = item.request
    if request.text is None:
        return [Message(role=cast("Role", message.role), content=neutralise(message.content)) for message in request.messages]
    persona = (item.persona or "").strip()
    system = [Message(role="system", content=persona)] if persona else []
    return [*system, Message(role="user", content=neutralise(request.text) or "...")]


def _done(deps: Deps, text: str, answer: Answer) -> ItemResult:
    return ItemResult(
        state="done",
        answer=text,
        reason="length" if answer.finish_reason == "length" else None,
        model=deps.endpoint.model,
        tokens_in=answer.usage.tokens_in,
        tokens_cached=answer.usage.tokens_cached,
        tokens_out=answer.usage.tokens_out,
    )


def _cut(deps: Deps, text: str, messages: list[Message]) -> ItemResult:
    answer = Answer(text=text, usage=Usage(), first_token_ms=0.0, total_ms=0.0, finish_reason="length")
    try:
        return _done(deps, check(answer, messages), answer)
    except GarbageAnswer:
        return ItemResult(state="failed", reason="garbage", model=deps.endpoint.model)


def _own_error(deps: Deps, item: Item, name: str) -> str:
    delay_s = deps.settings.own_error_delay_s(item.tries)
    if delay_s is None:
        batch_items.finish(deps.worker, item, ItemResult(state="failed", reason=f"error:{name}"))
        return "failed"
    after_s = delay_s * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    batch_items.retry_later(deps.crossing, item, after_s=after_s, reason=f"error:{name}")
    return "retry"
