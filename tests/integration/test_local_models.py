"""Fetching a chat model from a server that plays the hub: checked, resumed, cached, and refused when the bytes are wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from chinwag.local import choices, engine, models
from chinwag.local.processes import CannotStart
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from tests.support.hub import BYTES, NAME, Hub, running_hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as running:
        yield running


def _find(hub: Hub, cache: Path, model: str = NAME) -> models.ChatModel:
    settings = LocalSettings.from_env({"MODEL": model, "XDG_CACHE_HOME": str(cache), "CHINWAG_LOCAL_HUB_URL": hub.url})
    return models.find(settings, Report(StringIO()))


def test_a_file_of_the_hub_is_fetched_and_checked(hub: Hub, tmp_path: Path) -> None:
    found = _find(hub, tmp_path)

    assert (found.name, found.fetched, found.path.read_bytes() == BYTES) == ("small", True, True)


def test_the_checksum_also_comes_from_the_listing(hub: Hub, tmp_path: Path) -> None:
    hub.in_headers = False

    assert _find(hub, tmp_path).path.read_bytes() == BYTES


def test_a_second_start_downloads_nothing(hub: Hub, tmp_path: Path) -> None:
    _find(hub, tmp_path)
    again = _find(hub, tmp_path)

    assert (again.fetched, len(hub.gets)) == (False, 1)


def test_a_broken_line_is_resumed_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = 1_000_000
    found = _find(hub, tmp_path)

    assert found.path.read_bytes() == BYTES
    assert hub.gets == [None, "bytes=1000000-"]


def test_a_part_of_an_earlier_start_is_used(hub: Hub, tmp_path: Path) -> None:
    part = tmp_path / "chinwag" / "models" / "hub" / "owner" / "repo" / "small.gguf.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BYTES[:500_000])
    _find(hub, tmp_path)

    assert hub.gets == ["bytes=500000-"]


def test_wrong_bytes_are_refused_and_removed(hub: Hub, tmp_path: Path) -> None:
    hub.digest = "0" * 64
    with pytest.raises(CannotStart, match="sha256"):
        _find(hub, tmp_path)

    assert not [path for path in tmp_path.rglob("small.gguf*") if not path.name.endswith(".lock")]


def test_a_cached_file_serves_without_the_hub(hub: Hub, tmp_path: Path) -> None:
    _find(hub, tmp_path)
    hub.digest = hub.content = b""  # type: ignore[assignment] # an empty digest makes the hub say too little

    assert _find(hub, tmp_path).fetched is False


def test_an_unknown_file_is_one_clear_line(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="404"):
        _find(hub, tmp_path, "hf:owner/other/small.gguf")


def _choice(hub: Hub, sha256: str) -> choices.Choice:
    return choices.Choice(
        name="p", file="small.gguf", size=len(BYTES), sha256=sha256, repo="owner/repo", revision="c0ffee",
        memory_gb=1, tokens_s=10, about="a model of a test", licence="none", source="made here",
    )  # fmt: skip


@pytest.mark.parametrize("is_pinned", [True, False])
def test_a_choice_comes_from_the_hub_checked_against_its_own_sum_or_the_hubs(hub: Hub, tmp_path: Path, is_pinned: bool) -> None:
    settings = LocalSettings(cache=tmp_path, hub_url=hub.url)
    file = models.pinned(_choice(hub, hub.digest if is_pinned else ""), settings)
    before, found = file.is_here(), file.fetch(Report(StringIO()))

    assert (before, found.fetched, file.is_here()) == (False, True, True)
    assert (file.about, found.name, found.path.read_bytes()) == ("a model of a test", "p", BYTES)


def test_a_choice_with_a_sum_of_its_own_is_not_taken_from_a_hub_that_has_other_bytes(hub: Hub, tmp_path: Path) -> None:
    file = models.pinned(_choice(hub, "0" * 64), LocalSettings(cache=tmp_path, hub_url=hub.url))
    with pytest.raises(CannotStart, match="sha256"):
        file.fetch(Report(StringIO()))


@pytest.mark.parametrize("text", ["no such file.gguf", "hf:owner/file.gguf", "hf:../../x/y.gguf"])
def test_a_name_that_leads_nowhere_is_one_clear_line(hub: Hub, tmp_path: Path, text: str) -> None:
    with pytest.raises(CannotStart, match="MODEL="):
        _find(hub, tmp_path, text)


def test_a_file_that_is_no_model_is_one_clear_line(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "web.gguf").write_bytes(b"<html>")
    with pytest.raises(CannotStart, match="not a GGUF"):
        _find(hub, tmp_path, str(tmp_path / "web.gguf"))


@pytest.mark.parametrize("wanted", ["/nowhere/model.gguf", "hf:owner/model.gguf", "hf:owner/../x/model.gguf", __file__])
def test_a_model_that_no_fetching_helps_is_refused_before_anything_starts(wanted: str) -> None:
    with pytest.raises(CannotStart, match=r"^MODEL=[^\n]+$"):
        models.check(LocalSettings(model=wanted))


def test_a_model_file_is_converted_once_for_vllm_and_anew_when_another_of_its_name_and_size_took_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In the place of the converter: it makes the folder that it is told to make.
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nmkdir -p "$3" && touch "$3/config.json" && echo once >> "$3/converted"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv("CHINWAG_ENGINE_VENV", str(tmp_path / "venv"))
    file, settings = tmp_path / "mine.gguf", LocalSettings(model=str(tmp_path / "mine.gguf"), engine="vllm", cache=tmp_path)

    def folder(made_at: int) -> Path:
        file.write_bytes(BYTES)
        os.utime(file, (made_at, made_at))
        return engine.prepare(settings, Report(StringIO()), tmp_path / "logs").folder

    before, same, after = folder(1), folder(1), folder(2)

    assert before == same != after
    assert [(one / "converted").read_text("utf-8") for one in (before, after)] == ["once\n", "once\n"]
