"""The scripted model's pure parts: a prefix cache like vLLM's, templates that complain, schemas that are filled, vectors that mean something."""

from __future__ import annotations

import random
from math import sqrt
from typing import Any

import msgspec
import pytest

from inference.scripted.asked import Part, PictureUrl, PromptMessage
from inference.scripted.played import IMAGE_TOKENS, Played
from inference.scripted.prefix_cache import BLOCK, Blocks, WholeMessages
from inference.scripted.schema import answer_to
from inference.scripted.vectors import vector


def _words(n: int, name: str = "w") -> list[str]:
    return [f"{name}{i}" for i in range(n)]


def _cached(cache: Blocks, tokens: list[str], salt: str = "") -> int:
    return cache.enter([], tokens, [], salt)[0]


@pytest.mark.parametrize(("first", "second", "cached"), [(100, 100, 96), (96, 96, 80), (100, 150, 96), (15, 15, 0), (33, 20, 16)])
def test_full_blocks_of_a_shared_beginning_are_known(first: int, second: int, cached: int) -> None:
    cache = Blocks(1000)
    _cached(cache, _words(first))

    assert _cached(cache, _words(second)) == cached


def test_a_block_is_known_only_behind_the_same_beginning_and_salt() -> None:
    cache = Blocks(1000)
    _cached(cache, _words(64))

    assert _cached(cache, ["other", *_words(64)[1:]]) == 0
    assert _cached(cache, _words(64), salt="tenant") == 0
    assert _cached(cache, _words(64), salt="tenant") == 48


def test_an_answer_is_known_when_the_next_prompt_tells_it_again() -> None:
    cache = Blocks(1000)
    asked, answer = ["user", *_words(9)], _words(40, "a")
    _, trail = cache.enter([], asked, [], "salt")
    cache.keep(trail, answer)

    assert _cached(cache, [*asked, "assistant", *answer, "user", "more"], "salt") == 48
    assert _cached(cache, [*asked, "assistant", *answer, "user", "more"], "other") == 0


def test_a_full_cache_forgets_who_was_away_longest_and_the_end_before_the_beginning() -> None:
    cache = Blocks(10)
    for name in "abc":
        _cached(cache, _words(5 * BLOCK, name))

    assert _cached(cache, _words(5 * BLOCK, "a")) == 0

    cache = Blocks(8)
    _cached(cache, _words(5 * BLOCK, "a"))
    _cached(cache, _words(5 * BLOCK, "b"))

    assert _cached(cache, _words(5 * BLOCK, "a")) == 3 * BLOCK


def test_a_cache_never_holds_more_than_it_may(seed: random.Random) -> None:
    cache = Blocks(50)
    for _ in range(200):
        _, trail = cache.enter([], _words(seed.randrange(400), seed.choice("xyz")), [], "")
        cache.keep(trail, _words(seed.randrange(50)))

        assert len(cache._blocks) <= 50  # noqa: SLF001 - nothing else shows it


def test_whole_messages_are_known_by_text_pictures_and_salt() -> None:
    cache = WholeMessages()
    seen = [PromptMessage("user", [Part("image_url", image_url=PictureUrl("data:a")), Part("text", "what?")])]
    other = [PromptMessage("user", [Part("image_url", image_url=PictureUrl("data:b")), Part("text", "what?")])]
    found = [cache.enter(messages, (), (9,), salt)[0] for messages, salt in [(seen, ""), (seen, ""), (other, ""), (seen, "s")]]

    assert found == [0, 9, 0, 0]


def test_a_picture_costs_a_tile() -> None:
    message = PromptMessage("user", [Part("image_url", image_url=PictureUrl("data:a")), Part("text", "what is it?")])

    tokens, ends = Played(vision=True).split_prompt([message])

    assert (len(tokens), ends) == (1 + IMAGE_TOKENS + 3, [1 + IMAGE_TOKENS + 3])


@pytest.mark.parametrize(
    ("template", "roles", "complains"),
    [
        ("plain", "suuaas", False),
        ("gemma", "su", True),
        ("gemma", "uau", False),
        ("gemma", "uu", True),
        ("gemma", "au", True),
        ("mistral", "suau", False),
        ("mistral", "usau", True),
        ("mistral", "suu", True),
    ],
)
def test_a_template_complains_of_roles_that_it_does_not_know(template: Any, roles: str, complains: bool) -> None:
    names = {"s": "system", "u": "user", "a": "assistant"}
    messages = [PromptMessage(names[role], "x") for role in roles]

    assert (Played(template=template).complaint(messages) is not None) == complains


@pytest.mark.parametrize(("template", "token"), [("llama4", "<|header_start|>"), ("gemma", "<start_of_turn>"), ("mistral", "[INST]")])
def test_a_templates_own_token_is_one_and_a_strangers_several(template: Any, token: str) -> None:
    assert len(Played(template=template, tokens="pieces").split(token * 3)) == 3
    assert len(Played(template="plain", tokens="pieces").split(token * 3)) > 6


def test_a_schema_is_filled_with_what_it_allows() -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"enum": ["Porto", "Lima"]},
            "age": {"type": "integer", "minimum": 18},
            "deep": {"type": "object", "properties": {"on": {"type": "boolean"}}},
            "left_out": {"type": "string"},
            "many": {"type": "array"},
            "fixed": {"const": 7},
        },
        "required": ["city", "age", "deep", "many", "fixed"],
    }

    text = answer_to({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})

    assert msgspec.json.decode(text or "") == {"city": "Porto", "age": 18, "deep": {"on": False}, "many": [], "fixed": 7}
    assert answer_to({"type": "json_object"}) is None


def test_texts_that_share_words_lie_nearer_than_others() -> None:
    def near(one: str, other: str) -> float:
        return sum(a * b for a, b in zip(vector(one, 64), vector(other, 64), strict=True))

    assert vector("Marta lives in Porto", 64) == vector("Marta lives in Porto", 64)
    assert abs(sqrt(near("a b c", "a b c")) - 1) < 1e-9
    assert near("where does Marta live in Porto", "Marta lives in Porto") > near("where does Marta live in Porto", "four wheels on trains")
