"""The parts of a request that the scripted model reads; the log has the whole body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class PictureUrl(msgspec.Struct):
    """Where a picture is: a data URI."""

    url: str


class Part(msgspec.Struct):
    """A part of a message: text, or a picture."""

    type: str
    text: str = ""
    image_url: PictureUrl | None = None


class PromptMessage(msgspec.Struct):
    """One message of a request."""

    role: str
    content: str | list[Part]

    @property
    def text(self) -> str:
        """All of its text."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if part.type == "text")

    @property
    def pictures(self) -> list[str]:
        """The addresses of its pictures."""
        if isinstance(self.content, str):
            return []
        return [part.image_url.url for part in self.content if part.image_url is not None]


class ChatRequest(msgspec.Struct):
    """A chat completion."""

    messages: list[PromptMessage]
    model: str = ""
    stream: bool = False
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream_options: dict[str, bool] | None = None
    response_format: dict[str, Any] | None = None
    #: vLLM's own fields; of any type, since only vLLM reads them.
    priority: Any = 0
    cache_salt: Any = None
    stream_interval: Any = None


class EmbedRequest(msgspec.Struct):
    """A request for vectors."""

    input: str | list[str]
    model: str = ""
    input_type: str = ""


def last_user(messages: Sequence[PromptMessage]) -> str:
    """Return the last message of the user, or an empty text."""
    return next((m.text for m in reversed(messages) if m.role == "user"), "")
