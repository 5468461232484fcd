"""A batch's answers as lines of JSON: in a short form of our own, or in that of OpenAI's batch output for lines that were OpenAI requests.

Guarantee: an answer that is not whole never says `stop`. OpenAI's form has one word for it, `length`; ours also says `cut`.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from bots.storage.batches import Row

#: An item's reason in words, for whoever reads the result.
_WORDS = {
    "garbage": "The model gave no usable answer twice.",
    "refused": "The model server refused the request.",
    "content_filter": "The model server does not answer these words: its content filter refused them.",
    "too_long": "The request is longer than the model's context.",
    "cancelled": "The batch was cancelled before this line was answered.",
    "error:lost": "Ten workers ended while they worked on this line.",
}


def reason_in_words(reason: str | None) -> str:
    """What a failed item's reason means."""
    return _WORDS.get(reason or "", f"An internal error ({reason}); the log has the details.")


def line(batch: UUID, row: Row) -> str:
    """One line of the result, with its line break."""
    failed = row.state != "done"
    code = ("cancelled" if row.state == "cancelled" else row.reason) if failed else None
    error = {"code": code, "message": reason_in_words(code)} if failed else None
    value = _as_openai(batch, row, error) if row.is_request else _plain(row, error)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _plain(row: Row, error: dict[str, Any] | None) -> dict[str, Any]:
    usage = None
    if row.tokens_in is not None:
        usage = {"tokens_in": row.tokens_in, "tokens_cached": row.tokens_cached, "tokens_out": row.tokens_out, "estimated": row.estimated}
    ended = {} if error or row.reason is None else {"finish_reason": row.reason}
    return {"custom_id": row.custom_id, "text": None if error else row.answer, **ended, "error": error, "usage": usage}


def _as_openai(batch: UUID, row: Row, error: dict[str, Any] | None) -> dict[str, Any]:
    number = f"{batch.hex}_{row.n}"
    response = None if error else {"status_code": 200, "request_id": f"req_{number}", "body": _completion(number, row)}
    return {"id": f"batch_req_{number}", "custom_id": row.custom_id, "response": response, "error": error}


def _completion(number: str, row: Row) -> dict[str, Any]:
    tokens_in, tokens_out = row.tokens_in or 0, row.tokens_out or 0
    message = {"role": "assistant", "content": row.answer}
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(row.finished_at.timestamp()) if row.finished_at else 0,
        "model": row.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "length" if row.reason else "stop"}],
        "usage": {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
            "prompt_tokens_details": {"cached_tokens": row.tokens_cached or 0},
            # Not OpenAI's: whether the tokens were counted or estimated here.
            "estimated": row.estimated,
        },
    }
