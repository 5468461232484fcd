"""One item of a batch from claim to end: the model is called as for a turn, without memory or history. People go first: see workers.tasks."""

from __future__ import annotations

from typing import cast

import msgspec
import structlog

from bots.storage import batch_items
from bots.storage.batch_items import Item, ItemResult, Spent
from inference.prompt_style import neutralise
from inference.types import Message, Role
from workers import leased_work, metrics
from workers.deps import Deps
from workers.leased_work import LeasedWork
from workers.model_call import ModelReply, ModelRequest, background_request, call_model

log = structlog.get_logger()

#: What a failed item says where that is not the outcome's own name.
_REASONS = {"cut": "garbage", "filtered": "content_filter"}


def batch_one(deps: Deps, queue: str) -> bool:
    """Work one due item of a batch queue to its end; False when none was due."""
    item = batch_items.claim(deps.crossing, queue, boot=deps.boot, lease_s=deps.settings.batch_lease_s)
    return item is not None and leased_work.run(deps.in_flight, _ItemWork(deps, item, queue))


class _ItemWork(LeasedWork):
    """A claimed item of a batch."""

    def __init__(self, deps: Deps, item: Item, queue: str) -> None:
        self._deps, self._item, self._queue = deps, item, queue
        self._spent = Spent()

    def do(self) -> str:
        deps, item = self._deps, self._item
        reply = call_model(deps, self._request())
        for call in reply.calls:
            metrics.count_call(call, work="batch")
        self._spent = _spent(reply)
        if reply.outcome == "unavailable":
            batch_items.hold(deps.crossing, item, hold_s=deps.settings.wait_s(reply.retry_s), spent=self._spent)
            return "held"
        result = _result(reply, self._spent)
        return result.state if batch_items.finish(deps.worker, item, result) else "fenced"

    def failed(self, error: Exception) -> str:
        deps, item, name = self._deps, self._item, type(error).__name__
        # Without a traceback, which would show the text.
        log.error("batch_item_broke", batch=str(item.batch), n=item.n, error=name)
        retry_s, reason = leased_work.retry_s(deps.settings, item.tries), f"error:{name}"
        if retry_s is None:
            batch_items.finish(deps.worker, item, ItemResult(state="failed", reason=reason, **msgspec.structs.asdict(self._spent)))
            return "failed"
        batch_items.retry_later(deps.crossing, item, after_s=retry_s, reason=reason, spent=self._spent)
        return "retry"

    def ended(self, state: str, *, took_s: float) -> None:
        metrics.BATCH_ITEMS.labels(state).inc()
        log.info("batch_item_finished", batch=str(self._item.batch), n=self._item.n, state=state, took_ms=round(took_s * 1000))

    def _request(self) -> ModelRequest:
        deps, item, wanted = self._deps, self._item, self._item.request
        return background_request(
            deps,
            item.tenant,
            self._queue,
            messages=_messages(item),
            may_leave=item.may_leave,
            max_tokens=wanted.max_tokens or deps.settings.answer_tokens,
            temperature=deps.model_settings.temperature if wanted.temperature is None else wanted.temperature,
            top_p=wanted.top_p,
        )


def _spent(reply: ModelReply) -> Spent:
    # Garbage is paid for, too. An item has one row: the tokens and cost of several endpoints are stored under the last one that had any.
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
        estimated=any(call.estimated for call in paid),
    )


def _result(reply: ModelReply, spent: Spent) -> ItemResult:
    took = msgspec.structs.asdict(spent)
    if reply.text is None:
        return ItemResult(state="failed", reason=_REASONS.get(reply.outcome, reply.outcome), **took)
    return ItemResult(state="done", answer=reply.text, reason=reply.limit, **took)


def _messages(item: Item) -> list[Message]:
    request = item.request
    if request.text is None:
        return [Message(role=cast("Role", message.role), content=neutralise(message.content)) for message in request.messages]
    persona = (item.persona or "").strip()
    system = [Message(role="system", content=persona)] if persona else []
    return [*system, Message(role="user", content=neutralise(request.text) or "...")]
