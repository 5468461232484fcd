"""`chinwag webhook parse`: JSON lines alone on stdout, at least one a file, without a database."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support import forked

CORPUS = Path(__file__).parent.parent / "corpus" / "whatsapp"
FIELDS = {"file", "kind", "event_key", "contact", "text", "occurred_at", "supported"}


def run(*files: Path | str, channel: str = "whatsapp") -> subprocess.CompletedProcess[bytes]:
    return forked.run("chinwag", "webhook", "parse", "--channel", channel, *map(str, files), env=os.environ)


def test_every_file_gives_lines_of_the_promised_fields_and_exit_code_0(tmp_path: Path) -> None:
    odd = tmp_path / "oddé\udcff.json"
    odd.write_bytes(b"\xff\x00")
    files = [*sorted(CORPUS.glob("*.json")), odd]

    done = run(*files)

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert all(set(line) == FIELDS for line in lines)
    assert {line["file"] for line in lines} == {str(file) for file in files}


def test_a_message_is_told_in_full() -> None:
    file = CORPUS / "text_plain.json"

    done = run(file)

    assert json.loads(done.stdout) == {
        "file": str(file),
        "kind": "message",
        "event_key": "wamid.AA1",
        "contact": "34600111222",
        "text": "Hola",
        "occurred_at": "2026-11-24T06:00:00+00:00",
        "supported": True,
    }


def test_a_file_without_an_event_is_one_line_of_kind_none() -> None:
    (line,) = map(json.loads, run(CORPUS / "entry_list_empty.json").stdout.splitlines())

    assert (line["kind"], line["event_key"], line["supported"]) == ("none", None, False)


def test_an_unreadable_path_is_exit_code_2_and_costs_no_other_file(tmp_path: Path) -> None:
    done = run(tmp_path / "missing.json", tmp_path, CORPUS / "text_plain.json")

    assert done.returncode == 2
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == ["message"]
    assert b"missing.json" in done.stderr


@pytest.mark.parametrize(("channel", "key", "contact"), [("messenger", "m_1", "6001"), ("instagram", "aWd1", "7001")])
def test_each_channel_is_read_in_its_own_way(channel: str, key: str, contact: str) -> None:
    (line,) = map(json.loads, run(CORPUS.parent / channel / "text_plain.json", channel=channel).stdout.splitlines())

    assert (line["kind"], line["event_key"], line["contact"], line["supported"]) == ("message", key, contact, True)
