"""The embedded parts: they start in a fresh folder, in a long one, and nothing of them outlives a killed parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from chinwag.local.postgres import Running, start_postgres
from chinwag.local.processes import CannotStart, socket_folder, start
from chinwag.local.progress import Report
from chinwag.local.redis import RunningRedis, start_redis, try_redis
from chinwag.local.supervisor import Part, Supervisor

_PARENT = """
import os, sys, time
from pathlib import Path
from chinwag.local.postgres import start_postgres
from chinwag.local.redis import start_redis
folder = Path(sys.argv[1])
print(start_postgres(folder / "postgres").child.pid, start_redis(folder / "redis").child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Running]:
    running = start_postgres(tmp_path / "postgres")
    yield running
    running.stop()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[RunningRedis]:
    running = start_redis(tmp_path / "redis")
    yield running
    running.stop()


def _ask(running: Running, question: str) -> object:
    with psycopg.connect(running.owner_url.replace("+psycopg", "")) as connection:
        row = connection.execute(question).fetchone()
    return row and row[0]


def _eventually(claim: Callable[[], bool], *, within_s: float) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if claim():
            return True
        time.sleep(0.05)
    return False


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_postgres_has_vectors_and_writes_through(postgres: Running) -> None:
    with psycopg.connect(postgres.owner_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("create extension vector")

    assert _ask(postgres, "show fsync") == "on"


def test_postgres_takes_no_wrong_password(postgres: Running) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres.url("chinwag_owner", "wrong").replace("+psycopg", ""))


def test_postgres_keeps_its_data_over_a_stop_and_a_kill(tmp_path: Path) -> None:
    first = start_postgres(tmp_path / "postgres")
    with psycopg.connect(first.owner_url.replace("+psycopg", "")) as connection:
        connection.execute("create table kept as select 7 as number")
    first.child.process.kill()
    first.child.process.wait()
    second = start_postgres(tmp_path / "postgres")
    try:
        assert _ask(second, "select number from kept") == 7
    finally:
        second.stop()


def test_a_folder_of_150_characters_does(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 150)
    postgres, valkey = start_postgres(folder / "postgres"), start_redis(folder / "redis")
    try:
        assert _ask(postgres, "select 1") == 1
    finally:
        postgres.stop()
        valkey.stop()


def test_redis_wants_its_password(valkey: RunningRedis) -> None:
    client = redis.Redis(unix_socket_path=str(valkey.socket), password="wrong")
    with pytest.raises(redis.AuthenticationError):
        client.ping()
    client.close()


def test_sockets_lie_where_only_their_owner_may_enter(postgres: Running, valkey: RunningRedis) -> None:
    modes = {folder.stat().st_mode & 0o777 for folder in (postgres.sockets, valkey.socket.parent)}

    assert modes == {0o700}


def test_a_socket_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    folder = socket_folder(tmp_path)
    folder.chmod(0o755)
    try:
        with pytest.raises(CannotStart, match="0700"):
            socket_folder(tmp_path)
    finally:
        folder.rmdir()


def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    children = [
        int(word) for pid in pids for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    assert len(children) >= 3
    assert _eventually(lambda: all(_is_gone(pid) for pid in pids + children), within_s=5)


def test_a_part_that_dies_comes_back_and_the_pause_grows(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    part = Part(name="Part", start=lambda: start([sys.executable, "-c", "import time; time.sleep(600)"], name="Part", log=log))
    with (tmp_path / "lines").open("w") as lines:
        supervisor = Supervisor(Report(lines))
        supervisor.launch(part)
        assert part.child is not None
        first = part.child.pid
        os.kill(first, signal.SIGKILL)

        def came_back() -> bool:
            supervisor.tick()
            return part.restarts == 1 and part.child is not None and part.child.pid != first

        try:
            assert _eventually(came_back, within_s=5)
            assert part.pause_s == 1.0
        finally:
            supervisor.stop()


def test_a_part_that_ignores_the_signal_is_gone_within_eight_seconds(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    log = tmp_path / "part.log"
    with (tmp_path / "lines").open("w") as lines:
        supervisor = Supervisor(Report(lines))
        supervisor.launch(Part(name="Part", start=lambda: start([sys.executable, "-c", deaf], name="Part", log=log)))
        assert _eventually(lambda: "deaf" in log.read_text(), within_s=10)
        began = time.monotonic()
        supervisor.stop()

        assert time.monotonic() - began < 8


def test_a_given_redis_that_is_not_there_is_one_line_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"^REDIS_URL= cannot be used [^\n]+$") as raised:
        try_redis(f"redis+socket://:not-for-logs@{tmp_path}/none.sock")

    assert "not-for-logs" not in str(raised.value)
