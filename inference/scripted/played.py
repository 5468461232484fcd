"""Which server and model the scripted one plays: its addresses, what its template accepts, and what it can do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from inference.scripted.asked import PromptMessage

Flavour = Literal["llamacpp", "vllm", "hosted"]
Template = Literal["plain", "deaf", "chatml", "llama4", "deepseek", "gemma", "mistral"]
Tokens = Literal["words", "pieces"]
Schemas = Literal["follows", "ignores", "refuses"]
Reasoning = Literal["none", "tags", "field"]
Policy = Literal["fcfs", "priority"]
OnOff = Literal["on", "off"]

#: Tokens of a picture: one tile of Llama 4.
IMAGE_TOKENS = 144

#: The template tokens that each family reads anywhere in a text.
_SPECIAL = {
    "plain": "",
    "deaf": "",
    "chatml": r"<\|im_(?:start|end)\|>|<\|endoftext\|>",
    "llama4": r"<\|(?:header_start|header_end|eot|image|begin_of_text)\|>",
    "deepseek": "<\uff5c(?:begin\u2581of\u2581sentence|end\u2581of\u2581sentence|User|Assistant)\uff5c>",
    "gemma": r"<(?:start|end)_of_turn>",
    "mistral": r"\[/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|SYSTEM_PROMPT)\]",
}
_PIECES = r"[^\W_]{1,4}|\S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The server and the model; each field is an option of the command."""

    model: Annotated[str, "the model's name"] = "scripted"
    flavour: Annotated[Flavour, "the server whose addresses and errors are imitated"] = "llamacpp"
    context: Annotated[int, "longest prompt in tokens; 0: any"] = 0
    template: Annotated[Template, "deaf drops system messages; gemma has no system role; gemma's and mistral's roles alternate"] = "plain"
    tokens: Annotated[
        Tokens, "words, or pieces of up to four letters and single signs; only with pieces are template tokens read as such"
    ] = "words"
    vision: Annotated[bool, "accepts pictures"] = False
    json_schema: Annotated[Schemas, "what it does with response_format"] = "follows"
    reasoning: Annotated[Reasoning, "writes thoughts before the answer: in tags within the text, or in a separate field"] = "none"
    key: Annotated[str, "the API key that it requires; empty: none"] = ""
    refuses: Annotated[str, "fields of a request that it refuses, with commas between them; empty: none"] = ""
    ranks: Annotated[int, "data-parallel ranks, each with its own slots and prefix cache"] = 1
    slots: Annotated[int, "requests that run at once on a rank while the others wait; 0: any number"] = 0
    admit: Annotated[int, "requests that may run or wait in total before more get 503; 0: any number"] = 0
    policy: Annotated[Policy, "the order of waiting requests: by arrival, or by their priority first"] = "fcfs"
    prefix_cache: Annotated[OnOff, "whether earlier prompts are cached"] = "on"
    cache_blocks: Annotated[int, "blocks of 16 tokens in a rank's prefix cache; 0: whole messages, without a limit"] = 0
    dimensions: Annotated[int, "length of the vectors of /v1/embeddings"] = 384

    @property
    def refused(self) -> set[str]:
        """The fields that it refuses."""
        return set(self.refuses.split(",")) - {""}

    def complaint(self, messages: Sequence[PromptMessage]) -> str | None:
        """Say what the template or the model does not accept in a prompt, or None."""
        if not self.vision and any(message.pictures for message in messages):
            return f"image input is not supported: {self.model} is not a multimodal model"
        if self.template not in {"gemma", "mistral"}:
            return None
        roles = [message.role for message in messages]
        if self.template == "gemma" and "system" in roles:
            return "System role not supported"
        turns = roles[1:] if roles[:1] == ["system"] else roles
        if any(role != ("assistant" if n % 2 else "user") for n, role in enumerate(turns)):
            return "Conversation roles must alternate user/assistant/user/assistant/..."
        return None

    def heard(self, messages: list[PromptMessage]) -> list[PromptMessage]:
        """Return the messages that the template renders."""
        return [message for message in messages if message.role != "system"] if self.template == "deaf" else messages

    def split(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        if self.tokens == "words":
            return text.split()
        special = _SPECIAL[self.template]
        return re.findall(f"{special}|{_PIECES}" if special else _PIECES, text)

    def split_prompt(self, messages: Sequence[PromptMessage]) -> tuple[list[str], list[int]]:
        """Return the tokens of a prompt, and how many there are up to the end of each message: role, pictures, text."""
        tokens: list[str] = []
        ends: list[int] = []
        for message in messages:
            tokens.append(message.role)
            for picture in message.pictures:
                tokens += [picture] * IMAGE_TOKENS
            tokens += self.split(message.text)
            ends.append(len(tokens))
        return tokens, ends
