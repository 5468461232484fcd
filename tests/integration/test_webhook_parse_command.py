"""`chinwag webhook parse`: JSON lines alone on stdout, at least one a file, without a database."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import forked

CORPUS = Path(__file__).parent.parent / "corpus" / "whatsapp"
FIELDS = {"file", "kind", "event_key", "contact", "text", "occurred_at", "supported", "content_type"}
#: Where an event has them.
MORE = {
    "account", "contact_name", "identities", "previous", "quoted", "target", "refers", "media", "at_once", "addressed", "app_id", "status", "notice",
    "effect", "reason",
}  # fmt: skip


def run(*files: Path | str, channel: str = "whatsapp") -> subprocess.CompletedProcess[bytes]:
    return forked.run("chinwag", "webhook", "parse", "--channel", channel, *map(str, files), env=os.environ)


def test_every_file_gives_lines_of_the_promised_fields_and_exit_code_0(tmp_path: Path) -> None:
    odd = tmp_path / "oddé\udcff.json"
    odd.write_bytes(b"\xff\x00")
    files = [*sorted(CORPUS.glob("*.json")), odd]

    done = run(*files)

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert all(FIELDS <= set(line) <= FIELDS | MORE for line in lines)
    assert MORE - {name for line in lines for name in line} == {"app_id"}
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
        "content_type": "text",
        "account": "700800900100200",
        "contact_name": "Ana Prado",
        "identities": [{"kind": "phone", "value": "34600111222"}],
    }


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("text_quotes_a_message.json", {"quoted": "wamid.OUT"}),
        ("reaction_put.json", {"target": "wamid.OUT", "content_type": "reaction"}),
        ("image_with_caption.json", {"media": [{"kind": "image", "reference": "111", "media_type": "image/jpeg"}]}),
        ("status_failed_with_code.json", {"status": {"status": "failed", "error_code": 131047}}),
        (
            "location_with_address.json",
            {"refers": [{"name": "place", "text": "Office"}, {"name": "place coordinates", "text": "40.4, -3.7"}]},
        ),
        ("field_account_update_disabled.json", {"notice": {"field": "account_update", "event": "DISABLED_UPDATE"}}),
    ],
)
def test_what_else_an_event_has_is_told(file: str, told: dict[str, Any]) -> None:
    (line,) = map(json.loads, run(CORPUS / file).stdout.splitlines())

    for name, value in told.items():
        assert ({key: line[name][key] for key in value} if isinstance(value, dict) else line[name]) == value


def test_a_groups_message_is_told_as_an_account_takes_it() -> None:
    file = CORPUS / "group_message_that_names_the_number.json"
    (default,), (answering,) = (
        list(map(json.loads, forked.run("chinwag", "webhook", "parse", *more, str(file), env=os.environ).stdout.splitlines()))
        for more in ((), ("--groups",))
    )

    assert (default["kind"], default["contact"], default["supported"]) == ("unknown", None, False)
    assert (answering["kind"], answering["contact"], answering["addressed"]) == ("message", "G1", True)


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
