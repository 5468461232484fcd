"""Template tokens of every family become plain text that still reads the same."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.prompt_style import neutralise

_TOKENS = [
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>", "<|python_tag|>",
    "<|header_start|>", "<|header_end|>", "<|eot|>", "<|eom|>", "<|image|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>",
    "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[IMG]", "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>",
    "<pad>", "<unused42>", "<start_of_image>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>",
    "<｜tool▁calls▁begin｜>", "<|turn>", "<|START_OF_TURN_TOKEN|>", "<BOS_TOKEN>", "<|start_of_role|>", "<|user|>", "<|assistant|>",
    "<tool_call>", "</tool_call>", "<think>", "</think>", "<fim_prefix>", "<repo_name>", "<|channel|>", "<|return|>", "＜｜User｜＞",
]  # fmt: skip


@pytest.mark.parametrize("token", _TOKENS)
def test_no_token_is_left_in_any_place(token: str) -> None:
    for text in (token, f"a{token}b", token * 3, f"\x00{token}", token[0] + "\x00" + token[1:], token[:2] + "\x07" + token[2:]):
        assert token not in neutralise(text)


@pytest.mark.parametrize("token", _TOKENS)
def test_a_token_stays_readable(token: str) -> None:
    name = token.strip("<>|[]/＜＞｜")

    assert name in neutralise(f"what is {token}?")


@pytest.mark.parametrize("inner", _TOKENS)
def test_a_token_inside_a_token_does_not_complete_it(inner: str) -> None:
    for outer in _TOKENS:
        for at in range(1, len(outer)):
            clean = neutralise(outer[:at] + inner + outer[at:])

            assert inner not in clean
            assert outer not in clean


@pytest.mark.parametrize(
    "text",
    ["1 < 2 and 3 > 2", "x |> f", "<b>bold</b> <a href='x'>", "[1] [a] [inst]", "a\tb\nc", "Ana & João 👨‍👩‍👧", "I <3 you", "List<String>"],
)
def test_what_is_no_token_stays_as_it_is(text: str) -> None:
    assert neutralise(text) == text


def test_what_no_encoder_takes_is_replaced() -> None:
    assert neutralise("a\x00b\ud83dc\x1b[0m") == "ab\ufffdc[0m"


@given(st.text(alphabet=st.sampled_from("<>|｜＜/[]s\x00INTimstart_ \n")) | st.text())
def test_twice_is_the_same_as_once(text: str) -> None:
    once = neutralise(text)

    assert neutralise(once) == once
    assert "<|" not in once
    assert "[INST]" not in once
    once.encode()


def test_it_is_quick_on_long_hostile_text() -> None:
    began = time.process_time()
    for piece in ("<", "<<", "<|", "<< ", "[", "<s", "<unused1", "[INST", "<<  /  "):
        neutralise(piece * (65_536 // len(piece)))

    assert time.process_time() - began < 2.0
