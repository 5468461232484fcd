"""What it means that an answer ended: one table for the finish reasons of all servers, in any spelling. Pure."""

from __future__ import annotations

import re
from typing import Any, Literal

from inference.client.shapes import fields, is_empty, is_object, items

#: stop: whole. length: at a token limit. filter: because of its content. failed: the server gave up. cut: not known to mean a whole answer.
End = Literal["stop", "length", "filter", "failed", "cut"]

_KNOWN: dict[End, str] = {
    "stop": """stop stopped eos eos_token end ended end_turn end_of_turn end_of_text end_of_sequence eot eom turn_end stop_sequence stop_sequences
        stop_token stop_str stop_string stop_word stop_words complete completed finish finished done success tool_calls tool_call tool_use tools
        function_call function_calls functioncall""",
    "length": """length max_length max_tokens max_token maxtokens max_output_tokens max_new_tokens max_completion_tokens max_tokens_reached
        token_limit token_limit_reached output_token_limit limit truncated model_length model_context_length context_length
        context_length_exceeded context_window context_window_exceeded model_context_window_exceeded max_context_length context_limit
        error_limit num_predict length_capped length_limit""",
    "filter": """content_filter content_filtered contentfilter safety recitation sensitive refusal refused blocklist prohibited_content spii
        image_safety moderation guardrail guardrails guardrail_intervened policy_violation content_policy content_policy_violation censored
        blocked toxic error_toxic risk data_inspection_failed model_armor language""",
    "failed": """abort aborted error cancel cancelled canceled user_cancel insufficient_system_resource network_error timeout timed_out failed
        failure disconnect disconnected interrupted malformed_function_call malformed_response eviction evicted preempted preemption load
        unload shutdown""",
}
_ENDS: dict[str, End] = {word: end for end, words in _KNOWN.items() for word in words.split()}
#: Parts of words that tell the kind of a reason that is not in the table.
_PARTS: tuple[tuple[tuple[str, ...], End], ...] = (
    (("filter", "safety", "sensitive", "moderat", "guardrail", "prohibit", "policy", "refus", "toxic", "blocked", "blocklist"), "filter"),
    (("max_", "length", "token_limit", "context_window"), "length"),
    (
        ("error", "abort", "cancel", "fail", "timeout", "disconnect", "interrupt", "insufficient", "unavailable", "overload", "shutdown"),
        "failed",
    ),
    # The model's own mark at the end of what it says.
    (("eos", "eot", "im_end", "endoftext", "end_of_t"), "stop"),
)
_PREFIXES = ("finish_reason_", "finishreason_", "stop_reason_", "reason_")
_HUMP = re.compile("(?<=[a-z])(?=[A-Z])")
_NOTHING = frozenset({"", "null", "none", "nil", "undefined", "not_finished", "unspecified", "incomplete_stream"})


def end_of(reason: str) -> End:
    """Return what a finish reason means."""
    word = _word(reason)
    known = _ENDS.get(word)
    if known is not None:
        return known
    found: list[End] = [end for parts, end in _PARTS if any(part in word for part in parts)]
    return found[0] if found else "cut"


def reason_in(holder: dict[str, Any]) -> str:
    """Return the finish reason in a choice (or in what stands for one); empty while there is none.

    `stop_reason` counts where there is no `finish_reason`: vLLM puts the matched stop string there. What the gateway's own provider said counts
    where the gateway says "stop" to something else.
    """
    reason = _first(holder, ("finish_reason", "finishReason", "stop_reason", "done_reason"))
    if not reason:
        return _first(holder, ("finish_details", "native_finish_reason"))
    native = holder.get("native_finish_reason")
    if native is not None and end_of(reason) == "stop" and end_of(_text(native)) not in ("stop", "cut"):
        return _text(native)
    return reason


def _first(holder: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = holder.get(name)
        if value is not None and (text := _text(value)):
            return text
    return ""


def _text(value: object) -> str:
    value = items(value)[0] if items(value) else None
    if is_object(value):
        value = next((one for name in ("type", "reason", "finish_reason") if isinstance(one := fields(value).get(name), str)), "")
    if isinstance(value, bool) or is_empty(value):
        return ""
    text = str(value)
    return "" if _word(text) in _NOTHING else text


def _word(reason: str) -> str:
    """The reason as the table has it: of "FinishReason.MAX_TOKENS" the last part, in small letters, and "endTurn" in two words."""
    word = _HUMP.sub("_", reason.strip().rsplit(".", 1)[-1]).lower().replace("-", "_").replace(" ", "_")
    for prefix in _PREFIXES:
        word = word.removeprefix(prefix)
    return word
