"""The keeper's pauses, what it does with an engine that fails, and what it reads out of an engine's log and figures. No process, no socket."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from inference.engines.asking import in_flight, read_metrics, work_done
from inference.engines.base import Reason, Step
from inference.engines.keeper import Keeper, Pauses, Watch
from inference.engines.loading import Tail, end_of, step_of
from inference.engines.vllm import Vllm, completed, slots_of
from inference.errors import EngineCannotStart, EngineFailed

_NOW = Watch(every_s=0.001, while_loading_s=0.001, probe_s=0.002, drain_s=0.1, grace_s=0.1)


class Scripted:
    """An engine whose lives are written down: how many looks it serves for, and why it ends."""

    def __init__(self, *lives: tuple[int, Reason]) -> None:
        self.lives = list(lives)
        self.looks = 0
        self.starts = 0
        self.stops: list[float] = []

    def start(self) -> str:
        if not self.lives:
            raise EngineFailed("no life is left")
        self.starts += 1
        self.looks, self.why = self.lives.pop(0)
        self.serves = self.looks > 0
        return "http://engine"

    def step(self) -> Step | None:
        return None

    def ready(self) -> bool:
        return self.serves

    def alive(self) -> bool:
        self.looks -= 1
        return self.looks > 0

    def reason(self) -> Reason:
        return self.why

    def drain(self, timeout_s: float) -> bool:
        return True

    def stop(self, grace_s: float) -> None:
        self.stops.append(grace_s)

    def metrics(self) -> Mapping[str, float]:
        return {}


class Told:
    """A tenant that keeps what it is told, and stops the keeper after so many losses."""

    def __init__(self, stop_after: int = 100) -> None:
        self.told: list[str] = []
        self.ticks = 0
        self.stop_after = stop_after
        self.keeper: Keeper | None = None

    def step(self, step: Step) -> None:
        self.told.append(step.message)

    def ready(self, url: str) -> None:
        self.told.append("ready")

    def tick(self) -> None:
        self.ticks += 1

    def lost(self, reason: Reason, again_in_s: float) -> None:
        self.told.append(f"lost: {reason.message}")
        if self.keeper is not None and self.told.count(self.told[-1]) >= self.stop_after:
            self.keeper.stopping.set()

    def leave(self) -> None:
        self.told.append("left")


def _keep(engine: Scripted, told: Told) -> Keeper:
    told.keeper = Keeper(engine, told, pauses=Pauses(first_s=0.001, longest_s=0.002), watch=_NOW)
    return told.keeper


_CRASH = Reason(message="crash", known=False)
_FULL = Reason(message="full")
_WRONG = Reason(message="wrong flag", lasting=True)


def test_pauses_double_from_one_second_to_a_minute() -> None:
    pauses = Pauses()

    assert [pauses.after(10) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_five_minutes_of_health_begin_the_pauses_anew() -> None:
    pauses = Pauses()
    for _ in range(5):
        pauses.after(0)

    assert (pauses.after(299), pauses.after(300), pauses.after(0)) == (32, 1, 2)


def test_a_reason_that_lasts_ends_any_start() -> None:
    told = Told()

    with pytest.raises(EngineCannotStart, match="wrong flag"):
        _keep(Scripted((3, _CRASH), (0, _WRONG)), told).run()
    assert told.told == ["ready", "lost: crash", "left"]


def test_no_reason_ends_for_good_what_has_served() -> None:
    told = Told(stop_after=2)
    _keep(Scripted((3, _WRONG), (3, _WRONG)), told).run()

    assert told.told == ["ready", "lost: wrong flag", "ready", "lost: wrong flag", "left"]


def test_one_that_runs_and_refuses_its_first_token_ends_it() -> None:
    class Refusing(Scripted):
        """It runs on, and its owner knows better."""

        def alive(self) -> bool:
            return False

    engine = Refusing((0, Reason(message="it wants a key", lasting=True)))
    with pytest.raises(EngineCannotStart, match="it wants a key"):
        _keep(engine, Told()).run()

    assert engine.stops == [0, _NOW.grace_s]


def test_the_token_of_a_look_does_not_pass_for_work() -> None:
    class Counting(Scripted):
        """Its figures grow by the tokens that it is asked for, and by nothing else."""

        tokens = 0

        def ready(self) -> bool:
            self.tokens += 1
            return self.serves

        def metrics(self) -> Mapping[str, float]:
            return {"vllm:generation_tokens_total": float(self.tokens)}

    engine, told = Counting((10, _CRASH)), Told(stop_after=1)
    told.keeper = Keeper(engine, told, watch=Watch(every_s=0.001, probe_s=0))
    told.keeper.run()

    # The first token makes it ready; then an idle engine is asked at each look.
    assert (told.ticks, engine.tokens) == (9, 10)


def test_a_known_reason_ends_the_first_start_alone() -> None:
    first, later = Told(), Told(stop_after=2)
    with pytest.raises(EngineCannotStart, match="full"):
        _keep(Scripted((0, _FULL)), first).run()
    engine = Scripted((3, _CRASH), (0, _FULL), (0, _FULL))
    _keep(engine, later).run()

    assert first.told == ["left"]
    assert later.told == ["ready", "lost: crash", "lost: full", "lost: full", "left"]
    assert engine.starts == 3


def test_an_engine_that_cannot_even_begin_ends_it() -> None:
    with pytest.raises(EngineCannotStart, match="no life is left"):
        _keep(Scripted(), Told()).run()


def test_what_is_left_of_a_lost_engine_is_killed_and_the_last_one_is_asked() -> None:
    engine = Scripted((3, _CRASH))
    _keep(engine, Told(stop_after=1)).run()

    assert engine.stops == [0, _NOW.grace_s]


@pytest.mark.parametrize(
    ("line", "words", "fraction"),
    [
        ("(Worker pid=3) INFO 11-27 03:52:46 [cpu_model_runner.py:68] Starting to load model smol...", "loading the weights", 0.0),
        ("Loading safetensors checkpoint shards:  50% Completed | 4/8 [00:09<00:09,  2.2s/it]", "loading the weights", 0.5),
        ("(Worker pid=3) INFO 11-27 03:52:47 [default_loader.py:501] Loading weights took 92.93 seconds", "weights loaded in 93 s", None),
        ("(Worker pid=3) INFO 11-27 [gpu_worker.py:760] Available KV cache memory: 17.25 GiB", "17.25 GiB left for conversations", None),
        (
            "(EngineCore pid=2) INFO [kv_cache_utils.py:2327] GPU KV cache size: 46,592 tokens, Maximum",
            "room for 46,592 tokens of conversations",
            None,
        ),
        (
            "(EngineCore pid=2) INFO [kv_cache_utils.py:2327] CPU KV cache size: 46,592 tokens, Maximum",
            "room for 46,592 tokens of conversations",
            None,
        ),
        ("Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  25%|##   | 17/68 [00:02<00:07]", "capturing CUDA graphs", 0.25),
        ("Fetching 17 files:  35%|###5      | 6/17 [00:10<00:20,  1.8s/it]", "fetching the weights", 6 / 17),
        ("INFO:     Application startup complete.", "asking for a first token", None),
    ],
)
def test_a_line_of_the_log_says_how_far_it_is(line: str, words: str, fraction: float | None) -> None:
    assert step_of(line) == Step(message=words, fraction=fraction)


@pytest.mark.parametrize(
    "line", ["", "INFO:     Waiting for application startup.", "(APIServer pid=1) INFO [launcher.py:195] Route: /health"]
)
def test_most_lines_say_nothing_of_it(line: str) -> None:
    assert step_of(line) is None


def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("first\n" + "x" * 600_000 + "\nlast\n", encoding="utf-8")

    assert end_of(log).endswith("x\nlast\n")
    assert len(end_of(log)) < 500_000
    assert end_of(tmp_path / "none") == ""


def test_a_growing_log_is_read_by_whole_lines_and_a_bar_by_its_strokes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    tail = Tail(log)

    assert list(tail.lines()) == []
    log.write_bytes(b"one\ntw")
    assert list(tail.lines()) == ["one"]
    with log.open("ab") as file:
        file.write(b"o\r\nshards 1/2\rshards 2/2\r")
    assert list(tail.lines()) == ["two", "shards 1/2", "shards 2/2"]


def test_figures_are_summed_over_ranks_and_shares_are_not() -> None:
    figures = read_metrics(
        '# HELP vllm:num_requests_running n\nvllm:num_requests_running{engine="0",model_name="m"} 3.0\n'
        'vllm:num_requests_running{engine="1",model_name="m"} 4.0\nvllm:num_requests_waiting{engine="0"} 1.0\n'
        'vllm:kv_cache_usage_perc{engine="0"} 0.5\nvllm:kv_cache_usage_perc{engine="1"} 0.75\n'
        'vllm:generation_tokens_total{engine="0"} 10.0\nvllm:generation_tokens_created{engine="0"} 1.79e+09\n'
        'vllm:cache_config_info{block_size="32"} 1.0\npython_gc_objects_collected_total{generation="0"} 9.0\n'
    )

    assert figures == {
        "vllm:num_requests_running": 7.0,
        "vllm:num_requests_waiting": 1.0,
        "vllm:kv_cache_usage_perc": 0.75,
        "vllm:generation_tokens_total": 10.0,
    }
    assert (in_flight(figures), work_done(figures)) == (8.0, 10.0)


def test_llama_cpps_figures_say_the_same_in_their_own_names() -> None:
    figures = read_metrics("llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\nllamacpp:tokens_predicted_total 70\n")

    assert (in_flight(figures), work_done(figures)) == (3.0, 70.0)


def test_a_command_gets_what_a_service_needs_and_keeps_what_it_says() -> None:
    bare = completed(["vllm", "serve", "a/b"])
    told = completed(["vllm", "serve", "a/b", "--host=0.0.0.0", "--port", "9", "--served-model-name", "c", "--shutdown-timeout", "7"])

    assert bare[:5] == ["vllm", "serve", "a/b", "--host", "127.0.0.1"]
    assert {"--port", "--served-model-name", "--shutdown-timeout", "--no-enable-log-requests", "--disable-uvicorn-access-log"} <= set(bare)
    assert told[10:] == ["--max-num-seqs", "256", "--no-enable-log-requests", "--disable-uvicorn-access-log"]


@pytest.mark.parametrize(
    ("more", "slots"),
    [
        ([], 256),
        (["--max-num-seqs", "16"], 16),
        (["--max-num-seqs=16", "--data-parallel-size", "8"], 128),
        (["--max-num-seqs", "16", "-dp", "2"], 32),
        (["--max-num-seqs", "128", "--max_num_seqs", "5"], 5),
    ],
)
def test_an_engine_works_on_as_many_requests_as_its_ranks_together(more: list[str], slots: int) -> None:
    assert slots_of(completed(["vllm", "serve", "m", *more])) == slots


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--max-num-seqs", "many"], "--max-num-seqs must be a number of at least 1, not 'many'"),
        (["--max-num-seqs", "0"], "--max-num-seqs must be a number of at least 1"),
        (["--port", "http"], "--port must be a number of at least 1"),
        (["-dp", "two"], "--data-parallel-size must be a number of at least 1"),
        (["--ssl-certfile", "cert.pem"], "--ssl-certfile: an engine that is started here is called over plain HTTP"),
        (["--uds", "/tmp/socket"], "--uds: an engine"),
    ],
)
def test_a_command_that_no_request_of_ours_could_reach_is_refused(more: list[str], words: str) -> None:
    with pytest.raises(EngineFailed, match=words):
        completed(["vllm", "serve", "m", *more])


def test_of_an_option_given_twice_the_last_counts_as_it_does_for_vllm(tmp_path: Path) -> None:
    engine = Vllm(["vllm", "serve", "m", "--port", "8000", "--served-model-name", "x", "--port=9000"], log=tmp_path / "log", env={})

    assert (engine.url, engine.model) == ("http://127.0.0.1:9000", "x")
