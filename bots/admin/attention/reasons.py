"""The reasons stored in the database in plain English, each with how to fix it and which button helps. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bots.channels import account_notices, graph_codes
from bots.channels.graph_code import GraphCode, find
from bots.domain import ChannelKind

_CODE = re.compile(r"(?:code|platform):(\d+)(?:/(\d+))?")
_HTTP = re.compile(r"http:(\d+)")
#: What to do about a model server that refuses, by its status.
_FIX_MODEL = {
    401: "Enter a valid key on the endpoint's page (for the worker's own model: CHINWAG_MODEL_KEY_FILE).",
    403: "Check what the key may use at the provider, and whether a proxy stands before the server.",
    404: "Check the endpoint's address and the name of its model: the server does not know them.",
    405: "Check the endpoint's address: it is not one of a model server, and must end in /v1.",
}
_NEVER_THE_WORDS = frozenset({401, 402, 404, 405, 407})
_ONE_MESSAGE = "If it refuses the words of one message only, the person gets one polite sentence instead of an answer."
#: Before a reason: three refusals alike, in a row, parked the account.
_ALIKE = "alike:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A reason as people read it."""

    message: str
    fix: str
    #: The button that helps: replay, resend, settle, dismiss, resume, same_person or two_people.
    fits: str


#: Whole reasons, by kind of trouble.
_REASONS: dict[tuple[str, str], Reason] = {
    ("send", "unknown"): Reason(
        message="The platform never said whether it accepted the message, and one more try did not show it either.",
        fix="If the person seems to have it, leave it as sent. Otherwise send it again; they may then get it twice.",
        fits="settle",
    ),
    ("send", ""): Reason(
        message="The platform has not said yet whether it accepted the message.",
        fix="Wait: a status, or one more automatic try, will show it. Leave it as sent if you know that it arrived.",
        fits="settle",
    ),
    ("send", "not_sent"): Reason(
        message="The platform could not be reached.", fix="When it is reachable again, send it again.", fits="resend"
    ),
    ("send", "too_old"): Reason(
        message="It could not be sent in time: the platform did not accept messages, or the account was parked or paused.",
        fix="If the answer is still of use, send it again. Otherwise dismiss it.",
        fits="resend",
    ),
    ("send", "not_stored"): Reason(
        message="The message was sent, but what the platform answered could not be stored. It is not sent again by itself.",
        fix="If the person seems to have it, leave it as sent. Otherwise send it again; they may then get it twice.",
        fits="settle",
    ),
    ("send", "part_refused"): Reason(
        message="An earlier part of the same answer was not sent.",
        fix="Send the earlier part again: this one follows.",
        fits="dismiss",
    ),
    ("send", "part_unknown"): Reason(
        message="It is not known whether an earlier part of the same answer was sent.",
        fix="Send the earlier part again, or leave it as sent: this one follows.",
        fits="dismiss",
    ),
    ("send", "rejected"): Reason(
        message="The platform refused the message without saying why.", fix="Check the message, then send it again.", fits="resend"
    ),
    ("send", "taken_over"): Reason(
        message="A person took the conversation over before this message was sent.", fix="You need not do anything.", fits="dismiss"
    ),
    ("send", "handle_moved"): Reason(
        message="The number that this answer was for belongs to another contact now, and this contact cannot be reached in another way.",
        fix="If both are the same person, say so under Who is who. Then send it again.",
        fits="dismiss",
    ),
    ("send", "unsent"): Reason(
        message="The contact took back what this answers before it was sent.", fix="You need not do anything.", fits="dismiss"
    ),
    ("account", "rejected"): Reason(
        message="The account has no access token that can be used.",
        fix="Enter the access token on the account's page, then resume.",
        fits="resume",
    ),
    ("account", "not_sent"): Reason(
        message="The account's secrets cannot be opened: the key that encrypted them is missing.",
        fix="Put the key back into the file of keys, or enter the secrets again on the account's page, then resume.",
        fits="resume",
    ),
    ("envelope", "not_storable"): Reason(
        message="The webhook was understood, but something in it cannot be stored.",
        fix="Replay it after an update of Chinwag. Everything else in it was stored.",
        fits="replay",
    ),
}


def explain(kind: str, reason: str | None, *, state: str = "", channel: ChannelKind | None = None) -> Reason:
    """Explain a reason of this kind of trouble (envelope, send, turn, account, budget, notice, identity or model)."""
    given = reason or ""
    if given.startswith(_ALIKE):
        return _alike(given.removeprefix(_ALIKE), channel)
    found = _REASONS.get((kind, given)) if (kind != "send" or state != "failed" or given) else None
    code, http, notice = _CODE.fullmatch(given), _HTTP.fullmatch(given), account_notices.explain(given)
    if found is not None:
        return found
    if code is not None:
        return _by_code(kind, int(code[1]), int(code[2] or 0), channel)
    if http is not None:
        return _by_http(kind, int(http[1]))
    if notice is not None:
        return Reason(message=notice[0], fix=notice[1], fits="resume" if kind == "account" else "dismiss")
    by_state = {"identity": _by_case, "model": _by_model}.get(kind)
    return _by_kind(kind, given) if by_state is None else by_state(given, state)


def _known(code: int, subcode: int, channel: ChannelKind | None) -> GraphCode | None:
    tables = graph_codes.TABLES.values() if channel is None else (graph_codes.TABLES[channel],)
    return next((found for table in tables if (found := find(table, code, subcode)) is not None), None)


def _by_code(kind: str, code: int, subcode: int, channel: ChannelKind | None) -> Reason:
    known = _known(code, subcode, channel)
    if known is None:
        message, fix, fits = "The platform refused this.", "Find the code in Meta's list of error codes.", "dismiss"
    else:
        message, fix, fits = known.message, known.fix, known.button
    if kind == "account":
        fits = "resume"
    elif fits == "resume":
        # The account itself is listed with that button; the message waits for one more try.
        fits = "resend"
    return Reason(message=f"{message} (code {code}{f'/{subcode}' if subcode else ''})", fix=fix, fits=fits)


def _by_http(kind: str, status: int) -> Reason:
    return Reason(
        message=f"Something refused the request with HTTP {status}, without an error of the platform: a proxy on the way, or a wrong address.",
        fix="Check CHINWAG_GRAPH_URL, and what stands between this server and the platform.",
        fits="resume" if kind == "account" else "resend",
    )


def _alike(reason: str, channel: ChannelKind | None) -> Reason:
    """Explain why three refusals in a row parked an account."""
    last = explain("account", reason, channel=channel)
    if _HTTP.fullmatch(reason):
        return Reason(message=f"Three sends in a row failed. {last.message}", fix=last.fix, fits="resume")
    return Reason(
        message=f"The platform refused messages to three people in a row for the same reason, so the account may be the cause: {last.message}",
        fix="Check the token's permissions and the account at the platform, then resume. Messages that were refused are listed too.",
        fits="resume",
    )


def _by_kind(kind: str, reason: str) -> Reason:
    if kind == "envelope":
        if "account that is not here" in reason:
            return Reason(
                message=f"It contains {reason}.",
                fix="Connect that account with the same app, then replay. Dismiss it if the account is not yours.",
                fits="replay",
            )
        return Reason(
            message=f"The platform signed it, but it was not understood: {reason or 'no reason was stored'}.",
            fix="Replay it after an update of Chinwag, or dismiss it.",
            fits="replay",
        )
    if kind == "turn":
        name = reason.removeprefix("error:") or "unknown"
        return Reason(
            message=f"An error in Chinwag ended this turn five times in a row ({name}). The contact got no answer.",
            fix="Replay answers the messages in a new turn. The log has the details of the error.",
            fits="replay",
        )
    if kind == "budget":
        return _by_budget(reason)
    if kind == "account":
        return Reason(
            message=f"The account is parked: {reason or 'the platform refuses its token'}.",
            fix="Fix what the account's page shows, then resume.",
            fits="resume",
        )
    return Reason(
        message="The platform refused the message for good.",
        fix="Check the message. Send it again once the cause is fixed.",
        fits="resend",
    )


def _by_case(reason: str, state: str) -> Reason:
    if state == "same_person":
        return Reason(
            message="You said that these two contacts were the same person, and they were joined.",
            fix="If they are two people after all, each gets their own messages and memories back. What was said since stays with the one who has the number.",
            fits="two_people",
        )
    if state == "two_people":
        return Reason(
            message="You said that these two contacts are two people.",
            fix="If they are the same person after all, they become one contact.",
            fits="same_person",
        )
    told = {
        "message": "A message came with the number of one contact and the id of another. It went to the contact with the id, who has the number now.",
        "notice": "WhatsApp said that a person has a new number, which another contact had before. The number went to that person.",
        "spelling": "Two contacts have the same number, written in two ways. The one who wrote last has it now.",
    }
    return Reason(
        message=f"{told.get(reason, told['message'])} Neither sees anything of the other.",
        fix="Compare both conversations. If they are the same person, they become one contact with all messages and memories. You can change your answer later.",
        fits="two_people",
    )


def _by_model(reason: str, state: str) -> Reason:
    """Explain a model server's refusal, STATUS:WORDS."""
    status, _, said = reason.partition(":")
    code = int(status) if status.isdigit() else 0
    told = f"{f' (HTTP {code})' if code else ''}{f': {said}' if said else '.'}"
    ends = "" if told.endswith((".", "!", "?", "…")) else "."
    waits = "Other endpoints of the profile answer meanwhile; without one people wait for their answers, and"
    if state == "quota":
        return Reason(
            message=f"The account at this model server has no credit or quota left{told}{ends} {waits} batches are held.",
            fix="Add credit or raise the limit at the provider. The server is asked again within 15 minutes, or within an hour if it named a time itself."
            " This entry goes away with its first answer.",
            fits="dismiss",
        )
    return Reason(
        message=f"The model server refuses calls{told}{ends} {f'{waits} lines of batches fail.' if code in _NEVER_THE_WORDS else _ONE_MESSAGE}",
        fix=f"{_FIX_MODEL.get(code, 'Check the name of the model, the rights of the key, and what the bot sends.')} This entry goes away by itself once the endpoint answers again.",
        fits="dismiss",
    )


def _by_budget(reason: str) -> Reason:
    which, _, bot = reason.partition(":")
    if which == "month":
        return Reason(
            message=f"The bot {bot} has used up its budget for this month (UTC). It says so to everybody who writes, and the model is not called.",
            fix="Raise the budget on the bot's page, or wait for next month.",
            fits="dismiss",
        )
    return Reason(
        message=f"A contact has used up what the bot {bot} may spend on one contact in a day (UTC), and was asked to come back tomorrow.",
        fix="Raise the budget on the bot's page if it is too small. It starts again each day.",
        fits="dismiss",
    )
