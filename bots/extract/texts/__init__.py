"""All texts that the service itself sends, in the contact's language: what answers commands, and what is said in place of the model.

The texts are data, one file a language. An unknown language is answered in English.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from bots.extract.cues import is_relative

USUAL = "en"


def text(name: str, language: str = USUAL, **filled: object) -> str:
    """A text by its name, with what is filled in."""
    return str(of(language)[name]).strip().format(**filled)


def of(language: str) -> Mapping[str, Any]:
    """All texts of a language, which may be written with a region: pt-BR."""
    return files().get(language[:2].lower(), files()[USUAL])


def fact_text(kind: str, value: str, language: str = USUAL, *, day: date | None = None, last_day: date | None = None) -> str:
    """A fact about a person, said to them, with the days of a plan."""
    texts = of(language)
    kind, value = of_family(kind, value, language)
    sentence = texts["facts"].get(kind)
    fact = sentence.replace("{}", value) if sentence else value
    if day is None:
        return fact
    form = str(texts["dated"] if last_day in (None, day) else texts["dated_days"])
    return _filled(form, fact=fact, day=day_text(day, language), last_day=day_text(last_day or day, language))


def of_family(kind: str, value: str, language: str = USUAL) -> tuple[str, str]:
    """The kind and value under which a fact is told: "daughter peanuts", an allergy, is no allergy of the person's own, but "daughter: allergy peanuts"."""
    named = of(language)["of_family"].get(kind)
    who, _, what = value.partition(" ")
    return ("family", f"{who}: {named} {what}") if named and what and is_relative(who) else (kind, value)


def day_text(day: date, language: str = USUAL) -> str:
    """A day as the language writes it."""
    texts = of(language)
    return str(texts["date"]).format(day=day.day, month=texts["months"][day.month - 1], year=day.year)


def row_text(name: str, language: str, *, when: date, fact: str = "", source: str = "") -> str:
    """A row of the answer to /why."""
    return _filled(str(of(language)[name]), fact=fact, when=day_text(when, language), source=source)


@cache
def files() -> Mapping[str, Mapping[str, Any]]:
    """The files as they are, by language."""
    return {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(Path(__file__).parent.glob("*.toml"))}


def _filled(form: str, **values: str) -> str:
    # What a person wrote may have braces: they are not read again.
    return form.format(**values)
