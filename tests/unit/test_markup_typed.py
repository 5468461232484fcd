"""What a person typed goes out as typed: only cut into parts, and without control characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.channels.by_kind import FITTERS
from bots.domain import ChannelKind

TYPED = [
    "The shelf is 80*30*20 cm, see https://s.example.net/_new_",
    "*bold* and _it_ as the app writes it, **two**, ~~three~~, `four`",
    "# 5 is the door\n- and\n   - spaces\n\n\n> 18 <b>only</b> &amp; [a](b)",
    "3. c\n1. a",
    "Use ``` to begin",
    "---",
    "```markdown\nx\n```",
]


@pytest.mark.parametrize("kind", FITTERS)
@pytest.mark.parametrize("text", TYPED)
def test_typed_words_go_out_as_typed(text: str, kind: ChannelKind) -> None:
    assert FITTERS[kind](text) == (text,)


@pytest.mark.parametrize("kind", FITTERS)
def test_control_characters_go_and_line_ends_are_one_character(kind: ChannelKind) -> None:
    assert FITTERS[kind]("a\x00b\r\nc\rd\x1be\tf") == ("ab\nc\nde\tf",)


@pytest.mark.parametrize("kind", FITTERS)
@given(text=st.text(alphabet=st.sampled_from([*"ab \n*_~`#>-1.[](<&\\", "é", "漢", "👍"]), max_size=200))
def test_any_typed_text_goes_out_as_typed(kind: ChannelKind, text: str) -> None:
    assert FITTERS[kind](text) == ((text.strip(),) if text.strip() else ())


@pytest.mark.parametrize("kind", FITTERS)
def test_a_long_typed_text_is_cut_and_nothing_is_lost(kind: ChannelKind) -> None:
    text = "\n".join(f"{number} **rows** of `typed` _words_, see https://x.example/_{number}_" for number in range(300))

    parts = FITTERS[kind](text)

    assert len(parts) > 1
    assert "\n".join(parts).split() == text.split()
