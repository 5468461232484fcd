"""How many of 40 questions in six languages a model answers rightly, and to the person, when it was told facts about them; and of 26 about what was
said in the same talk, or in the very message.

The prompt, the call and the last check are the service's own; each question is asked once, as the service samples. bench/told_facts.toml has the
questions and says what is right. Patterns judge, so read the answers, too: they are all in the result.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import tempfile
import tomllib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from bots.settings import Settings
from bots.storage.claims import KnownFact, PastTurn
from bots.storage.turns import NewFact
from chinwag.local import demo, models
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from inference.answer_guard import check
from inference.client import Breaker, ModelClient
from inference.engines.llamacpp import LlamaCpp
from inference.errors import GarbageAnswer
from inference.prompt_style import for_endpoint
from inference.settings import ModelSettings
from inference.tokens import estimate
from inference.types import Endpoint, Message, Timeouts
from tests.support.processes import until
from workers.model_call import TRIES
from workers.sentences import whole_part
from workers.turn import prompt, telling
from workers.turn.aside import Aside
from workers.turn.stated import Stated

_FILE = Path(__file__).with_suffix(".toml")
_AIM = 30
#: Longer answers are cut as the service cuts them: enough for three short sentences.
_ANSWER_TOKENS = 80
#: When all of them are asked.
_NOW = datetime(2026, 11, 30, 17, 56, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, what was told before it, and the patterns of a right answer."""

    language: str
    ask: str
    facts: tuple[str, ...]
    #: Learned in this talk, and stated in the very message.
    new: tuple[str, ...]
    states: tuple[str, ...]
    #: What was asked and answered earlier in the talk, in turn.
    before: tuple[str, ...]
    right: tuple[str, ...]
    wrong: tuple[str, ...]

    def prompt(self, persona: str) -> Sequence[Message]:
        """The service's own prompt for it."""
        memories = [_memory(fact, is_new=False) for fact in self.facts] + [_memory(fact, is_new=True) for fact in self.new]
        facts = [NewFact(kind=kind, text=text, source=uuid4()) for kind, _, text in (fact.partition("=") for fact in self.states)]
        pairs = zip(self.before[::2], self.before[1::2], strict=True)
        history = [PastTurn(number=n, asked=asked, answer=answer, at=_NOW) for n, (asked, answer) in enumerate(pairs, start=1)]
        language = prompt.language_of(history, [self.ask], default="en")
        told = telling.choose(
            memories, Stated(facts=facts), history=history, said=self.ask, language=language, count=estimate, is_new_session=False
        )
        return prompt.build(
            persona=persona,
            memories=told.profile,
            history=history,
            texts=[self.ask],
            budget=Settings().history_tokens,
            count=estimate,
            now=_NOW,
            aside=Aside(facts=[*told.beside, *told.stated]),
        ).messages

    def faults(self, answer: str) -> list[str]:
        """Which patterns say that this answer is not right; none where it is."""
        said = answer.replace("\u2019", "'").replace("\u02bc", "'")
        missing = [f"lacks {pattern}" for pattern in self.right if not re.search(pattern, said, re.IGNORECASE)]
        return missing + [f"has {pattern}" for pattern in self.wrong if re.search(pattern, said, re.IGNORECASE)]


def _memory(fact: str, *, is_new: bool) -> KnownFact:
    kind, _, text = fact.partition("=")
    return KnownFact(id=uuid4(), kind=kind, text=text, said_at=_NOW, is_new=is_new)


@cache
def questions(name: str) -> tuple[Question, ...]:
    """The set of this name: judged, tuning, or talk."""
    table: dict[str, Any] = tomllib.loads(_FILE.read_text("utf-8"))
    found: list[Question] = []
    for row in table[name]:
        usual = table["language"][row["language"]]
        texts = {key: tuple(row.get(key, ())) for key in ("facts", "new", "states", "before", "right")}
        names = [re.escape(fact.removeprefix("name=")) for fact in texts["facts"] if fact.startswith("name=")]
        of_person = [usual["of_person"].replace("{name}", name) for name in names]
        wrong = (*row.get("wrong", ()), *usual["as_person"], *of_person, *usual["foreign"])
        found.append(Question(language=row["language"], ask=row["ask"], wrong=wrong, **texts))
    return tuple(found)


def answer(client: ModelClient, messages: Sequence[Message]) -> str:
    """What would reach the person; empty where the service would apologise."""
    usual = ModelSettings.from_env({})
    messages = for_endpoint(messages, client.endpoint.traits)
    for _ in range(TRIES):
        try:
            given = client.chat(messages, max_tokens=_ANSWER_TOKENS, temperature=usual.temperature, top_p=usual.top_p)
            text = check(given, messages)
        except GarbageAnswer:
            continue
        return whole_part(text) if given.finish_reason == "length" else text
    return ""


def open_client(url: str, model: str) -> ModelClient:
    """A client that waits as long as a busy machine needs."""
    timeouts = Timeouts(connect_s=5, first_token_s=120, silence_s=60, total_s=300)
    return ModelClient(Endpoint(name=model, url=url, model=model), timeouts=timeouts, breaker=Breaker())


def measure(client: ModelClient, asked: Sequence[Question], persona: str) -> list[dict[str, Any]]:
    """Ask each question once."""
    rows: list[dict[str, Any]] = []
    for question in asked:
        text = answer(client, question.prompt(persona))
        faults = question.faults(text)
        rows.append({"language": question.language, "ask": question.ask, "answer": text, "right": not faults, "faults": faults})
        print(f"{'right' if not faults else 'WRONG'} {question.language} {question.ask} -> {text!r}", flush=True)
    return rows


@contextlib.contextmanager
def _engine(file: Path, name: str) -> Generator[str]:
    """The embedded engine on a model file; yields its base address."""
    with socket.create_server(("127.0.0.1", 0)) as free, tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder:
        port = free.getsockname()[1]
        free.close()
        engine = LlamaCpp(file, alias=name, port=port, log=Path(folder) / "engine.log", env=os.environ)
        try:
            engine.start()
            until(engine.ready, timeout_s=120, what="the model answers")
            yield f"{engine.url}/v1"
        finally:
            engine.stop(5)


def main() -> None:
    """Ask every question once and count."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument(
        "--model", type=Path, action="append", help="a GGUF file, also several times; default: what MODEL= names for `make run`"
    )
    parser.add_argument(
        "--set",
        choices=("judged", "tuning", "talk"),
        default="judged",
        help="the 40 questions; the 20 that were used for tuning; or those about what was said in the same talk",
    )
    parser.add_argument("--persona", type=Path, help="a file with another persona than the demo bot's")
    given = parser.parse_args()
    persona = given.persona.read_text("utf-8") if given.persona else demo.PERSONA
    files = given.model or [models.find(LocalSettings.from_env(os.environ), Report()).path]
    asked, rows = questions(given.set), dict[str, list[dict[str, Any]]]()
    for file in files:
        with _engine(file, file.stem) as url:
            rows[file.stem] = measure(open_client(url, file.stem), asked, persona)
    counted = {name: sum(row["right"] for row in found) for name, found in rows.items()}
    for name, right in counted.items():
        print(f"{name}: {right} of {len(asked)} right")
    result = {"set": given.set, "of": len(asked), "aim_of_40": _AIM, "right": counted, "persona": persona, "rows": rows}
    name = "told_facts" if given.set == "judged" else f"told_facts_{given.set}"
    report.keep(name, result, given.json)
    report.bars(name, "Questions about told facts", "answers", {k: {"right": v, "not right": len(asked) - v} for k, v in counted.items()})


if __name__ == "__main__":
    main()
