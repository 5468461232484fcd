"""What a model family's template can bear: makes a stranger's text unable to speak as the template.

Servers parse template tokens anywhere in a message's content, so every text of a contact and every memory goes through `neutralise`.
"""

from __future__ import annotations

import re

#: ChatML, Llama 3 and 4, Phi, Command R, Granite, gpt-oss: <|name|>. DeepSeek: the same with full-width bars. Gemma 4: <|turn>.
#: Breaking the opening pair breaks each of them, whatever the name, also of families to come.
_BARRED = re.compile("[<\uff1c](?=[|\uff5c])")

#: The tokens in angle brackets without bars: Llama 2, Gemma, Qwen's tools, thinking models, StarCoder's and SmolLM's file tokens.
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

#: Mistral's, in square brackets and capitals.
_BRACKETED = re.compile(
    r"\[(/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CONTENT|TOOL_CALLS|MODEL_SETTINGS|THINK|ARGS|CALL_ID"
    r"|IMG|IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO|PREFIX|MIDDLE|SUFFIX|CONTROL_\d{1,4}))\]"
)

#: NUL ends a C string, the other control characters are no part of a message; line breaks and tabs are.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: Half a character: no encoder takes it.
_SURROGATES = re.compile("[\ud800-\udfff]")


def neutralise(text: str) -> str:
    """Return the text with every template token made plain text that still reads the same; twice is the same as once."""
    if not text.isprintable():
        # First: what is left out may stand inside a token.
        text = _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))
    if "<" in text or "\uff1c" in text:
        text = _ANGLED.sub(_in_quotes, _BARRED.sub("\u2039", text))
    if "[" in text:
        text = _BRACKETED.sub(r"(\1)", text)
    return text


def _in_quotes(found: re.Match[str]) -> str:
    return "\u2039" + found[1].replace("<", "\u2039").replace(">", "\u203a") + "\u203a"
