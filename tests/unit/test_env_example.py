""".env.example is what the settings say: complete, current, and harmless to copy as it stands."""

from __future__ import annotations

import re
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

from bots.settings import Settings
from chinwag.cli.env_example import env_example
from inference.settings import ModelSettings

_ROOT = Path(__file__).parents[2]
_LINES = (_ROOT / ".env.example").read_text("utf-8").splitlines()
_ASSIGNED = [match for line in _LINES if (match := re.match(r"(#?)([A-Z_]+)=(.*)$", line))]


def test_the_example_is_current() -> None:
    assert env_example() == "\n".join(_LINES) + "\n", "write it again: .venv/bin/python -m chinwag env-example > .env.example"


def test_every_setting_is_in_it_once() -> None:
    wanted = [f"CHINWAG_{field.name.upper()}" for field in fields(Settings)]
    wanted += [f"CHINWAG_MODEL_{field.name.upper()}" for field in fields(ModelSettings)]

    assert sorted(match[2] for match in _ASSIGNED if match[2].startswith("CHINWAG_")) == sorted(wanted)


def test_what_compose_reads_is_in_it_and_nothing_else_is() -> None:
    read = set(re.findall(r"\$\{([A-Z_]+)[:}]", (_ROOT / "compose.yaml").read_text("utf-8")))
    others = {match[2] for match in _ASSIGNED if not match[2].startswith("CHINWAG_")}

    assert others == {name for name in read if not name.startswith("CHINWAG_")} | {"COMPOSE_PROFILES"}


def test_a_copy_is_taken_as_it_stands() -> None:
    copied = {match[2]: match[3] for match in _ASSIGNED if not match[1]}

    assert Settings.from_env(copied).public_url == copied["CHINWAG_PUBLIC_URL"]
    assert ModelSettings.from_env({name: value for name, value in copied.items() if name.startswith("CHINWAG_MODEL_")}).url


def test_a_line_with_a_mark_shows_what_holds_without_it() -> None:
    shown = {match[2]: match[3] for match in _ASSIGNED if match[1] and match[2].startswith("CHINWAG_")}
    given = {name: value for name, value in shown.items() if value and not name.startswith("CHINWAG_MODEL_")}

    assert Settings.from_env(given) == Settings()


def test_a_setting_has_a_comment_above() -> None:
    bare = [line for before, line in pairwise(_LINES) if re.match(r"#?[A-Z_]+=", line) and not before.startswith("# ")]

    assert bare == []
