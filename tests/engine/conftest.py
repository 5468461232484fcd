"""Checkpoints made once, and engines one at a time: what an engine answered is kept, so that many tests read one start."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from chinwag.local import install_engine
from tests.engine.forked import ForkServer
from tests.engine.serving import ALONE, DATA, ONE_RANK, PROMPTS, TENSOR, VENV, VLLM, Answer, environment

#: A test may have to wait for three engines: 10 s each on two idle cores, 40 s for one that imports vLLM itself, and much longer on busy ones.
_TIMEOUT_S = 1200
#: DeepSeek on a CPU. The portable attention kernel: on processors with AMX vLLM would choose another, for bf16 and with a prefix cache.
#: And PyTorch's own rotary embedding: MLA's queries have three dimensions, and vLLM 0.32's CPU kernel then rotates the wrong numbers
#: (findings/vllm-cpu-rotary-kernel-by-shape.sh): log-probabilities are off by one and more.
_MLA = ("--attention-backend", "CPU_MLA", "--compilation-config", '{"custom_ops": ["none"]}')
LAYOUTS = {"alone": ALONE, "tensor": TENSOR, "data": DATA}
_FAMILY = re.compile(r"\[(llama4-interleaved|llama4-vision|llama4|deepseek-v3|gemma3|mistral3)\b")
#: Longer than two blocks of 32 tokens, so that there is something to find when it is sent again.
_LONG = "This sentence is long enough to fill two whole blocks of the cache, and a little more of it is left over for a third one."


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest first, among equals by chance; skip the tests of real engines where there is none: the installer's own line says why."""
    there = install_engine.is_current(VENV)
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(_TIMEOUT_S))
            if not there:
                item.add_marker(
                    pytest.mark.skip(reason="vLLM for CPUs is not installed: `make install-engine` installs it, or says why not")
                )
    items.sort(key=lambda item: _length(item.nodeid), reverse=True)


class _ByEngine(LoadScopeScheduling):
    """Gives the tests that share an engine to one process of pytest: two would both start it.

    By node ids, since xdist 3.8 ignores its own groups with pytest 9.2 (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return _shared_engine(nodeid) or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByEngine:
    """Whatever --dist says. xdist's own order is by the number of tests; the one of the collection is by their length."""
    config.option.loadscopereorder = False
    return _ByEngine(config, log)


def _shared_engine(nodeid: str) -> str:
    """The family whose engines this test shares with others; empty where it has its own."""
    file, _, test = nodeid.rpartition("/")[2].partition("::")
    family = _FAMILY.search(test)
    match file:
        case "test_expert_parallelism.py" if family is None:
            return "deepseek-v3" if test.startswith("test_mla") else "llama4"
        case "test_expert_parallelism.py" | "test_families.py" if family is not None:
            return family[1]
        case "test_whole_way.py" | "test_client.py":
            return file
        case _:
            return ""


def _length(nodeid: str) -> int:
    """How long this test and those that share its engine take together: the larger, the longer."""
    if "comes_back_when_killed" in nodeid or _shared_engine(nodeid) == "deepseek-v3":
        return 4
    if "engine/test_serve.py" in nodeid or "engine/test_make_run.py" in nodeid:
        return 3
    return 2 if _shared_engine(nodeid) else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an engine answered and logged, kept after it has ended."""

    answers: list[Answer]
    log: str
    #: Prefix cache: tokens looked up, and found, when a long prompt came for the second time.
    looked_up: float
    found: float
    #: Prompt tokens by engine core: there is one core, or two with data parallel ranks.
    by_rank: dict[str, float]

    @property
    def tokens(self) -> list[tuple[int, ...]]:
        """The greedy tokens of each prompt."""
        return [answer.tokens for answer in self.answers]

    def spread_as_vllm_says(self) -> dict[str, str]:
        """How many of the experts a rank holds, by vLLM's own log: each engine core logs it for its first rank on this host."""
        return dict(re.findall(r"\[EP Rank (\d+/\d+)\].*?Local/global number of experts: (\d+/\d+)", self.log))

    def spread_as_ranks_say(self) -> list[str]:
        """Which experts each rank holds, by the line that our plugin logs in each."""
        return sorted(re.findall(r"This rank holds \d+ of \d+ experts: ([\d, ]+)", self.log))


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """One Python that has imported vLLM forks a child for every piece of code, and for every process of an engine."""
    with ForkServer(VENV, environment() | ONE_RANK, tmp_path_factory.mktemp("forks")) as running:
        yield running


#: Runs code in the engine environment's Python, as the installer left it, and returns the last line that it printed.
Inside = Callable[[str], str]


@pytest.fixture(scope="session")
def inside(forks: ForkServer) -> Inside:
    """Runs code where vLLM is imported already."""
    return forks.run


@pytest.fixture(scope="session")
def checkpoints(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny checkpoints: one for all processes of pytest, written by whichever comes first."""
    of_this_process = tmp_path_factory.getbasetemp()
    folder = (of_this_process.parent if "PYTEST_XDIST_WORKER" in os.environ else of_this_process) / "checkpoints"
    folder.mkdir(exist_ok=True)
    code = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nimport checkpoints\ncheckpoints.main({str(folder)!r})"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        forks.run(code)
    return folder


@pytest.fixture(scope="session")
def asked(checkpoints: Path, forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Asked]:
    """Serve a checkpoint in a layout, ask it everything, end it; the second time its kept answers are returned."""
    kept: dict[tuple[str, str], Asked] = {}
    logs = tmp_path_factory.mktemp("engines")

    def ask(checkpoint: str, layout: str) -> Asked:
        if (checkpoint, layout) not in kept:
            mla = _MLA if checkpoint.startswith("deepseek") else ()
            # One reference is started as anybody would start it, and it is the one whose router vLLM lets torch compile.
            by_itself = (checkpoint, layout) == ("deepseek-v3", "alone")
            with VLLM(
                checkpoints / checkpoint,
                *(*LAYOUTS[layout], *mla),
                folder=logs,
                forks=None if by_itself else forks,
                environment={"TORCHDYNAMO_DISABLE": "0"} if by_itself else {},
            ) as engine:
                kept[checkpoint, layout] = _ask(engine)
        return kept[checkpoint, layout]

    return ask


def _ask(engine: VLLM) -> Asked:
    answers = engine.answers(PROMPTS)
    by_rank = engine.by_engine("vllm:prompt_tokens_total")
    engine.answer(_LONG)
    before = engine.metric("vllm:prefix_cache_queries_total"), engine.metric("vllm:prefix_cache_hits_total")
    engine.answer(_LONG)
    after = engine.metric("vllm:prefix_cache_queries_total"), engine.metric("vllm:prefix_cache_hits_total")
    return Asked(answers=answers, log=engine.log(), looked_up=after[0] - before[0], found=after[1] - before[1], by_rank=by_rank)
