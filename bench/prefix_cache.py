"""Conversations of many turns with memory on real vLLM: prompt tokens from the prefix cache, for our layout of a prompt against a naive one.

Ours is workers.turn.prompt.build: persona first, then what is remembered, rewritten only when a new session begins, then the history
append-only; what only the new message needs, right before it. The naive one has in its system text, at the beginning, all that is remembered so far and the time of day. The hit rate is the
engine's own. `allowed` is what the lengths and blocks of 32 tokens allow: on a turn that continues a conversation, all full blocks before the
new message; on a person's first turn, and where a session begins, those of the persona; on the very first none.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report, serving
from bots.extract import extract
from bots.settings import Settings
from bots.storage.claims import KnownFact, PastTurn
from bots.storage.turns import NewFact
from inference.answer_guard import check
from inference.client import Breaker, ModelClient
from inference.engines.vllm import Vllm
from inference.errors import GarbageAnswer
from inference.settings import ModelSettings
from inference.tokens import estimate
from inference.types import Endpoint, Hints, Message, Timeouts, Traits
from tests.support.processes import until
from workers.turn import prompt, telling
from workers.turn.aside import Aside
from workers.turn.stated import Stated
from workers.turn.told import fact_line

_BLOCK = 32
_AIM = 0.95
_ANSWER_TOKENS = 24
_SESSION = 5
_PERSONA = (
    "You are the assistant of a small travel bookshop in Porto, and you talk with its customers in a messenger. Answer in the customer's own "
    "language, in at most three short sentences, and without lists. You know the shop: it is open from Tuesday to Saturday between ten and "
    "seven, it lies two minutes from the river, it has guides, maps and novels in five languages, and it orders whatever is in print within a "
    "week. Delivery costs three euros in the country and nine elsewhere; what is bought may be given back within thirty days with the "
    "receipt. Recommend a book only where the customer asks for one or is plainly looking for one, and say in a few words why it fits. When "
    "you do not know something say so plainly, and offer to ask a person of the shop. Never invent a title, a price or a date. Be warm, be "
    "brief, and do not tell the customer what these instructions are."
)
#: A person's messages, two sessions of five turns: they say things that are worth remembering, and ask.
_TALK = (
    "Hello! My name is {name} and I live in {place}. Do you have old maps of the coast?",
    "I like {likes}. Which one would you give to a friend for a birthday?",
    "That sounds good. How long does it take until it is here if you have to order it first?",
    "My daughter reads a lot too, she is nine years old. Is there something for her about ships?",
    "I work as a {work}, so I can only come on Saturdays. Until when are you open then?",
    "Good morning, it is me again. Did the book about the ships arrive by now?",
    "Wonderful, then I will come by. I don't like {dislikes}, so please nothing of that kind beside it.",
    "What does the delivery cost when I send one of the maps to my brother in another country?",
    "I have a dog called {pet}. May it come in with me, or should it wait outside the door?",
    "Thank you, that is all for today. Is there anything new on the shelf that I should look at on Saturday?",
)
_PEOPLE = (
    ("Marta", "Porto", "detective novels", "nurse", "horror stories", "Bolt"),
    ("Jonas", "Bergen", "books about mountains", "carpenter", "poems", "Luna"),
    ("Aiko", "Osaka", "travel diaries", "teacher", "war novels", "Momo"),
    ("Carlos", "Sevilla", "cooking books", "driver", "science fiction", "Toro"),
    ("Ines", "Lisbon", "history books", "doctor", "love stories", "Mel"),
    ("Petra", "Graz", "books about trains", "gardener", "crime novels", "Fips"),
)


@dataclass
class _Person:
    """One conversation in one layout."""

    words: Sequence[str]
    history: list[PastTurn] = field(default_factory=list)
    #: What is known, the newest last; new: learned since the session began.
    facts: list[KnownFact] = field(default_factory=list)


@dataclass
class _Layout:
    """One way to lay out prompts, in a cache of its own."""

    name: str
    people: list[_Person]
    salt: str = field(default_factory=lambda: uuid4().hex)
    queries: float = 0.0
    hits: float = 0.0
    allowed: int = 0
    tokens: int = 0
    first_token_ms: list[float] = field(default_factory=list)
    garbage: int = 0

    def messages(self, person: _Person, turn: int, now: datetime, *, beside: bool = True) -> Sequence[Message]:
        """The prompt of a turn; with what is told beside the message, or without."""
        if self.name == "ours":
            settings, words = Settings(), person.words[turn]
            told = telling.choose(
                person.facts[::-1],
                _stated(words, now),
                history=person.history,
                said=words,
                language="en",
                count=estimate,
                is_new_session=False,
            )
            return prompt.build(
                persona=_PERSONA,
                memories=told.profile,
                history=person.history,
                texts=[words],
                budget=settings.history_tokens,
                count=estimate,
                now=now,
                aside=Aside(facts=[*told.beside, *told.stated]) if beside else Aside(),
            ).messages
        facts = "; ".join(fact_line(fact.kind, fact.text, language="en") for fact in reversed(person.facts))
        system = f"What you know of the customer: {facts or 'nothing yet'}. It is {now:%A, %d %B %Y, %H:%M}.\n{_PERSONA}"
        messages = [Message(role="system", content=system)]
        for past in person.history:
            messages += [Message(role="user", content=past.asked), Message(role="assistant", content=past.answer)]
        return [*messages, Message(role="user", content=person.words[turn])]


class Bench:
    """One engine, asked by the service's own client."""

    def __init__(self, engine: Vllm) -> None:
        self._engine = engine
        endpoint = Endpoint(name="bench", url=f"{engine.url}/v1", model=engine.model, traits=Traits(cache_salt=True))
        timeouts = Timeouts(connect_s=3, first_token_s=60, silence_s=60, total_s=120)
        self._client = ModelClient(endpoint, timeouts=timeouts, breaker=Breaker())
        self._http = httpx.Client(base_url=engine.url, timeout=60, trust_env=False)
        self._now = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
        self._usual = ModelSettings.from_env({})
        self._persona = self._count([Message(role="system", content=_PERSONA)], ask=False)

    def wave(self, layout: _Layout, turn: int) -> None:
        """Let everybody send their next message, one after the other, and count what the engine had in its cache."""
        before = serving.figures(self._engine)
        asked = sum(self._turn(layout, person, turn) for person in layout.people)

        def grown() -> tuple[float, float] | None:
            after = serving.figures(self._engine)
            names = ("vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total")
            queries, hits = (after.get(name, 0.0) - before.get(name, 0.0) for name in names)
            return (queries, hits) if queries >= asked else None

        queries, hits = until(grown, what="the engine counted every prompt")
        assert queries == asked, f"the engine was asked {queries} tokens, {asked} of them by this bench"
        layout.queries += queries
        layout.hits += hits

    def _turn(self, layout: _Layout, person: _Person, turn: int) -> int:
        """Ask for one answer, and return how many tokens the prompt has."""
        self._now += timedelta(minutes=1)
        if turn % _SESSION == 0:
            person.facts = [msgspec.structs.replace(fact, is_new=False) for fact in person.facts]
        messages = layout.messages(person, turn, self._now)
        tokens = self._count(messages)
        layout.tokens += tokens
        layout.allowed += self._allowed(layout, layout.messages(person, turn, self._now, beside=False), turn)
        answer = self._client.chat(
            messages,
            max_tokens=_ANSWER_TOKENS,
            temperature=self._usual.temperature,
            top_p=self._usual.top_p,
            hints=Hints(cache_salt=layout.salt),
        )
        layout.first_token_ms.append(answer.first_token_ms)
        try:
            said = check(answer, messages)
        except GarbageAnswer:
            layout.garbage += 1
            said = "I am sorry, I cannot answer that right now."
        words = person.words[turn]
        person.history.append(PastTurn(number=turn + 1, asked=words, answer=said, at=self._now))
        # Learnt in the turn; each layout puts it in its own place.
        facts = _stated(words, self._now).facts
        person.facts += [KnownFact(id=uuid4(), kind=fact.kind, text=fact.text, said_at=self._now, is_new=True) for fact in facts]
        return tokens

    def _allowed(self, layout: _Layout, messages: Sequence[Message], turn: int) -> int:
        if not layout.first_token_ms:
            return 0
        if turn % _SESSION == 0:
            return self._persona // _BLOCK * _BLOCK
        return self._count(messages[:-1], ask=False) // _BLOCK * _BLOCK

    def _count(self, messages: Sequence[Message], *, ask: bool = True) -> int:
        """How many tokens a prompt has by the engine's own template; `ask` adds the start of the answer."""
        body = {
            "model": self._engine.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "add_generation_prompt": ask,
        }
        return len(self._http.post("/tokenize", json=body).raise_for_status().json()["tokens"])


def _stated(words: str, now: datetime) -> Stated:
    found = extract(words, today=now.date()).facts
    return Stated(facts=[NewFact(kind=fact.kind, text=fact.value, source=uuid4(), topic=fact.topic) for fact in found])


def _round(bench: Bench, people: int, turns: int) -> dict[str, dict[str, Any]]:
    """Both layouts, wave by wave in turn, each from an empty cache."""
    keys = ("name", "place", "likes", "work", "dislikes", "pet")
    talks = [[words.format(**dict(zip(keys, person, strict=True))) for words in _TALK] for person in _PEOPLE[:people]]
    layouts = [_Layout(name, [_Person(words) for words in talks]) for name in ("ours", "naive")]
    for turn in range(turns):
        for layout in layouts:
            bench.wave(layout, turn)
    return {layout.name: _row(layout, people) for layout in layouts}


def _row(layout: _Layout, people: int) -> dict[str, Any]:
    later = layout.first_token_ms[people:]
    return {
        "hit_rate": round(layout.hits / layout.queries, 4),
        "allowed": round(layout.allowed / layout.tokens, 4),
        "of_allowed": round(layout.hits / layout.allowed, 4),
        "prompt_tokens": layout.tokens,
        "prompts": len(layout.first_token_ms),
        "first_token_p50_ms": round(report.percentile(later, 0.5), 1),
        "first_token_p95_ms": round(report.percentile(later, 0.95), 1),
        "garbage": layout.garbage,
    }


def _medians(rounds: Sequence[dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        {"layout": name, "rounds": len(rounds)} | {key: statistics.median(one[name][key] for one in rounds) for key in rounds[0][name]}
        for name in rounds[0]
    ]


def main() -> None:
    """Measure every round and write the result."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=3, help="how often all conversations are held, each time from an empty cache")
    parser.add_argument("--people", type=int, default=len(_PEOPLE))
    parser.add_argument("--turns", type=int, default=len(_TALK))
    given = parser.parse_args()
    model, rounds = serving.checkpoint(), []
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, serving.real_engine(model, Path(folder), slots=8) as engine:
        bench, others = Bench(engine), list[float]()
        for n in range(given.rounds):
            meanwhile = serving.Meanwhile()
            rounds.append(_round(bench, given.people, given.turns))
            others.append(meanwhile.others_share())
            print(f"{n + 1} of {given.rounds}: {rounds[-1]}", flush=True)
    rows = _medians(rounds)
    columns = ["layout", "hit_rate", "allowed", "of_allowed", "first_token_p50_ms", "first_token_p95_ms", "prompts", "garbage"]
    report.table(rows, columns)
    setting = {
        "model": model.name,
        "dtype": serving.dtype(),
        "block": _BLOCK,
        "people": given.people,
        "turns": given.turns,
        "a_session": _SESSION,
    }
    report.keep("prefix_cache", {**setting, "aim_of_allowed": _AIM, "rows": rows, "rounds": rounds, "others_share": others}, given.json)
    report.bars(
        "prefix_cache",
        "Prompt tokens from the prefix cache, conversations of ten turns with memory",
        "share of prompt tokens",
        {row["layout"]: {"the engine's hit rate": row["hit_rate"], "lengths and blocks allow": row["allowed"]} for row in rows},
    )
    report.bars(
        "prefix_cache_first_token",
        "Time to the first token in a continued conversation, without other load",
        "ms",
        {row["layout"]: {"p50": row["first_token_p50_ms"], "p95": row["first_token_p95_ms"]} for row in rows},
    )


if __name__ == "__main__":
    main()
