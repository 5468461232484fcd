"""Fetching a chat model from a server that plays the hub: checked, resumed, cached, and refused when the bytes are wrong."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import pytest

from chinwag.local import engine, models
from chinwag.local.processes import CannotStart
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings

_BYTES = b"GGUF" + bytes(range(256)) * 8000
_SHA256 = hashlib.sha256(_BYTES).hexdigest()


class Hub(ThreadingHTTPServer):
    """Plays the hub for one file."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = _BYTES
        self.digest = _SHA256
        self.in_headers = True
        self.break_after: int | None = None
        self.gets: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def do_HEAD(self) -> None:
        if not self.path.startswith("/owner/repo/resolve/main/"):
            self.send_error(404)
            return
        self.send_response(302)
        self.send_header("X-Repo-Commit", "c0ffee")
        if self.server.in_headers:
            self.send_header("X-Linked-Etag", f'"{self.server.digest}"')
            self.send_header("X-Linked-Size", str(len(self.server.content)))
        self.send_header("Location", "/cdn")
        self.end_headers()

    def do_GET(self) -> None:
        if self.path == "/api/models/owner/repo/tree/c0ffee":
            entry = {"path": "small.gguf", "lfs": {"oid": self.server.digest, "size": len(self.server.content)}}
            self._send(200, json.dumps([entry]).encode())
        elif self.path == "/owner/repo/resolve/c0ffee/small.gguf":
            self.send_response(302)
            self.send_header("Location", "/cdn")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/cdn":
            self._serve()
        else:
            self.send_error(404)

    def _serve(self) -> None:
        wanted = self.headers.get("Range")
        self.server.gets.append(wanted)
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        body = self.server.content[first:]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{len(self.server.content) - 1}/{len(self.server.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut, self.server.break_after = self.server.break_after, None
        self.wfile.write(body[:cut])
        self.close_connection = True

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _find(hub: Hub, cache: Path, model: str = "hf:owner/repo/small.gguf") -> models.ChatModel:
    settings = LocalSettings.from_env({"MODEL": model, "XDG_CACHE_HOME": str(cache), "CHINWAG_LOCAL_HUB_URL": hub.url})
    return models.find(settings, Report(StringIO()))


def test_a_file_of_the_hub_is_fetched_and_checked(hub: Hub, tmp_path: Path) -> None:
    found = _find(hub, tmp_path)

    assert (found.name, found.fetched, found.path.read_bytes() == _BYTES) == ("small", True, True)


def test_the_checksum_also_comes_from_the_listing(hub: Hub, tmp_path: Path) -> None:
    hub.in_headers = False

    assert _find(hub, tmp_path).path.read_bytes() == _BYTES


def test_a_second_start_downloads_nothing(hub: Hub, tmp_path: Path) -> None:
    _find(hub, tmp_path)
    again = _find(hub, tmp_path)

    assert (again.fetched, len(hub.gets)) == (False, 1)


def test_a_broken_line_is_resumed_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = 1_000_000
    found = _find(hub, tmp_path)

    assert found.path.read_bytes() == _BYTES
    assert hub.gets == [None, "bytes=1000000-"]


def test_a_part_of_an_earlier_start_is_used(hub: Hub, tmp_path: Path) -> None:
    part = tmp_path / "chinwag" / "models" / "hub" / "owner" / "repo" / "small.gguf.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(_BYTES[:500_000])
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


def test_a_pinned_model_comes_from_the_hub_first(hub: Hub, tmp_path: Path) -> None:
    pinned = models.Pinned(name="p", file="small.gguf", size=len(_BYTES), sha256=_SHA256, repo="owner/repo", revision="c0ffee")
    found = models.fetch(pinned, tmp_path, hub_url=hub.url, report=Report(StringIO()))

    assert found.fetched
    assert found.path.read_bytes() == _BYTES


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
        file.write_bytes(_BYTES)
        os.utime(file, (made_at, made_at))
        return engine.prepare(settings, Report(StringIO()), tmp_path / "logs").folder

    before, same, after = folder(1), folder(1), folder(2)

    assert before == same != after
    assert [(one / "converted").read_text("utf-8") for one in (before, after)] == ["once\n", "once\n"]
