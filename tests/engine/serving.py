"""Real vLLM in a test: started as the installer left it, asked over HTTP on loopback, and ended with all its ranks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from inference.client import Breaker, ModelClient
from inference.types import Endpoint, Timeouts, Traits
from tests.engine.forked import Forked, ForkServer
from tests.support.processes import ROOT, NotReady, die_with_parent, until
from tests.support.stack import a_free_port

VENV = Path(os.environ.get("CHINWAG_ENGINE_VENV", "") or ROOT / ".venv-engine")
PROMPTS = Path(__file__).with_name("prompts.txt").read_text(encoding="utf-8").splitlines()
ANSWER_TOKENS = 16
_START_S = 400.0
#: One thread a rank: two of them, beside another engine on the same two cores, spend most of their time waiting for each other.
ONE_RANK = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
#: Of the client's calls: both cores may be busy.
PATIENT = Timeouts(connect_s=10, first_token_s=60, silence_s=10, total_s=120)
_TWO_RANKS = {"VLLM_CPU_OMP_THREADS_BIND": "0|1", "OMP_NUM_THREADS": "1"}
_ENVIRONMENT = {
    # --enforce-eager leaves some functions to torch.compile, among them the ranks of log-probabilities: 20 s of a core in each engine.
    "TORCHDYNAMO_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # The processes of the ranks meet on loopback.
    "VLLM_HOST_IP": "127.0.0.1",
    "GLOO_SOCKET_IFNAME": "lo",
}
#: The longest prompt and answer together.
CONTEXT = 2048
_ARGUMENTS = ("--enforce-eager", "--block-size", "32", "--max-model-len", str(CONTEXT), "--max-num-seqs", "32", "--dtype", "float32")

ALONE: tuple[str, ...] = ()
TENSOR = ("--tensor-parallel-size", "2", "--enable-expert-parallel")
#: One API server for both ranks: by default each gets its own, and it takes longer to start than all else.
DATA = ("--data-parallel-size", "2", "--enable-expert-parallel", "--api-server-count", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one prompt: the greedy tokens, and for each position the five likeliest with their log-probabilities."""

    tokens: tuple[int, ...]
    likeliest: tuple[dict[str, float], ...]


class VLLM:
    """One serving engine. All its processes end with the block."""

    def __init__(
        self,
        model: Path,
        *arguments: str,
        folder: Path,
        forks: ForkServer | None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """`folder` gets the log. With two ranks each has a core of its own. Without `forks` each of its processes imports vLLM by itself."""
        self._two = any("parallel-size" in argument for argument in arguments)
        self._arguments = (*_ARGUMENTS, *arguments)
        self._model, self._folder, self._forks, self._more = model, folder, forks, environment or {}
        self.port = a_free_port()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120, trust_env=False)
        self._popen: subprocess.Popen[bytes] | Forked | None = None
        self._log = Path()

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and return at once."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log = self._folder / f"{self._model.name}-{self.port}.log"
        env = environment() | (_TWO_RANKS if self._two else ONE_RANK) | self._more
        command = [str(self._model), "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(self.port), *self._arguments]
        with self._log.open("wb") as log:
            if self._forks is not None:
                self._popen = self._forks.serve(command, env=env, cwd=self._folder, log=log)
                return
            self._popen = subprocess.Popen(
                [str(VENV / "bin" / "vllm"), "serve", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=self._folder,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, made after the fork
            )

    def wait_ready(self) -> None:
        """Wait until it is healthy and has answered a request for one token. Raises NotReady with the end of its log."""
        self.wait_healthy()
        try:
            status = self.http.post("/v1/completions", json=_question("a", 1)).status_code
        except httpx.TransportError:
            status = 0
        if status != 200:
            raise NotReady(f"vLLM with {self._model.name} gave HTTP {status} to its first request:\n{self.log()[-6000:]}")

    def wait_healthy(self) -> None:
        """Wait only until its health page answers, which promises nothing. Raises NotReady with the end of its log."""
        end = time.monotonic() + _START_S
        while not self._is_healthy():
            if self.ended() or time.monotonic() > end:
                raise NotReady(f"vLLM with {self._model.name} did not become healthy:\n{self.log()[-6000:]}")
            time.sleep(0.25)

    def _is_healthy(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/health", timeout=5).status_code == 200
        return False

    def ended(self) -> bool:
        """Whether its first process has ended."""
        return self._popen is not None and self._popen.poll() is not None

    def wait_ended(self, timeout_s: float = _START_S) -> int:
        """Wait until it ends by itself, and return its exit code."""
        assert self._popen is not None

        return self._popen.wait(timeout_s)

    def signal(self, number: int, *, of: str) -> None:
        """Send a signal to those of its processes that its log calls so: APIServer, EngineCore, or Worker."""
        found = {int(pid) for pid in re.findall(rf"^\({of}\S* pid=(\d+)\)", self.log(), re.MULTILINE)}
        assert found, f"its log names no {of}"

        for pid in found:
            os.kill(pid, number)

    def stop(self) -> None:
        """Ask it to end, then kill what is left of its session."""
        if self._popen is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._popen.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(15)
        # The ranks belong to the session that it began; no other process can get that number while one of them lives.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait(10)
        until(self._is_gone, what="the end of every rank", timeout_s=20)
        self.http.close()

    def _is_gone(self) -> bool:
        assert self._popen is not None

        try:
            os.killpg(self._popen.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def log(self) -> str:
        """All that it and its ranks have printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    # Asking it

    def answers(self, prompts: Sequence[str] = PROMPTS) -> list[Answer]:
        """The greedy answers to the prompts, all asked at once."""
        with ThreadPoolExecutor(len(prompts)) as pool:
            return list(pool.map(self.answer, prompts))

    def answer(self, prompt: str) -> Answer:
        """The greedy answer to one prompt."""
        response = self.http.post("/v1/completions", json=_question(prompt, ANSWER_TOKENS))
        if response.status_code != 200:
            raise AssertionError(f"HTTP {response.status_code}: {response.text[:500]}\n{self.log()[-4000:]}")
        choice = response.json()["choices"][0]
        return Answer(tokens=tuple(choice["token_ids"]), likeliest=tuple(choice["logprobs"]["top_logprobs"]))

    def chat(self, content: Any, *, tokens: int = 8) -> dict[str, Any]:
        """The greedy chat completion for one message, as the engine returned it."""
        body = {
            "model": "tiny",
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": tokens,
            "logprobs": True,
            "return_token_ids": True,
        }
        response = self.http.post("/v1/chat/completions", json=body)
        assert response.status_code == 200, response.text[:500] + self.log()[-4000:]

        return response.json()

    def client(self, *, context: int = CONTEXT, vision: bool = False, stream_interval: bool = False) -> ModelClient:
        """The product's client for it, with some of what the probe would have measured."""
        traits = Traits(context=context, vision=vision, stream_interval=stream_interval)
        return ModelClient(replace(self.endpoint, traits=traits), timeouts=PATIENT, breaker=Breaker())

    @property
    def endpoint(self) -> Endpoint:
        """It as the product's router knows it before it was measured."""
        return Endpoint(name="engine", url=f"http://127.0.0.1:{self.port}/v1", model="tiny")

    def metric(self, name: str) -> float:
        """One of its metrics, summed over its engine cores; 0 where there is none of that name."""
        lines = self.http.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + "{", name + " ")))

    def by_engine(self, name: str) -> dict[str, float]:
        """One of its metrics, by engine core."""
        found = re.findall(rf'^{name}\{{[^}}]*engine="(\d+)"[^}}]*\}} (\S+)$', self.http.get("/metrics").text, re.MULTILINE)
        return {core: float(value) for core, value in found}


def environment() -> dict[str, str]:
    """What each engine of the tests is told, however many ranks it has."""
    # Bytecode is written: without it each process compiles what the installer has not imported.
    unwanted = ("CHINWAG_", "VLLM_", "OMP_", "PYTEST", "PYTHONDONTWRITEBYTECODE", "COV")
    return {key: value for key, value in os.environ.items() if not key.startswith(unwanted)} | _ENVIRONMENT


def _question(prompt: str, tokens: int) -> dict[str, Any]:
    return {
        "model": "tiny",
        "prompt": prompt,
        "max_tokens": tokens,
        "min_tokens": tokens,
        "temperature": 0,
        "logprobs": 5,
        "return_token_ids": True,
    }


def transformers_tokens(checkpoint: Path) -> list[tuple[int, ...]]:
    """What transformers answered to the prompts with this checkpoint."""
    return [tuple(tokens) for tokens in json.loads((checkpoint / "transformers.json").read_text(encoding="utf-8"))]
