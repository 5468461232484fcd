"""What holds for any text: words without markup stay as they are, and nothing that a reference parser reads is lost or moved."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bots.channels import instagram, whatsapp
from bots.channels.markup import PLAIN, WHATSAPP, render, split, split_bytes, to_plain, to_whatsapp
from bots.channels.markup.wrapped import unwrapped

REFERENCE = MarkdownIt("commonmark", {"html": False, "maxNesting": 200}).enable(["table", "strikethrough"])
WORD = re.compile(r"[^\W_]+")

WORDS = ("ab", "c", "12", "3", "é", "北京", "👍", "@x.org", "https://x.org/_a_", "www.a.b/c*", "*100#", "C:\\_a\\", "[a]: u", "&amp;")
SPACES = (*[" "] * 5, "\n", "\n\n", "    ")
SIGNS = (
    "*",
    "**",
    "***",
    "_",
    "__",
    "~~",
    "~",
    "`",
    "```",
    "[",
    "](",
    "]",
    "(",
    ")",
    "!",
    "\\",
    "|",
    ":",
    ",",
    ".",
    "，",
    "：",
    *"'/=-$%{}\"",
)
LINES = ("# ", "> ", "- ", "+ ", "1. ", "2) ", "\n  - ", "\n   1. ", "|\n|---|---|\n|")
MARKDOWN = st.lists(st.sampled_from([*WORDS, *SPACES, *SIGNS, *LINES]), max_size=40).map("".join)

HOSTILE = (
    "*_",
    "*a_b`",
    "5*",
    "**a: **",
    "a@",
    "a.b/",
    "www.",
    "*1#",
    "<b>x</b>",
    "<b>",
    "<br>",
    "C:\\_",
    "~a ~~b~~ ",
    "\\*a\\* ",
    "北**",
    "`a` ",
)
HOSTILE_LINES = ("```md\n", "```\n", "[a]: x\n", "[a]: x\n[a] ", "_https://x/a_ ", "a\n- b\n  ", "1. a\n   ", "- a\n  - b\n", "=\n", "> - ")
#: What begins and ends a format until the text is in parts.
OPENINGS, CLOSINGS = "\ufdd8\ufdd9\ufdda\ufddb", "\ufddc\ufddd\ufdde\ufddf"

#: A line without any sign that Markdown knows.
LINE = st.text(alphabet=st.sampled_from([*"abc XY 123 .,:;!?()'\"%€/@$^{}", "é", "漢", "，", "👍", "-", "+", "="]), max_size=30).filter(
    lambda line: not re.match(r" {0,3}(?:[-+=]|\d+[.)](?: |$))| {4}", line) and not line.endswith("  ")
)
#: Words with signs that belong to them.
COPIED = st.one_of(
    st.from_regex(r"[1-9][0-9]?(\*[1-9][0-9]?){1,4}", fullmatch=True),
    st.from_regex(r"\*[0-9]{2,3}(\*[0-9]{1,9})?#", fullmatch=True),
    st.from_regex(r"[a-z]+(_[a-z0-9]+){1,3}", fullmatch=True),
    st.from_regex(r"https://[a-z]{1,9}\.example(/[_~*]?[a-z0-9]{1,5}[_~*]?[a-z0-9]){1,3}", fullmatch=True),
    st.from_regex(r"https://[a-z]{1,9}\.example/_[a-z]{1,9}_(\?[a-z]=_[a-z]_&[a-z]=1)?", fullmatch=True),
    st.from_regex(r"[a-z]{1,9}\.example/_[a-z]{1,9}_[a-z]", fullmatch=True),
    st.from_regex(r"[a-z]{1,9}(_[a-z]{1,5})?@[a-z]{1,9}\.example", fullmatch=True),
)


def _read(tokens: Sequence[Token]) -> Iterator[str]:
    """The words of a text, as the reference parser reads it."""
    for token in tokens:
        if token.type in {"text", "code_inline", "fence", "code_block"}:
            yield from WORD.findall(token.content)
        yield from _read(token.children or ())


def _lost(markdown: str, written: str) -> list[str]:
    letters, place = "".join(WORD.findall(written)), 0
    for word in _read(REFERENCE.parse(markdown)):
        found = letters.find(word, place)
        if found < 0:
            return [word]
        place = found + len(word)
    return []


@given(st.lists(LINE, max_size=8).map("\n".join))
def test_text_without_markup_stays_as_it_is(text: str) -> None:
    assert to_whatsapp(text) == to_plain(text) == text.strip()


@given(st.lists(st.one_of(COPIED, st.sampled_from(["and", "see", "(", ")", ",", "costs 5"])), max_size=8).map(" ".join))
def test_what_people_copy_arrives_sign_by_sign(text: str) -> None:
    assert to_whatsapp(text) == to_plain(text) == text.strip()


@given(COPIED, st.sampled_from(["**", "*", "***", "__", "**Pay: ", "# ", "- ", "> ", "1. ", "(", "\u201c", "~~x~~ "]))
def test_what_people_copy_arrives_within_any_format(copied: str, opening: str) -> None:
    assume(not copied.endswith(("*", "_", "~")) and not (copied.startswith("*") and opening == "*"))
    closing = {"(": ")", "\u201c": "\u201d", "**Pay: ": "**"}.get(opening, opening if set(opening) <= set("*_") else "")

    for written in (to_whatsapp(f"{opening}{copied}{closing} now"), to_plain(f"{opening}{copied}{closing} now")):
        assert copied in written
        assert "://" not in copied or not re.search(re.escape(copied) + r"[*_]", written)


@given(MARKDOWN)
def test_no_word_of_any_markdown_is_lost_or_moved(markdown: str) -> None:
    # Both are read otherwise on purpose, and so is an entity in them.
    assume(unwrapped(markdown) == markdown and not ("]:" in markdown and "&" in markdown))

    assert _lost(markdown, to_whatsapp(markdown)) == []
    assert _lost(markdown, to_plain(markdown)) == []


@given(MARKDOWN, st.sampled_from(["b", "i", "span", "p", "td", "code"]), st.integers(0, 30))
def test_no_word_beside_a_tag_is_lost(markdown: str, name: str, place: int) -> None:
    tagged = f"{markdown[:place]}<{name}>word</{name}>{markdown[place:]}"
    assume("word" in _read(REFERENCE.parse(tagged)))

    assert "word" in to_plain(tagged)


@given(MARKDOWN)
def test_nothing_private_gets_out(markdown: str) -> None:
    assert not re.search("[\ufdd0-\ufdef]", to_whatsapp(markdown + "\ufdd0\ufdd8") + to_plain(markdown + "\ufde0"))


@given(MARKDOWN, st.integers(40, 90))
def test_each_line_of_each_part_closes_what_it_opens(markdown: str, limit: int) -> None:
    marked: list[str] = []

    def cut(text: str) -> tuple[str, ...]:
        marked.extend(split(text, limit))
        return tuple(marked)

    render(markdown, WHATSAPP, cut)

    for line in "\n".join(marked).split("\n"):
        waiting: list[str] = []
        for before, mark in pairwise(f" {line}"):
            if mark in OPENINGS:
                waiting.append(mark)
            elif mark in CLOSINGS:
                assert waiting.pop() == OPENINGS[CLOSINGS.index(mark)]
                assert before not in OPENINGS
        assert waiting == []


@given(MARKDOWN, st.integers(40, 90))
def test_parts_fit_and_have_something_to_show(markdown: str, limit: int) -> None:
    for part in render(markdown, WHATSAPP, lambda text: split(text, limit)):
        assert 0 < len(part.strip()) <= len(part) <= limit
    for part in render(markdown, PLAIN, lambda text: split_bytes(text, limit, fences=False)):
        assert part.strip()
        assert len(part.encode()) <= limit


@pytest.mark.parametrize("unit", [*HOSTILE, *HOSTILE_LINES])
def test_hostile_markdown_takes_time_that_grows_with_its_length(unit: str) -> None:
    began = time.monotonic()

    for channel in (whatsapp, instagram):
        channel.render(unit * (19_900 // len(unit)))

    assert time.monotonic() - began < 8.0
