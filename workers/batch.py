"""One item of a batch from claim to end: the model is called as for a turn, without memory or history. People go first: see workers.tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import msgspec
import structlog

from bots.storage import batch_items
from bots.storage.batch_items import Item, ItemResult, Spent
from bots.storage.queues import profile_of
from inference.prompt_style import neutralise
from inference.types import Message, Role
from workers import leased_work, metrics
from workers.deps import Deps
from workers.leased_work import LeasedWork
from workers.model_call import ModelReply, ModelRequest, call_model
from workers.model_routes import BATCH, profile_key

log = structlog.get_logger()

#: The share that the model may take of an item's lease, which nobody renews.
_OF_LEASE = 0.85


def batch_one(deps: Deps, queue: str) -> bool:
    """Work one due item of a batch queue to its end; False when none was due."""
    item = batch_items.claim(deps.crossing, queue, boot=deps.boot, lease_s=deps.settings.batch_lease_s)
    if item is None:
        return False
    leased_work.run(deps, _ItemWork(deps, item, queue))
    return True


@dataclass(frozen=True, slots=True)
class _Again:
    """The item goes back: held while the model is away, which is no try, or retried for a reason."""

    after_s: float
    reason: str | None = None


class _ItemWork(LeasedWork[ItemResult | _Again]):
    """A claimed item of a batch."""

    def __init__(self, deps: Deps, item: Item, queue: str) -> None:
        self._deps, self._item, self._queue = deps, item, queue
        self._spent = Spent()

    def do(self) -> ItemResult | _Again:
        reply = call_model(self._deps, _request(self._deps, self._item, self._queue))
        for call in reply.calls:
            metrics.count_call(call, work="batch")
        self._spent = _spent(reply)
        return _Again(self._deps.settings.ask_again_s) if reply.outcome == "unavailable" else _result(reply, self._spent)

    def store(self, result: ItemResult | _Again) -> str:
        deps, item = self._deps, self._item
        if isinstance(result, ItemResult):
            return result.state if batch_items.finish(deps.worker, item, result) else "fenced"
        if result.reason is None:
            batch_items.hold(deps.crossing, item, hold_s=result.after_s, spent=self._spent)
            return "held"
        batch_items.retry_later(deps.crossing, item, after_s=result.after_s, reason=result.reason, spent=self._spent)
        return "retry"

    def failed(self, error: Exception) -> ItemResult | _Again:
        name, item = type(error).__name__, self._item
        # Without a traceback, which would show the text.
        log.error("batch_item_broke", batch=str(item.batch), n=item.n, error=name)
        retry_s, reason = leased_work.retry_s(self._deps, item.tries), f"error:{name}"
        if retry_s is None:
            return ItemResult(state="failed", reason=reason, **msgspec.structs.asdict(self._spent))
        return _Again(retry_s, reason)

    def ended(self, state: str, *, took_s: float) -> None:
        metrics.BATCH_ITEMS.labels(state).inc()
        log.info("batch_item_finished", batch=str(self._item.batch), n=self._item.n, state=state, took_ms=round(took_s * 1000))


def _request(deps: Deps, item: Item, queue: str) -> ModelRequest:
    wanted, usual = item.request, deps.model_settings
    return ModelRequest(
        profile=profile_key(item.tenant, profile_of(queue)),
        messages=_messages(item),
        may_leave=item.may_leave,
        hints=deps.routes.hints(item.tenant, priority=BATCH),
        # Items of a batch share their beginning at most: any replica will do.
        affinity=None,
        max_tokens=wanted.max_tokens or deps.settings.answer_tokens,
        temperature=usual.temperature if wanted.temperature is None else wanted.temperature,
        top_p=usual.top_p if wanted.top_p is None else wanted.top_p,
        within_s=min(deps.settings.batch_lease_s, deps.settings.task_deadline_s) * _OF_LEASE,
    )


def _spent(reply: ModelReply) -> Spent:
    # Garbage is paid for, too. An item has one row: what several endpoints took is booked on the last one that took anything.
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


def _result(reply: ModelReply, spent: Spent) -> ItemResult:
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
