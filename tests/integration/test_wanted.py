"""Which models `make run` starts on which machine: what answers first, and what is fetched behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chinwag.local import choices, models
from chinwag.local.processes import CannotStart
from chinwag.local.settings import LocalSettings
from chinwag.local.wanted import offer_line, wanted
from tests.support.hub import NAME, Hub, running_hub

_SMALL, _DEFAULT = choices.get(choices.SMALL), choices.get(choices.DEFAULT)
_GB = 10**9


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as running:
        yield running


def _in_cache(settings: LocalSettings, choice: choices.Choice) -> None:
    """As if it had been fetched and checked: a file of its size that takes no room, and the note of the check."""
    path = settings.cache / "models" / choice.file
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(choice.size)
    facts = path.stat()
    path.with_name(path.name + ".sha256").write_text(f"{choice.sha256} {facts.st_size} {facts.st_mtime_ns}", encoding="ascii")


@pytest.mark.parametrize(
    ("machine", "models_"),
    [
        (("", 8, False, True), (_SMALL, _DEFAULT)),
        (("default", 8, False, True), (_SMALL, _DEFAULT)),
        (("", 8, True, True), (_DEFAULT, None)),
        (("", 3.9, True, True), (_SMALL, None)),
        (("", 3.9, False, True), (_SMALL, None)),
        (("", 8, False, False), (_SMALL, None)),
        (("", 8, True, False), (_DEFAULT, None)),
        (("small", 64, True, True), (_SMALL, None)),
        (("tiny", 64, True, True), (choices.get(choices.TINY), None)),
    ],
)
def test_the_default_is_the_larger_model_where_the_memory_allows_and_the_small_one_answers_until_it_is_here(
    tmp_path: Path, machine: tuple[str, float, bool, bool], models_: tuple[choices.Choice, choices.Choice | None]
) -> None:
    (model, free_gb, cached, fetch), (first, better) = machine, models_
    settings = LocalSettings(model=model, cache=tmp_path, fetch=fetch)
    if cached:
        _in_cache(settings, _DEFAULT)
    found = wanted(settings, free_bytes=int(free_gb * _GB))

    assert (found.first.name, found.better and found.better.name) == (first.name, better and better.name)
    assert found.why


def test_a_file_of_the_hub_is_fetched_behind_the_small_one_only_if_it_is_the_larger(hub: Hub, tmp_path: Path) -> None:
    settings = LocalSettings(model=NAME, cache=tmp_path, hub_url=hub.url)
    sooner = wanted(settings, free_bytes=8 * _GB)
    # What the hub says is believed until the bytes are here.
    hub.say_size = _SMALL.size + 1
    behind = wanted(settings, free_bytes=8 * _GB)
    alone = wanted(replace(settings, fetch=False), free_bytes=8 * _GB)

    assert (sooner.first.name, sooner.better) == ("small", None)
    assert (behind.first.name, behind.better and behind.better.name) == (_SMALL.name, "small")
    assert (alone.first.name, alone.better) == ("small", None)


def test_a_name_that_the_hub_does_not_know_stops_the_start_before_anything_is_fetched(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="404"):
        wanted(LocalSettings(model="hf:owner/other/big.gguf", cache=tmp_path, hub_url=hub.url), free_bytes=8 * _GB)


def test_nothing_better_is_offered_where_the_memory_is_small(hub: Hub, tmp_path: Path) -> None:
    assert offer_line(LocalSettings(cache=tmp_path, hub_url=hub.url), free_bytes=_GB) == ""


def test_every_choice_says_what_a_person_needs_to_choose() -> None:
    found = choices.choices()

    assert {choices.TINY, choices.SMALL, choices.DEFAULT} <= set(found)
    for word, choice in found.items():
        assert choice.about, word
        assert choice.licence, word
        assert choice.memory_gb * _GB > choice.size, word
        assert choice.repo or choice.carriers, word
        # Without a sum of its own it must be on the Hub, which tells one.
        assert choice.sha256 or choice.repo, word


def test_a_choice_in_the_cache_is_not_read_again(tmp_path: Path) -> None:
    settings = LocalSettings(cache=tmp_path)
    _in_cache(settings, _DEFAULT)

    assert models.pinned(_DEFAULT, settings).is_here()
