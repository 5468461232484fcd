"""Makes words of unknown origin fit to be shown and kept: one short line, printable, with nothing of the prompt and no key in it. Pure.

Servers repeat prompts in their errors, whole or in part. So where four words or more in a row stand in the prompt as well, or a whole message or a quoted piece
of two words or more, an ellipsis stands instead. In scripts without spaces a word is a character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_LONGEST = 300
#: How much of a text is looked at.
_MOST_CHARS = 4000
#: This many words in a row that stand in the prompt are the prompt's.
_RUN = 4
_TOKEN = re.compile(r"[^\W_]+(?:_[^\W_]+)*|_")
#: Scripts that are written without spaces: Thai to Khmer, kana, Chinese.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[nrtbf])")
_KEYS = re.compile(r"\b(?:sk|pk|rk|gsk|xai|key|hf|nvapi|AIza|ya29|eyJ)[-_.]?[\w*.-]{12,}|(?i:\bbearer\s+)\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was sent to the server, which its words must not show."""

    texts: Sequence[str] = field(default=(), repr=False)
    key: str = field(default="", repr=False)


def shown(text: str, asked: Asked, longest: int = _LONGEST) -> str:
    """Return a server's words without what it was sent."""
    text = _KEYS.sub("…", _without_key(text[:_MOST_CHARS], asked.key))
    return on_one_line(without_prompt(text, asked.texts, strictly=True), longest)


def on_one_line(text: str, longest: int) -> str:
    """Return a text on one line, safe for a terminal."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text[:_MOST_CHARS]).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _without_key(text: str, key: str) -> str:
    """Replace the key and every word that holds eight characters of it in a row."""
    if len(key) < 8:
        return text.replace(key, "…") if key else text
    parts = {key[start : start + 8] for start in range(len(key) - 7)}
    return re.sub(r"\S+", lambda found: "…" if any(part in found[0] for part in parts) else found[0], text)


def without_prompt(text: str, texts: Sequence[str], *, strictly: bool = False) -> str:
    """Replace what also stands in the texts by an ellipsis: long runs of words and, strictly, short messages and quoted pieces."""
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text)
    places = list(_tokens(text))
    said = [word for _, _, word in places]
    hidden = [False] * len(said)
    prompts = [[word for _, _, word in _tokens(one)] for one in texts]
    runs = {tuple(prompt[n : n + _RUN]) for prompt in prompts for n in range(len(prompt) - _RUN + 1)}
    short = {tuple(prompt) for prompt in prompts if 0 < len(prompt) < _RUN} if strictly else set[tuple[str, ...]]()
    for n in range(len(said)):
        for length, known in ((_RUN, runs), (1, short), (2, short), (3, short)):
            if tuple(said[n : n + length]) in known:
                hidden[n : n + length] = [True] * len(said[n : n + length])
    if strictly:
        _hide_quoted(text, places, hidden, prompts)
    return _shown(text, places, hidden)


def _hide_quoted(text: str, places: Sequence[tuple[int, int, str]], hidden: list[bool], prompts: Sequence[Sequence[str]]) -> None:
    whole = [" " + " ".join(prompt) + " " for prompt in prompts]
    for quoted in re.finditer(r"""(["'`“‘«])(.{3,}?)["'`”’»]""", text):
        inside = [n for n, (start, end, _) in enumerate(places) if start >= quoted.start(2) and end <= quoted.end(2)]
        piece = " " + " ".join(places[n][2] for n in inside) + " "
        if len(inside) > 1 and any(piece in one for one in whole):
            for n in inside:
                hidden[n] = True


def _shown(text: str, places: Sequence[tuple[int, int, str]], hidden: Sequence[bool]) -> str:
    shown: list[str] = []
    at = 0
    for n, (start, end, _) in enumerate(places):
        if not hidden[n]:
            continue
        if n == 0 or not hidden[n - 1]:
            shown += [text[at:start], "…"]
        at = end
    return "".join((*shown, text[at:]))


def _tokens(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and small letters of each word."""
    for found in _TOKEN.finditer(text):
        word, start = found[0].lower(), found.start()
        if not _UNSPACED.search(word):
            yield start, found.end(), word
            continue
        for n, character in enumerate(found[0]):
            yield start + n, start + n + 1, character.lower()
