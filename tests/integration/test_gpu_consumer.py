"""A GPU worker without a service around it: an engine that cannot start ends it, and a Celery worker that cannot is not begun hot."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from inference.engines.keeper import Pauses
from tests.support.processes import Processes, until
from workers.gpu import Consumer

#: Nobody listens there: what is to be given back is left to its lease.
_NOWHERE = {"CHINWAG_CROSSING_DATABASE_URL": "postgresql+psycopg://chinwag_crossing@127.0.0.1:1/chinwag"}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["no-such-vllm", "serve", "m"], "no-such-vllm cannot be started"),
        ([sys.executable, "-m", "tests.support.fake_vllm", "serve", "broken"], "damaged or incomplete"),
    ],
    ids=["command", "weights"],
)
def test_an_engine_that_cannot_start_ends_it_with_one_line_and_code_2(tmp_path: Path, command: list[str], words: str) -> None:
    processes = Processes(tmp_path)
    worker = processes.start("gpu", ["workers.gpu", "--engine", "e", "--log", str(tmp_path / "engine.log"), "--", *command], _NOWHERE)
    try:
        code = worker.popen.wait(40)
    finally:
        processes.end_all()
    (line,) = [line for line in worker.printed().splitlines() if not line.startswith("{")]

    assert code == 2
    assert words in line


@pytest.mark.parametrize(("pause_s", "ticks", "starts"), [(3600.0, 5, 1), (0.0, 1, 2)], ids=["long", "none"])
def test_a_worker_that_ends_at_once_is_begun_again_after_a_pause(tmp_path: Path, pause_s: float, ticks: int, starts: int) -> None:
    told = tmp_path / "starts"
    # In the place of Celery: one that cannot start.
    (tmp_path / "celery.py").write_text(f"open({str(told)!r}, 'a').write('started\\n'); raise SystemExit(1)", encoding="utf-8")
    env = dict(os.environ) | _NOWHERE | {"PYTHONPATH": str(tmp_path)}
    consumer = Consumer(profile="p", engine="e", model="m", slots=1, env=env, pauses=Pauses(first_s=pause_s, longest_s=pause_s))
    consumer.ready("http://127.0.0.1:1")
    until(lambda: consumer._child is not None and not consumer._child.alive(), what="it has ended")  # noqa: SLF001 - nobody else knows it
    for _ in range(ticks):
        consumer.tick()
    until(lambda: len(told.read_text("utf-8").splitlines()) >= starts, what="the last start")
    consumer.leave()

    assert len(told.read_text("utf-8").splitlines()) == starts
