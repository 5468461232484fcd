"""Adapts prompts to a model's chat template, and keeps template tokens in people's text from being read as such.

Servers parse template tokens anywhere in a message's content, so every text of a contact and every memory goes through `neutralise`.
A prompt goes through `for_endpoint` last, once for each endpoint that is tried: the client itself drops nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from inference.types import Message, Role, Traits

#: Replaces a picture for a model that reads none, so that it can say so and does not guess.
UNSEEN_PICTURE = "(a picture that you cannot see)"
#: A first message of the user, for templates that require one.
_OPENING = "(the talk begins)"

#: ChatML, Llama 3 and 4, Phi, Command R, Granite, gpt-oss: <|name|>. DeepSeek: the same with full-width bars. Gemma 4: <|turn>.
#: Changing the first two characters breaks all of them, whatever the name, and those of new families too.
_BARRED = re.compile("[<\uff1c](?=[|\uff5c])")

#: Tokens in angle brackets without bars: Llama 2, Gemma, Qwen's tools, reasoning models, file tokens of StarCoder and SmolLM.
_ANGLED = re.compile(
    r"""<(
        /?s | /?bos | /?eos | /?pad | /?unk | /?mask | /?sep | /?cls
      | <\s{0,2}/?\s{0,2}SYS\s{0,2}> | BOS_TOKEN | EOS_TOKEN | EOT | SEP | MASK | CLS | UNK | PAD
      | start_of_turn | end_of_turn | start_of_image | end_of_image | image_soft_token | start_of_audio | end_of_audio
      | unused\d{1,4} | extra_id_\d{1,4} | reserved_\d{1,4} | SPECIAL_\d{1,4}
      | /?tool_call | /?tool_response | /?tools | /?think | /?seed:\w{1,16}
      | /?image | /?video | /?audio | /?img | end_of_text | endoftext
      | fim_\w{1,12} | repo_name | reponame | file_sep | filename | gh_stars | empty_output
      | issue_(?:start|comment|closed) | jupyter_\w{1,16} | commit_(?:before|msg|after)
    )>""",
    re.VERBOSE,
)

#: Mistral's tokens, in square brackets and capitals.
_BRACKETED = re.compile(
    r"\[(/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CONTENT|TOOL_CALLS|MODEL_SETTINGS|THINK|ARGS|CALL_ID"
    r"|IMG|IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO|PREFIX|MIDDLE|SUFFIX|CONTROL_\d{1,4}))\]"
)

#: NUL ends a C string, and the other control characters do not belong in a message; line breaks and tabs do.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: Lone surrogates, which no encoder accepts.
_SURROGATES = re.compile("[\ud800-\udfff]")


def neutralise(text: str) -> str:
    """Return the text with every template token turned into plain text that still reads the same. Applying it twice changes nothing more."""
    if not text.isprintable():
        # This comes first, since a removed character may be inside a token.
        text = _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))
    if "<" in text or "\uff1c" in text:
        text = _ANGLED.sub(_in_quotes, _BARRED.sub("\u2039", text))
    if "[" in text:
        text = _BRACKETED.sub(r"(\1)", text)
    return text


def _in_quotes(found: re.Match[str]) -> str:
    return "\u2039" + found[1].replace("<", "\u2039").replace(">", "\u203a") + "\u203a"


def for_endpoint(messages: Sequence[Message], traits: Traits) -> Sequence[Message]:
    """Return the prompt in a form that this endpoint's template accepts; a prompt that already is comes back unchanged.

    Every text stays, in its order. Only user messages carry pictures.
    """
    if any(m.images and not (traits.vision and m.role == "user") for m in messages):
        messages = tuple(_without_images(m, vision=traits.vision) for m in messages)
    # Where roles must alternate, templates accept a system message only at the start.
    in_front = traits.system_role and traits.roles_alternate
    if any(m.role == "system" and not (traits.system_role and (n == 0 or not in_front)) for n, m in enumerate(messages)):
        messages = _without_system(messages, keep_front=in_front)
    if traits.roles_alternate and not _alternates(messages):
        messages = _alternating(messages)
    return messages


def _without_images(message: Message, *, vision: bool) -> Message:
    if not message.images or (vision and message.role == "user"):
        return message
    placeholders = [UNSEEN_PICTURE] * len(message.images)
    return Message(role=message.role, content="\n".join([*placeholders, message.content] if message.content else placeholders))


def _without_system(messages: Sequence[Message], *, keep_front: bool) -> tuple[Message, ...]:
    """Merge each system message into the next user message, and those at the start into one where the template accepts that."""
    start = next((n for n, m in enumerate(messages) if m.role != "system"), len(messages)) if keep_front else 0
    done = [_merged("system", messages[:start])] if start else []
    waiting: list[Message] = []
    for message in messages[start:]:
        if message.role == "system":
            waiting += [message] if message.content else []
        elif message.role == "user":
            done.append(_merged("user", [*waiting, message]) if waiting else message)
            waiting = []
        else:
            # A waiting system message comes before the answer, not after it.
            done += [_merged("user", waiting), message] if waiting else [message]
            waiting = []
    return tuple([*done, _merged("user", waiting)] if waiting else done)


def _alternates(messages: Sequence[Message]) -> bool:
    turns = messages[1:] if messages and messages[0].role == "system" else messages
    return all(m.role == ("assistant" if n % 2 else "user") for n, m in enumerate(turns))


def _alternating(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Merge adjacent messages of one role, and begin with the user."""
    done: list[Message] = []
    for message in messages:
        if message.role == "assistant" and (not done or done[-1].role == "system"):
            done.append(Message(role="user", content=_OPENING))
        if done and done[-1].role == message.role:
            done[-1] = _merged(message.role, [done[-1], message])
        else:
            done.append(message)
    return tuple(done)


def _merged(role: Role, messages: Sequence[Message]) -> Message:
    text = "\n\n".join(message.content for message in messages if message.content)
    return Message(role=role, content=text, images=tuple(image for message in messages for image in message.images))
