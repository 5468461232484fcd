"""The two ways to load one engine: `vllm bench serve`, and people who write to the whole service. Both send the same prompts.

Of a chat `vllm bench serve` sends one message a prompt. The service's prompts have several, so it gets them as the engine's template writes them, and sends
them as completions: the same tokens, in the same kind of stream.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.engine_meter import Meter
from bots.storage import endpoints, tenants
from bots.storage.endpoints import Form
from chinwag.local import engine as local
from inference.engines.vllm import Vllm
from tests.support import build, models
from tests.support.processes import Processes, until
from tests.support.stack import Stack

_ASKED = (
    "Letter number {n}. Write me a long story about the keeper of an old lighthouse on a small island, his daughter who wants to be a "
    "sailor, and the night of the great storm. Take your time, and begin with the morning."
)
_NUMBER = re.compile(r"(?<=Letter number )\d+")
#: What a probe finds of it, in a minute on a CPU: the rest is as where nobody has asked.
_TRAITS = {"context": 8192, "priority": True, "cache_salt": True}
#: A worker knows of a change by then.
_KNOWN_S = 3.0
_FROZEN = ("web", "worker-", "dispatcher", "platform", "model")


class Sides:
    """One engine, one service on it, and both ways to load the engine."""

    def __init__(
        self, engine: Vllm, model: local.Checkpoint, stack: Stack, folder: Path, *, tokens: int, temperature: float, top_p: float
    ) -> None:
        """tokens: the most of an answer."""
        self._engine, self._model, self._stack, self._folder = engine, model, stack, folder
        self._tokens, self._temperature, self._top_p = tokens, temperature, top_p
        self._asked = 0
        #: A prompt of the service for a first message, as the engine's template writes it.
        self._prompt = ""

    def connect(self) -> None:
        """Make it the endpoint that answers, as an operator does."""
        form = Form(name="engine", url=f"{self._engine.url}/v1", model=self._model.name, leaves_house=False)
        row = models.add_endpoint(self._stack, form)
        with self._stack.engine("web").begin() as connection:
            endpoints.set_profile(connection, tenants.default(connection), "default", [(0, row.id)])
        self.take(pieces=True)

    def take(self, *, pieces: bool) -> None:
        """Let the service take several tokens in a piece, or each by itself."""
        found = json.dumps(_TRAITS | {"stream_interval": pieces})
        with self._stack.owner.begin() as connection:
            connection.exec_driver_sql("update endpoints set traits = %s::jsonb, probe_at = null", (found,))
        time.sleep(_KNOWN_S)

    def _next(self) -> int:
        self._asked += 1
        return 1000 + self._asked

    def warm(self, people: int) -> None:
        """Let some people be answered, so that all connections are open, and keep the form of their prompts."""
        self.service(people, people)
        (row,) = self._stack.rows("select prompt from model_calls where outcome = 'ok' order by created_at desc limit 1")
        with httpx.Client(base_url=self._engine.url, timeout=30, trust_env=False) as engine:
            asked = {"model": self._model.name, "messages": row["prompt"], "add_generation_prompt": True}
            tokens = engine.post("/tokenize", json=asked).raise_for_status().json()["tokens"]
            said = engine.post("/detokenize", json={"model": self._model.name, "tokens": tokens})
        self._prompt = said.raise_for_status().json()["prompt"]

    def straight(self, at_once: int, total: int) -> dict[str, Any]:
        """Let `vllm bench serve` send the service's own prompts, alone on the machine with the engine."""
        asked = self._folder / "asked.json"
        rows = [{"conversations": [{"value": self._numbered()}, {"value": "."}]} for _ in range(total)]
        asked.write_text(json.dumps(rows), encoding="utf-8")
        command = [
            *(str(local.venv() / "bin" / "vllm"), "bench", "serve", "--backend", "openai", "--endpoint", "/v1/completions"),
            *("--base-url", self._engine.url, "--model", str(self._model.folder), "--served-model-name", self._model.name),
            *("--dataset-name", "sharegpt", "--dataset-path", str(asked), "--sharegpt-output-len", str(self._tokens), "--disable-tqdm"),
            *("--num-prompts", str(total), "--max-concurrency", str(at_once), "--ready-check-timeout-sec", "0"),
            *("--temperature", str(self._temperature), "--top-p", str(self._top_p)),
            *("--save-result", "--result-dir", str(self._folder), "--result-filename", "said.json"),
        ]
        with self._frozen(), Meter(self._engine) as meter:
            process = Processes(self._folder).start_command("bench", command, {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"})
            assert process.popen.wait(1800) == 0, process.printed()[-2000:]
        said = json.loads((self._folder / "said.json").read_text(encoding="utf-8"))
        assert said["completed"] == total, said
        return meter.found(said["duration"]) | {"said_itself": round(said["output_throughput"], 2)}

    def _numbered(self) -> str:
        return _NUMBER.sub(str(self._next()), self._prompt)

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        processes = [one for one in self._stack.processes.all if one.name.startswith(_FROZEN) and one.alive()]
        for one in processes:
            one.freeze()
        try:
            yield
        finally:
            for one in processes:
                one.thaw()

    def service(self, at_once: int, total: int) -> dict[str, Any]:
        """Keep so many people in conversation with the service: whoever has an answer is replaced by the next person."""
        seen = max((entry["n"] for entry in self._stack.platform.log()), default=0)
        waiting: set[str] = set()
        begun = 0
        until(self._stack.web_is_ready, what="the web is back")
        calls = self._calls()
        with httpx.Client(base_url=self._stack.platform.url, timeout=30, trust_env=False) as platform, Meter(self._engine) as meter:
            began = time.monotonic()
            while begun < total or waiting:
                while begun < total and len(waiting) < at_once:
                    person = build.a_person()
                    waiting.add(person.number)
                    self._post(person)
                    begun += 1
                # The platform answers as soon as there is something new: no time is spent on polling.
                for entry in platform.get("/_practice/log", params={"after": seen, "wait": 5}).raise_for_status().json()["entries"]:
                    seen = entry["n"]
                    if entry["kind"] == "message":
                        waiting.discard(str(entry.get("to") or "").lstrip("+"))
            seconds = time.monotonic() - began
        return meter.found(seconds) | {"calls": self._grown(calls), "people": total}

    def token_by_token(self, at_once: int, total: int) -> dict[str, Any]:
        """The same where each token comes by itself."""
        self.take(pieces=False)
        try:
            return self.service(at_once, total)
        finally:
            self.take(pieces=True)

    def _post(self, person: build.Person) -> None:
        body = build.a_webhook(messages=[build.a_text(person, _ASKED.format(n=self._next()))], people=[person])
        until(lambda: self._stack.post(body) == 200, what="the webhook was taken", timeout_s=60)

    def _calls(self) -> dict[str, int]:
        rows: Sequence[dict[str, Any]] = self._stack.rows("select outcome, count(*) as n from model_calls group by outcome")
        return {row["outcome"]: row["n"] for row in rows}

    def _grown(self, before: dict[str, int]) -> dict[str, int]:
        """How many calls there were; those that were garbage were asked again."""
        grown = {name: count - before.get(name, 0) for name, count in self._calls().items()}
        return {name: count for name, count in grown.items() if count}
