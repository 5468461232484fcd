"""Log lines are handed over: in order, whole, without waiting for whoever reads them, and written before a process ends."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time

from bots.log_lines import LogLines
from tests.support.processes import ROOT, until


def test_lines_of_many_threads_are_whole_and_each_threads_in_order() -> None:
    out = io.StringIO()
    lines = LogLines(out)
    threads = [threading.Thread(target=lambda n=n: [lines.info(f"{n} {at}") for at in range(200)]) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines.flush_all()

    written = [tuple(map(int, line.split())) for line in out.getvalue().splitlines()]
    assert sorted(written) == [(n, at) for n in range(20) for at in range(200)]
    for n in range(20):
        assert [at for thread, at in written if thread == n] == list(range(200))


def test_lines_are_written_by_themselves_within_moments() -> None:
    out = io.StringIO()
    LogLines(out).info("here")

    until(lambda: out.getvalue() == "here\n", what="the line was written", timeout_s=5)


def test_nobody_waits_for_a_reader_and_what_was_lost_is_said() -> None:
    readable, writable = os.pipe()
    with os.fdopen(readable, "rb") as reader, os.fdopen(writable, "w") as writer:
        lines = LogLines(writer, most=100)
        # A pipe takes 64 kB; then its writer waits.
        lines.info("x" * 200_000)
        time.sleep(0.2)
        began = time.monotonic()
        for at in range(500):
            lines.info(f"line {at}")
        took_s = time.monotonic() - began
        lines.flush_all(within_s=0.1)
        found = bytearray()
        until(
            lambda: bool(found.extend(os.read(reader.fileno(), 1 << 20)) or b"line 499" in found), what="the last line came", timeout_s=10
        )

    told = found.decode().splitlines()
    assert took_s < 5
    assert '{"lines": 400, "event": "log_lines_lost", "level": "warning"}' in told
    assert told[-100:] == [f"line {at}" for at in range(400, 500)]


def test_a_process_whose_lines_nobody_reads_ends_all_the_same() -> None:
    code = """
import os, structlog
from bots import telemetry
telemetry.configure("info")
structlog.get_logger().info("long", words="x" * 200_000)
telemetry.flush()
os._exit(7)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE) as process:
        # Its pipe is full, and stays so.
        assert process.wait(timeout=20) == 7


def test_a_stream_that_is_closed_ends_nobody() -> None:
    out = io.StringIO()
    lines = LogLines(out)
    out.close()
    lines.info("lost")
    lines.flush_all()


def test_what_was_logged_last_is_written_before_a_process_ends() -> None:
    for end in ("pass", "telemetry.flush(); os._exit(0)", "raise SystemExit(3)", "telemetry.flush(); os.execv('/bin/true', ['true'])"):
        code = f"import os, structlog; from bots import telemetry; telemetry.configure('info'); structlog.get_logger().info('last_words'); {end}"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert '"event": "last_words"' in done.stderr, end
