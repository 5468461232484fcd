"""The recall set: 20 people of three languages, 30 sessions each, and questions with the turns that answer them, from the scenes in sets/.

Each person tells a scene once, between small talk. The same set comes out each time. To write it into a file: `python -m bench.memory.people FILE`.
"""

from __future__ import annotations

import json
import random
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

SETS = Path(__file__).parent / "sets"
_PEOPLE = {"en": ["Ann", "Bill", "Cora", "Dev", "Edith", "Femi", "Gwen", "Hal"], "es": ["Alba", "Beto", "Celia", "Diego", "Elsa", "Fermín"], "de": ["Anja", "Bernd", "Clara", "Dirk", "Elke", "Falk"]}  # fmt: skip
_SESSIONS = 30
_MONTH = {
    "en": ("What did I tell you in {} {}?", ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]),
    "es": ("¿Qué te conté en {} de {}?", ["enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"]),
    "de": ("Was habe ich dir im {} {} erzählt?", ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"]),
}  # fmt: skip


def talks() -> list[dict[str, Any]]:
    """Every person's talk: {conversation, language, speakers, turns: [{id, session, at, speaker, text}], questions: [{number, question, kind, gold}]}."""
    chance = random.Random(15)
    return [_talk(chance, language, name) for language, names in _PEOPLE.items() for name in names]


def _talk(chance: random.Random, language: str, name: str) -> dict[str, Any]:
    table = tomllib.loads((SETS / f"recall_scenes_{language}.toml").read_text("utf-8"))
    scenes = chance.sample(table["scene"], _SESSIONS)
    at = datetime(2026, 1, 5, 9, 0, tzinfo=UTC) + timedelta(days=chance.randrange(20))
    friend = chance.choice(table["slots"]["friend"])
    turns: list[dict[str, Any]] = []
    questions: list[dict[str, Any]] = []
    threads: dict[str, list[str]] = {}
    news: list[str] = []
    asked_months: list[tuple[int, int]] = []
    for session, scene in enumerate(scenes, start=1):
        at = (at + timedelta(days=chance.randrange(3, 16))).replace(hour=chance.randrange(7, 22), minute=chance.randrange(60))
        slots = {slot: chance.choice(words) for slot, words in table["slots"].items()} | {"friend": friend}

        say = partial(_say, turns, session=session, at=at, slots=slots)
        for _ in range(chance.randrange(1, 3)):
            say(chance.choice([*table["greet"], *table["chat"]]), by=name)
            say(chance.choice(table["reply"]), by="assistant")
        told = say(scene["say"], by=name)
        advice = say(scene.get("advice") or chance.choice(table["reply"]), by="assistant")
        more = say(scene["more"], by=name)
        say(chance.choice(table["reply"]), by="assistant")
        for _ in range(chance.randrange(1, 4)):
            say(chance.choice(table["chat"]), by=name)
            say(chance.choice(table["reply"]), by="assistant")
        threads.setdefault(scene["thread"], []).append(told)
        news += [told, more]
        asked = [(ask, "single-hop", told) for ask in scene["ask"]] + [(ask, "single-hop", more) for ask in scene.get("then", [])]
        if "advice" in scene:
            asked.append((scene["ask_advice"], "single-hop", advice))
        if "when" in scene:
            asked.append((scene["when"], "temporal", told))
        questions += [{"question": ask.format(**slots), "kind": kind, "gold": [turn]} for ask, kind, turn in asked]
        if session % 6 == 0:
            asked_months.append((at.year, at.month))
    words, months = _MONTH[language]
    for year, month in dict.fromkeys(asked_months):
        gold = [turn["id"] for turn in turns if turn["id"] in news and turn["at"].startswith(f"{year}-{month:02}")]
        questions.append({"question": words.format(months[month - 1], year), "kind": "temporal", "gold": gold})
    questions += [
        {"question": table["threads"][thread].format(friend=friend), "kind": "multi-hop", "gold": gold}
        for thread, gold in threads.items()
        if len(gold) > 1
    ]
    for number, question in enumerate(questions):
        question["number"] = number
    return {
        "conversation": f"{language}-{name}",
        "language": language,
        "speakers": [name, "assistant"],
        "turns": turns,
        "questions": questions,
    }


def _say(turns: list[dict[str, Any]], text: str, *, by: str, session: int, at: datetime, slots: dict[str, str]) -> str:
    """Add a turn, and return its id."""
    number = sum(turn["session"] == session for turn in turns) + 1
    turns.append({"id": f"D{session}:{number}", "session": session, "at": at.isoformat(), "speaker": by, "text": text.format(**slots)})
    return str(turns[-1]["id"])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(talks(), ensure_ascii=False) + "\n", encoding="utf-8")
