"""One item of a batch from claim to end: the model is asked as for a turn, without memory or history. People go first: see workers.tasks."""

from __future__ import annotations

import random
import time
from typing import cast

import msgspec
import structlog

from bots.errors import StorageUnavailable
from bots.storage import batch_items
from bots.storage.batch_items import Item, ItemResult, Spent
from bots.storage.placing import profile_of
from inference.prompt_style import neutralise
from inference.types import Message, Role
from workers import metrics
from workers.ask import Question, Reply, ask
from workers.deps import Deps
from workers.routes import BATCH, profile_key

log = structlog.get_logger()

#: Of an item's lease, which nobody renews, asking takes so much at most.
_OF_LEASE = 0.85


def batch_one(deps: Deps, queue: str) -> bool:
    """Work one due item of a batch queue to its end; False when none was due."""
    item = batch_items.claim(deps.crossing, queue, boot=deps.boot, lease_s=deps.settings.batch_lease_s)
    if item is None:
        return False
    started = time.monotonic()
    # For the watchdog. A batch's id is no conversation's, so nothing is renewed: the lease is longer than an item may take.
    with deps.in_flight.turn(item.batch):
        state = _work(deps, item, queue)
    metrics.BATCH_ITEMS.labels(state).inc()
    log.info(
        "batch_item_finished",
        batch=str(item.batch),
        n=item.n,
        state=state,
        took_ms=round((time.monotonic() - started) * 1000),
    )
    return True


def _work(deps: Deps, item: Item, queue: str) -> str:
    spent = Spent()
    try:
        reply = _ask(deps, item, queue)
        spent = _spent(reply)
        if reply.outcome == "unavailable":
            batch_items.hold(deps.crossing, item, hold_s=deps.settings.ask_again_s, spent=spent)
            return "held"
        result = _result(reply, spent)
        ours = batch_items.finish(deps.worker, item, result)
    except StorageUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - the task's edge: what is wrong with ourselves costs one item, not the queue
        log.error("batch_item_broke", batch=str(item.batch), n=item.n, error=type(error).__name__)  # noqa: TRY400 - a traceback would show the text
        return _own_error(deps, item, type(error).__name__, spent)
    return result.state if ours else "fenced"


def _ask(deps: Deps, item: Item, queue: str) -> Reply:
    request, usual = item.request, deps.model_settings
    question = Question(
        profile=profile_key(item.tenant, profile_of(queue)),
        messages=_messages(item),
        may_leave=item.may_leave,
        hints=deps.routes.hints(item.tenant, priority=BATCH),
        # Items of a batch share their beginning at most: any replica will do.
        affinity=None,
        max_tokens=request.max_tokens or deps.settings.answer_tokens,
        temperature=usual.temperature if request.temperature is None else request.temperature,
        top_p=usual.top_p if request.top_p is None else request.top_p,
        within_s=min(deps.settings.batch_lease_s, deps.settings.task_deadline_s) * _OF_LEASE,
    )
    reply = ask(deps, question)
    for call in reply.calls:
        metrics.count_call(call, work="batch")
    return reply


def _spent(reply: Reply) -> Spent:
    # Garbage is paid for, too. An item has one row: what several endpoints took stands at the last that took anything.
    paid = [call for call in reply.calls if call.tokens_in is not None]
    costs = [call.cost for call in paid if call.cost is not None]
    last = next(reversed(paid or reply.calls), None)
    return Spent(
        model=last.model if last else None,
        endpoint=last.endpoint if last else None,
        tokens_in=sum(call.tokens_in or 0 for call in paid) if paid else None,
        tokens_cached=sum(call.tokens_cached or 0 for call in paid) if paid else None,
        tokens_out=sum(call.tokens_out or 0 for call in paid) if paid else None,
        cost=sum(costs) if costs else None,
    )


def _result(reply: Reply, spent: Spent) -> ItemResult:
    took = msgspec.structs.asdict(spent)
    if reply.text is None:
        return ItemResult(state="failed", reason="garbage" if reply.outcome == "cut" else reply.outcome, **took)
    cut_off = reply.outcome == "cut" or (reply.answer is not None and reply.answer.finish_reason == "length")
    return ItemResult(state="done", answer=reply.text, reason="length" if cut_off else None, **took)


def _messages(item: Item) -> list[Message]:
    request = item.request
    if request.text is None:
        return [Message(role=cast("Role", message.role), content=neutralise(message.content)) for message in request.messages]
    persona = (item.persona or "").strip()
    system = [Message(role="system", content=persona)] if persona else []
    return [*system, Message(role="user", content=neutralise(request.text) or "...")]


def _own_error(deps: Deps, item: Item, name: str, spent: Spent) -> str:
    delay_s, reason = deps.settings.own_error_delay_s(item.tries), f"error:{name}"
    if delay_s is None:
        batch_items.finish(deps.worker, item, ItemResult(state="failed", reason=reason, **msgspec.structs.asdict(spent)))
        return "failed"
    after_s = delay_s * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    batch_items.retry_later(deps.crossing, item, after_s=after_s, reason=reason, spent=spent)
    return "retry"
