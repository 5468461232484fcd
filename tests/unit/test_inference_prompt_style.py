"""Template tokens of every family become plain text that still reads the same, and a prompt becomes one that the endpoint takes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.prompt_style import UNSEEN_PICTURE, for_endpoint, neutralise
from inference.types import Image, Message, Traits

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


_PICTURE = Image(media_type="image/png", data=b"p")
_EVERYTHING = Traits(vision=True)


@st.composite
def _prompts(draw: st.DrawFn) -> tuple[Message, ...]:
    """Any prompt whose texts can be told apart."""
    roles = draw(st.lists(st.sampled_from(["system", "user", "assistant"]), max_size=9))
    return tuple(
        Message(
            role=role,
            content=draw(st.sampled_from(["", f"text {n}."])),
            images=(_PICTURE,) * draw(st.integers(0, 2)) if role == "user" else (),
        )
        for n, role in enumerate(roles)
    )


_traits = st.builds(Traits, vision=st.booleans(), system_role=st.booleans(), roles_alternate=st.booleans())


@given(_prompts(), _traits)
def test_an_endpoint_gets_what_its_template_takes(messages: tuple[Message, ...], traits: Traits) -> None:
    made = for_endpoint(messages, traits)
    turns = made[1:] if made and made[0].role == "system" else made

    assert traits.vision or not any(m.images for m in made)
    assert traits.system_role or all(m.role != "system" for m in made)
    if traits.roles_alternate:
        assert [m.role for m in turns] == (["user", "assistant"] * len(turns))[: len(turns)]


@given(_prompts(), _traits)
def test_no_text_and_no_picture_is_lost_or_changes_places(messages: tuple[Message, ...], traits: Traits) -> None:
    made = for_endpoint(messages, traits)
    before = [text for m in messages for text in [*[UNSEEN_PICTURE] * (0 if traits.vision else len(m.images)), m.content] if text]
    after = [line for m in made for line in m.content.split("\n") if line and line != "(the talk begins)"]

    assert after == before
    assert sum(len(m.images) for m in made) == (sum(len(m.images) for m in messages) if traits.vision else 0)


@given(_prompts(), _traits)
def test_a_prompt_made_fit_is_fit(messages: tuple[Message, ...], traits: Traits) -> None:
    made = for_endpoint(messages, traits)

    assert for_endpoint(made, traits) == made


@given(_prompts())
def test_a_prompt_that_needs_nothing_comes_back_itself(messages: tuple[Message, ...]) -> None:
    assert for_endpoint(messages, _EVERYTHING) is messages


def test_the_prefix_of_a_folded_prompt_grows_with_the_talk() -> None:
    traits = Traits(system_role=False, roles_alternate=True)
    talk = [Message(role="system", content="You are Bo."), Message(role="user", content="What do you know about me?")]
    talk += [Message(role="assistant", content="Thank you."), Message(role="user", content="hi")]
    longer = [*talk, Message(role="assistant", content="Hello!"), Message(role="user", content="and now?")]

    assert for_endpoint(talk, traits)[0].content == "You are Bo.\n\nWhat do you know about me?"
    assert tuple(for_endpoint(longer, traits))[: len(talk) - 1] == tuple(for_endpoint(talk, traits))


def test_a_picture_that_is_not_seen_is_spoken_of_before_the_text() -> None:
    (message,) = for_endpoint([Message(role="user", content="what is it?", images=(_PICTURE, _PICTURE))], Traits())

    assert message == Message(role="user", content=f"{UNSEEN_PICTURE}\n{UNSEEN_PICTURE}\nwhat is it?")


def test_the_placeholder_is_no_template_token() -> None:
    assert neutralise(UNSEEN_PICTURE) == UNSEEN_PICTURE
