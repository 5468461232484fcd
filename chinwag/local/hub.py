"""A file of a model hub: its checksum from the hub's own metadata, and a download that continues where the last one stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx

_TIMEOUT = httpx.Timeout(30.0, connect=6.0)
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Slower than this for a whole minute is a dead connection, not a slow one.
_BYTES_A_MINUTE = 200_000
_TRIES = 3


class NotThere(Exception):
    """The hub has no such file, or says too little about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What the hub says about a file."""

    url: str
    sha256: str
    size: int


def facts(hub_url: str, repo: str, file: str) -> FileFacts:
    """Ask the hub for a file's sha256 and size: its headers, else its listing. Raises NotThere and httpx.HTTPError."""
    with httpx.Client(timeout=_TIMEOUT) as client:
        head = client.head(f"{hub_url}/{repo}/resolve/main/{file}")
        if head.status_code >= 400:
            raise NotThere(f"the hub answered {head.status_code}")
        revision = head.headers.get("x-repo-commit", "main")
        url = f"{hub_url}/{repo}/resolve/{revision}/{file}"
        digest = head.headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
        size = head.headers.get("x-linked-size", "0")
        if _SHA256.fullmatch(digest) and size.isdigit():
            return FileFacts(url=url, sha256=digest, size=int(size))
        folder = f"/{file.rsplit('/', 1)[0]}" if "/" in file else ""
        listing = client.get(f"{hub_url}/api/models/{repo}/tree/{revision}{folder}")
        listing.raise_for_status()
        return _from_listing(listing, url, file)


def _from_listing(listing: httpx.Response, url: str, file: str) -> FileFacts:
    entries = listing.json()
    for entry in cast("list[dict[str, object]]", entries if isinstance(entries, list) else []):
        pointer = entry.get("lfs")
        if entry.get("path") == file and isinstance(pointer, dict):
            pointer = cast("dict[str, object]", pointer)
            digest, size = pointer.get("oid"), pointer.get("size")
            if isinstance(digest, str) and isinstance(size, int) and _SHA256.fullmatch(digest):
                return FileFacts(url=url, sha256=digest, size=size)
    raise NotThere("the hub gives no checksum for this file")


def download(url: str, part: Path, size: int, advance: Callable[[int], None]) -> None:
    """Download the rest of the file, continuing after the bytes that are there. Raises NotThere and httpx.HTTPError."""
    for attempt in range(1, _TRIES + 1):
        before = part.stat().st_size if part.exists() else 0
        try:
            _pull(url, part, size, advance)
        except (httpx.TransportError, Stalled) as error:
            came = (part.stat().st_size if part.exists() else 0) - before
            # A connection that breaks after some bytes is worth another try; one that never opened is not.
            if attempt == _TRIES or came <= 0:
                raise NotThere(f"{httpx.URL(url).host}: {error or type(error).__name__}") from error
        else:
            return


class Stalled(Exception):
    """The download has almost stopped."""


def _pull(url: str, part: Path, size: int, advance: Callable[[int], None]) -> None:
    there = part.stat().st_size if part.exists() else 0
    if size and there == size:
        return
    if size and there > size:
        part.unlink()
        there = 0
    headers = {"Range": f"bytes={there}-"} if there else {}
    # Redirects lead to the hub's store; the sha256 is checked afterwards.
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as client, client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == 416:
            part.unlink(missing_ok=True)
            raise Stalled("the partial file on disk did not match")
        if answer.status_code >= 400:
            raise NotThere(f"{answer.url.host} answered {answer.status_code}")
        goes_on = answer.status_code == 206 and answer.headers.get("content-range", "").startswith(f"bytes {there}-")
        there = there if goes_on else 0
        mark, mark_bytes = time.monotonic(), there
        with part.open("ab" if goes_on else "wb") as file:
            for chunk in answer.iter_raw():
                there += file.write(chunk)
                if size and there > size:
                    raise NotThere(f"{answer.url.host} sent more than the {size} bytes expected")
                advance(there)
                if time.monotonic() - mark > 60:
                    if there - mark_bytes < _BYTES_A_MINUTE:
                        raise Stalled("the download stalled")
                    mark, mark_bytes = time.monotonic(), there
    if size and there < size:
        raise Stalled("the connection ended early")
