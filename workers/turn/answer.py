"""Decides what a turn answers: commands, messages of other kinds than text, and the model with its fallback text."""

from __future__ import annotations

import time

import structlog

from bots.extract import texts as fixed
from bots.extract.commands import content_text
from bots.storage import turns
from bots.storage.claims import ClaimedMessage
from bots.storage.database import unit
from bots.storage.turns import TurnResult
from workers import budget, metrics
from workers.model_call import ModelReply, ModelRequest, call_model
from workers.model_routes import PEOPLE
from workers.sentences import whole_part
from workers.turn import pictures, voice, wishes
from workers.turn.claimed import ClaimedTurn
from workers.turn.layout import Layout
from workers.turn.partials import Partials
from workers.turn.wording import is_unopened

log = structlog.get_logger()

#: The model server refuses our key or request: an operator must fix it, so it is asked less often.
_REFUSED_RETRY_S = 30.0
#: The share that pictures and the model may take of the time after which the watchdog ends a process: storing and sending follow.
OF_DEADLINE = 0.7


def decide(turn: ClaimedTurn) -> TurnResult:
    """Return what a turn answers. Errors of our own code are raised; a model that fails is a result."""
    heard = voice.hear(turn)
    if heard.waits_for is not None:
        return turn.wait(turn.deps.settings.ask_again_s, reason=heard.waits_for)
    texts, others = wishes.obey(turn)
    if min(message.age_s for message in turn.claim.messages) > turn.deps.settings.answer_if_younger_s:
        # A late /stop still counts; an answer after so long would only confuse.
        turn.parts.clear()
        return turn.result("skipped", reason="too_old")
    unheard = [heard.problems[message.id] for message in others if message.id in heard.problems]
    others = [message for message in others if message.id not in heard.problems]
    if unheard:
        turn.say(fixed.text(unheard[-1], turn.language))
    if others and not _told_before(turn):
        turn.say(content_text("unsupported", others[-1].content_type, turn.language))
        turn.reason = "unsupported"
    if texts:
        unopened = [] if others else [message.content_type for message in texts if is_unopened(message)]
        return _answer(turn, texts, before=content_text("unopened", unopened[-1], turn.language) + "\n\n" if unopened else "")
    if not turn.parts:
        return TurnResult(state="skipped", reason="stopped" if turn.stopped else "told_before" if others else "nothing_to_answer")
    return turn.result("answered", in_history=False)


def _told_before(turn: ClaimedTurn) -> bool:
    """Whether the person was told in the last hour that messages of some kinds cannot be read. Raises StorageUnavailable."""
    with unit(turn.deps.worker, contact=turn.claim.contact) as connection:
        return turns.told_unsupported(connection, conversation=turn.claim.conversation, before=turn.claim.turn)


def _answer(turn: ClaimedTurn, texts: list[ClaimedMessage], *, before: str) -> TurnResult:
    """Ask the model. before: what the service itself says in the same breath."""
    refusal = _budget_refusal(turn)
    if refusal is not None:
        turn.say(refusal)
        return turn.result("answered", reason="budget", in_history=False, goes_on=True)
    settings, began = turn.deps.settings, time.monotonic()
    shown = pictures.load(turn, texts)
    if shown.waits_for is not None:
        return turn.wait(settings.ask_again_s, reason="picture_unavailable")
    if shown.are_lost(texts):
        turn.say(fixed.text("picture_lost", turn.language))
        return turn.result("answered", reason="picture_lost", in_history=False, goes_on=True)
    layout = Layout(turn, texts=[shown.words(message) for message in texts], pictures=shown)
    reply = _call(turn, layout, until=began + settings.task_deadline_s * OF_DEADLINE)
    turn.calls.extend(reply.calls)
    turn.told, turn.recalled = layout.told(reply.apart), layout.recalled(reply.apart)
    return _result(turn, layout, reply, before=before)


def _result(turn: ClaimedTurn, layout: Layout, reply: ModelReply, *, before: str) -> TurnResult:
    """Return what follows from the model's reply."""
    settings = turn.deps.settings
    if reply.outcome == "unavailable":
        return turn.wait(settings.wait_s(reply.retry_s))
    if reply.outcome == "refused":
        return turn.wait(_REFUSED_RETRY_S)
    if reply.outcome == "filtered":
        # Neither the words nor facts in them may come back in later prompts, which would be refused too.
        turn.told = turn.recalled = ()
        turn.tell(before + fixed.text("filtered", turn.language))
        return turn.result("answered", reason="filtered", in_history=False, remembers=False, goes_on=True)
    if reply.text is None:
        text, reason = turn.account.bot.fallback_text, "fallback"
        turn.tell(before + text)
    else:
        text, reason = (whole_part(reply.text), "cut") if reply.is_cut else (reply.text, None)
        turn.say(text, before=before)
    return turn.result(
        "answered",
        reason=reason,
        asked=reply.messages[-1].content if reply.messages else layout.prompt.asked,
        answer=text,
        goes_on=True,
        history_from=layout.prompt.history_from,
        summarise_to=layout.prompt.summarise_to,
        anew=reply.was_filtered and layout.is_past_refused(reply.apart),
    )


def _call(turn: ClaimedTurn, layout: Layout, *, until: float) -> ModelReply:
    """Call the model, and meanwhile show that an answer is being written."""
    deps, claim, account = turn.deps, turn.claim, turn.account
    partials = Partials(deps.worker, claim, per_s=deps.settings.partial_per_s)
    partials.typing()
    affinity = deps.routes.affinity(claim.conversation)
    request = ModelRequest(
        tenant=claim.tenant,
        profile=turn.profile,
        messages=layout.prompt.messages,
        may_leave=account.bot.data_may_leave,
        hints=deps.routes.hints(claim.tenant, priority=PEOPLE, affinity=affinity),
        affinity=affinity,
        max_tokens=deps.settings.answer_tokens,
        temperature=deps.model_settings.temperature,
        top_p=deps.model_settings.top_p,
        within_s=until - time.monotonic(),
    )
    with deps.typing.shown(turn.typing_indicator(), lasts_s=account.channel.typing_s):
        on_text = partials.show if claim.watched else None
        return call_model(deps, request, on_text=on_text, shorter=layout.shorter(), apart=layout.apart())


def _budget_refusal(turn: ClaimedTurn) -> str | None:
    """Return what to say instead of an answer when a budget is used up, in the contact's language. Raises StorageUnavailable."""
    bot = turn.account.bot
    which = budget.used_up(turn.deps, bot, contact=turn.claim.contact)
    if which is None:
        return None
    metrics.BUDGET_REFUSED.labels(which).inc()
    log.info("budget_used_up", turn=str(turn.claim.turn), bot=str(bot.id), budget=which)
    return fixed.text("budget_month" if which == "month" else "budget_day", turn.language)
