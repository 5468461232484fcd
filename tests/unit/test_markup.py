"""Markdown in a messenger's dialect, and long texts in parts."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.channels.console import Console
from bots.channels.markup import split, to_plain, to_whatsapp

WJ = "\u2060"

WHATSAPP = {
    "bold": ("**bold** and __bold__", "*bold* and *bold*"),
    "italic": ("*it* and _it_", "_it_ and _it_"),
    "both": ("***both***", "_*both*_"),
    "strike": ("~~del~~", "~del~"),
    "code": ("`a_b * c`", "`a_b * c`"),
    "code_with_ticks": ("`` a`b ``", "a`b"),
    "fence_without_language": ("```python\nx = 1\n```", "```\nx = 1\n```"),
    "fence_never_closed": ("```\nx = 1", "```\nx = 1\n```"),
    "fence_holding_ticks": ("````\n```\n````", f"```\n`{WJ}`{WJ}`\n```"),
    "heading_is_bold": ("# A **b** c", "*A b c*"),
    "heading_before_text": ("## Title\ntext", "*Title*\n\ntext"),
    "bold_inside_bold": ("**a __b__ c**", "*a b c*"),
    "bold_over_two_lines": ("**one\ntwo**", "*one*\n*two*"),
    "bold_inside_a_word": ("foo**bar**baz", "foobarbaz"),
    "list": ("- a\n- b", "- a\n- b"),
    "list_of_stars": ("* a\n* b", "- a\n- b"),
    "list_with_numbers": ("3. a\n4. b", "3. a\n4. b"),
    "list_nested": ("- a\n  - b\n    - c\n- d", "- a\n  ◦ b\n    ▪ c\n- d"),
    "list_loose": ("- a\n\n- b", "- a\n- b"),
    "quote": ("> a\n> b", "> a\n> b"),
    "quote_nested": ("> a\n>> b", "> a\n> b"),
    "link": ("[text](https://x.org/a_b)", "text (https://x.org/a_b)"),
    "link_equal": ("[https://x.org](https://x.org)", "https://x.org"),
    "link_bare": ("<https://x.org/>", "https://x.org/"),
    "link_mail": ("[write](mailto:a@x.org)", "write (a@x.org)"),
    "link_to_nowhere": ("[here](#part)", "here"),
    "image": ("![a cat](https://x.org/c.png)", "a cat (https://x.org/c.png)"),
    "rule": ("a\n\n---\n\nb", "a\n\nb"),
    "line_break": ("a  \nb", "a\nb"),
    "line_break_of_html": ("a<br>b<br/>c", "a\nb\nc"),
    "html": ("<b>a</b> <span class='x'>b</span>", "a b"),
    "not_html": ("List<String> and a < b > c", "List<String> and a < b > c"),
    "entity": ("a &amp; b", "a & b"),
    "table_narrow": ("| a | b |\n|---|---|\n| 1 | 22 |", "```\na  b\n1  22\n```"),
    "table_of_pairs": (
        "| Day | Hours |\n|---|---|\n| Monday to Thursday | nine until five **sharp** |",
        "Day: Hours\nMonday to Thursday: nine until five *sharp*",
    ),
    "table_wide": (
        "| Name | What it is for | Price |\n|---|---|---|\n| Foo | The long description | 1 |\n| Bar | | 2 |",
        "Name: Foo\nWhat it is for: The long description\nPrice: 1\n\nName: Bar\nPrice: 2",
    ),
    "literal_pair": (r"a \*b\* c", f"a *{WJ}b* c"),
    "literal_alone": ("2 * 3 and 5 * 4", "2 * 3 and 5 * 4"),
    "literal_in_words": ("snake_case_word", "snake_case_word"),
    "literal_in_address": ("see https://x.org/_a_/b_", "see https://x.org/_a_/b_"),
    "nul_and_carriage_return": ("a\x00b\r\nc", "ab\nc"),
    "nothing": ("", ""),
}

PLAIN = {
    "emphasis": ("**b** *i* ~~s~~ `c`", "b i ~~s~~ c"),
    "heading": ("# Title", "Title"),
    "fence": ("```python\nx = 1\n```", "x = 1"),
    "link": ("[text](https://x.org)", "text (https://x.org)"),
    "table": ("| a | b |\n|---|---|\n| 1 | 2 |", "a: b\n1: 2"),
    "list": ("1. a\n2. b", "1. a\n2. b"),
    "literal": (r"\*a\*", "*a*"),
}


@pytest.mark.parametrize("name", WHATSAPP)
def test_markdown_becomes_whatsapps_dialect(name: str) -> None:
    markdown, expected = WHATSAPP[name]

    assert expected == to_whatsapp(markdown)


@pytest.mark.parametrize("name", PLAIN)
def test_markdown_becomes_plain_text(name: str) -> None:
    markdown, expected = PLAIN[name]

    assert expected == to_plain(markdown)


@given(st.lists(st.sampled_from([*"ab *_~`#->|[](!<&\\.\n1:", "**", "```", "\x00", "é", "👍"]), max_size=200))
def test_any_text_is_rendered_to_something_without_unstorable_signs(pieces: list[str]) -> None:
    text = "".join(pieces)

    for written in (to_whatsapp(text), to_plain(text)):
        assert "\x00" not in written


@given(st.text(alphabet=st.sampled_from([*"abc ", "\n"]), max_size=100))
def test_words_are_never_lost_or_changed(text: str) -> None:
    assert re.findall("[abc]+", text) == re.findall("[abc]+", to_whatsapp(text))


@pytest.mark.parametrize("unit", ["[", "*a ", "`", "> ", "- ", "![[", "*_", "|a", "<b ", "[a](b", "~~", r"\*", "**a*", "# ", "1. "])
def test_hostile_markdown_takes_bounded_time(unit: str) -> None:
    began = time.monotonic()

    to_whatsapp(unit * (200_000 // len(unit)))
    to_whatsapp(unit * (19_000 // len(unit)))

    assert time.monotonic() - began < 8.0


def test_a_short_text_is_one_part() -> None:
    assert split("a" * 4096, 4096) == ("a" * 4096,)


def test_nothing_gives_no_part() -> None:
    assert split(" \n ", 4096) == ()


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("first paragraph here.\n\nsecond one is longer", 36, ("first paragraph here.", "second one is longer")),
        ("first line is this\nsecond line is that one", 36, ("first line is this", "second line is that one")),
        ("This is one. This is the second. And the third.", 36, ("This is one. This is the second.", "And the third.")),
        ("words and words and words and words and words", 36, ("words and words and words and words", "and words")),
        ("a" * 80, 40, ("a" * 40, "a" * 40)),
    ],
    ids=["paragraph", "line", "sentence", "word", "none"],
)
def test_the_most_natural_border_is_cut_at(text: str, limit: int, expected: tuple[str, ...]) -> None:
    assert expected == split(text, limit)


def test_a_code_block_is_closed_and_opened_again() -> None:
    lines = "\n".join(f"line {n}" for n in range(20))

    parts = split(f"Look:\n\n```\n{lines}\n```\n\nDone.", 64)

    assert all(part.count("```") % 2 == 0 and len(part) <= 64 for part in parts)
    assert re.findall(r"line \d+", "\n".join(parts)) == re.findall(r"line \d+", lines)
    assert parts[-1].endswith("Done.")


def test_a_code_block_that_fits_is_not_cut() -> None:
    block = "```\nx = 1\ny = 2\nz = 3\n```"

    parts = split(f"Some words come first here.\n\n{block}", 48)

    assert parts == ("Some words come first here.", block)


@pytest.mark.parametrize("grapheme", ["👩‍👩‍👧‍👦", "👍🏽", "🇵🇹", "e\u0301\u0323", "\uac01", "\u1100\u1161\u11a8", "❤️", "\r\n"])
def test_a_grapheme_is_never_cut(grapheme: str) -> None:
    for pad in range(len(grapheme) + 1):
        parts = split("x" * pad + grapheme * 60, 40)

        assert all(not part.replace("x", "").replace(grapheme, "").strip() for part in parts)


@given(
    st.lists(st.sampled_from([*"ab .!?\n`", "```", "\n\n", "👍🏽", "é", "e\u0301", "\u200d", "word " * 9]), max_size=300),
    st.integers(32, 90),
)
def test_parts_fit_are_balanced_and_hold_every_letter(pieces: list[str], limit: int) -> None:
    text = "".join(pieces)

    parts = split(text, limit)

    assert all(0 < len(part) <= limit for part in parts)
    # A text that needs no cut is passed on as it is.
    assert parts == (text.strip(),) or all(part.count("```") % 2 == 0 for part in parts)
    assert re.findall(r"\w", text) == re.findall(r"\w", "".join(parts))


@pytest.mark.parametrize("text", ["word. " * 200_000, "```\n" + "x" * 1_000_000, "\u0301" * 500_000, "`" * 500_000, "🇵🇹" * 250_000])
def test_a_huge_text_is_split_in_bounded_time(text: str) -> None:
    began = time.monotonic()

    parts = split(text, 4096)

    assert max(map(len, parts)) <= 4096
    assert time.monotonic() - began < 8.0


def test_an_answer_without_any_visible_form_is_sent_as_it_is() -> None:
    assert Console().render("---") == ("---",)


@pytest.mark.parametrize(
    "text",
    [
        "The river runs through the old town.",
        "  Sim, às 10:30 - na Rua do Ouro, n.º 3; custa 2,50 €?  ",
        "Good. See https://example.org/a-b?x=1",
        "I said so: (yes) + \"no\" 'maybe' = 100%",
    ],
)
def test_a_plain_line_stays_as_it_is(text: str) -> None:
    assert to_whatsapp(text) == to_plain(text) == text.strip()
