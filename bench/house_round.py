"""One measurement of bench/house.py: a fresh house of the tree that it runs in, a load, and the CPU of each part. Prints one line of JSON.

It runs in the environment of whichever revision is measured, so it uses only what tests/support has had since aef6a96.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from sqlalchemy.exc import ProgrammingError

from bench.processes import resident_mb
from bots.crypto import Keyring
from bots.settings import Settings
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import Stack

_MODEL_S = 1.0
_WARM_S = 5.0
_MESSAGES_A_WEBHOOK = 20
_DONE = "select count(*) from outbox where status not in ('queued', 'sending')"
_ERRORS = """
    select (select count(*) from send_attempts where outcome <> 'accepted') + (select count(*) from model_calls where outcome <> 'ok')
        + (select count(*) from turns where state = 'dead' or tries > 0)
"""
#: What people write: some of it to be remembered, most of it not.
_WRITTEN = (
    "My name is Ada and I live in Porto. What can you tell me about the river there, and what should I see first?",
    "Do you open on Saturdays?",
    "Hola, ¿a qué hora abren mañana?",
    "I'm allergic to penicillin. Can I still come in on Thursday for the check-up?",
    "Guten Tag, ich möchte meinen Termin am Freitag verschieben, geht das?",
    "ok thanks",
    "Could you send me the address again, please? I lost the paper that you gave me last week.",
    "Bonjour, mon fils a de la fièvre depuis hier soir, que dois-je faire ?",
    "How much is the small one, and do you deliver to the old town?",
    "J'ai déménagé à Lyon le mois dernier, faut-il changer mon dossier ?",
)
_ANSWER = "The Douro runs through the old town; begin at the Ribeira and cross the lower deck of the bridge."
#: Of contacts of many turns: how many prompts repeat, and the notes of the others.
_REPEATED = 15
_NOTES = "The person asked about the opening hours and the way from the station. They were told to come on Thursday at nine, and will bring the papers."
#: Of the process table: the parts that are played here, and those that are ours.
_PLAYED = {"platform": "practice platform", "model": "scripted model"}


class Cpu:
    """The CPU seconds of every part so far."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def read(self) -> dict[str, float]:
        """Seconds by part; of Postgres by the role and name under which each connection came, and by the kind of its own processes."""
        found: dict[str, float] = {}
        for process in self._stack.processes.all:
            if process.alive():
                name = process.name.split("-")[0]
                _add(found, _PLAYED.get(name, name), _of_process(process.pid))
        _add(found, "redis", _of_process(_pid_of(str(self._stack.folder / "redis"))))
        for row in self._stack.rows(
            "select pid, coalesce(usename, '') as who, application_name as name, backend_type as kind from pg_stat_activity"
            " where pid <> pg_backend_pid() and usename is distinct from current_user"
        ):
            is_client = row["kind"] == "client backend"
            part = f"{row['who']} ({row['name']})".replace("chinwag_", "").replace("chinwag-", "") if is_client else row["kind"]
            _add(found, f"postgres: {part}", _of_process(row["pid"]))
        return found


def _add(found: dict[str, float], part: str, seconds: float) -> None:
    found[part] = found.get(part, 0.0) + seconds


def _of_process(pid: int) -> float:
    """The CPU seconds of a process, to the nanosecond where it has one thread (the other count is in hundredths)."""
    try:
        threads = sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
        if threads == 1:
            return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pid_of(words: str) -> int:
    """The process with these words in its command line that is not this one."""
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                said = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if words in said:
                return int(place.name)
    raise AssertionError(f"nothing runs with {words}")


class Counts:
    """What Postgres and Redis have counted so far."""

    def __init__(self, stack: Stack, log: Path | None) -> None:
        """`log`: where Postgres writes each statement, if it does."""
        self._stack, self._log = stack, log
        told = urlsplit(stack.redis.url)
        self._redis = redis.Redis(unix_socket_path=told.path, password=told.password)

    def read(self) -> dict[str, float]:
        """Transactions, WAL bytes, Redis commands; statements of clients where they are logged."""
        row = self._stack.rows(
            "select xact_commit + xact_rollback as transactions, pg_current_wal_insert_lsn() - '0/0'::pg_lsn as wal"
            " from pg_stat_database where datname = current_database()"
        )[0]
        info: Any = self._redis.info("stats")
        found = {
            "transactions": float(row["transactions"]),
            "wal bytes": float(row["wal"]),
            "redis commands": float(info["total_commands_processed"]),
        }
        if self._log is not None:
            found["statements"] = float(
                len(re.findall(r"^chinwag_\w+ LOG:  (?:statement|execute)", self._log.read_text("utf-8", "replace"), re.MULTILINE))
            )
        return found


@contextmanager
def _house(given: argparse.Namespace, settings: Mapping[str, str]) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as top, Cluster(Path(top)) as cluster:
        folder = Path(top) / "stack"
        folder.mkdir()
        with Stack(cluster, folder, settings=dict(settings)) as stack:
            # Statuses come as Meta aggregates them.
            getattr(stack, "register_number", getattr(stack, "seat_platform", None))(batch_ms=500.0)
            stack.model.script(latency_s=_MODEL_S, answer=_ANSWER)
            if given.memory == "off":
                _forget_everything(stack)
            if given.counted:
                _log_statements(stack)
            yield stack


def _forget_everything(stack: Stack) -> None:
    """Let no bot remember anything; a revision without that switch remembers little."""
    try:
        with stack.owner.begin() as connection:
            connection.exec_driver_sql("update bots set memory_on = false")
    except ProgrammingError:
        sys.stderr.write("this revision has no switch for memory\n")


def _log_statements(stack: Stack) -> None:
    with stack.owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for setting in ("log_statement = 'all'", "log_line_prefix = '%%u '", "log_min_messages = 'log'", "track_functions = 'all'"):
            connection.exec_driver_sql(f"alter system set {setting}")
        connection.exec_driver_sql("select pg_reload_conf()")


def _grow_up(stack: Stack, people: list[build.Person], turns: int) -> None:
    """Let these people have talked so often before, and start an embedder."""
    from bench.memory import laid  # noqa: PLC0415 - a revision before there was recall has none
    from tests.support.storage_fixture import StorageFixture  # noqa: PLC0415 - as above

    keyring = Keyring.from_settings(Settings.from_env(stack.cluster.addresses(stack.database)))
    storage = StorageFixture(stack.engine("web"), stack.engine("worker"), stack.engine("crossing"), keyring, stack.account)
    with stack.owner.connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        laid.build(owner, storage, len(people), turns)
        owner.exec_driver_sql(
            "insert into contact_identities (tenant_id, scope, kind, value, norm, contact_id) select q.tenant_id, %s, 'phone', n.number, n.number, q.contact_id"
            " from unnest(%s::text[]) with ordinality n(number, place) join people q on q.place = n.place",
            (str(stack.account.id), [person.number for person in people]),
        )
        # Prompts repeat the last of them; of the others there are notes.
        owner.exec_driver_sql(
            "update conversations set history_from = %s, summary_until = %s, summary_after = %s, summary = %s",
            (turns - _REPEATED + 1, turns - _REPEATED, turns - _REPEATED, _NOTES),
        )
    url = stack.processes.start("embedder", ["inference.embed_server", "--port", "0"], {}).wait_listening()
    stack.env["CHINWAG_EMBED_URL"] = f"{url}/v1"


def _bodies(people: list[build.Person]) -> list[bytes]:
    """Webhooks with one message of each of these people."""
    found: list[bytes] = []
    for start in range(0, len(people), _MESSAGES_A_WEBHOOK):
        some = people[start : start + _MESSAGES_A_WEBHOOK]
        texts = [build.a_text(person, _WRITTEN[(start + n) % len(_WRITTEN)]) for n, person in enumerate(some)]
        found.append(build.a_webhook(messages=texts, people=some))
    return found


async def _post(port: int, path: str, waiting: list[bytes]) -> None:
    """Post webhooks over a kept connection until none is left; one that is refused is posted again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while waiting:
        body = waiting.pop()
        headers = {"host": "127.0.0.1", "content-length": str(len(body)), **build.sign(body)}
        writer.write(
            (f"POST {path} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in headers.items()) + "\r\n").encode() + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"content-length: *(\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        if head[9:12] != b"200":
            waiting.append(body)
            await asyncio.sleep(0.1)
    writer.close()


async def _fill(port: int, path: str, waiting: list[bytes]) -> None:
    await asyncio.gather(*(_post(port, path, waiting) for _ in range(8)))


def _turns(given: argparse.Namespace) -> dict[str, Any]:
    """So many turns in flight at once in one worker, with more waiting."""
    settings = {"CHINWAG_WORKER_SLOTS": str(given.size)}
    with _house(given, settings) as stack:
        people = [build.a_person() for _ in range(int(given.size * (given.seconds + _WARM_S + 3) / _MODEL_S))]
        if given.turns:
            _grow_up(stack, people, given.turns)
        stack.start_web()
        asyncio.run(_fill(stack.web_port, urlsplit(stack.hook).path, _bodies(people)))
        _analyse(stack)
        stack.start_worker()
        stack.start_dispatcher()
        until(lambda: stack.one(_DONE) > 0, what="the first reply was sent", timeout_s=60)
        time.sleep(_WARM_S)
        found = _window(stack, given, lambda: int(stack.one(_DONE)))
        found["ratio"] = round(found["per_s"] / (given.size / _MODEL_S), 4)
        found["errors"] = stack.one(_ERRORS)
        found["settings"] = settings | {"CHINWAG_MODEL_MEASURE": "false"}
        worker = next(process for process in stack.processes.all if process.name.startswith("worker"))
        found["worker_rss_mb"] = resident_mb(worker.pid)
        worker.kill()
        return found


def _analyse(stack: Stack) -> None:
    """As autovacuum does within a minute: a plan for empty tables is none for full ones."""
    with stack.owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("analyze")


def _ingress(given: argparse.Namespace) -> dict[str, Any]:
    """Webhooks over so many connections, as many as are taken."""
    settings = {"CHINWAG_LOG_LEVEL": "warning"}
    with _house(given, settings) as stack:
        stack.start_web()
        load = Path(__file__).resolve().parent / "load.py"
        where = ["--port", str(stack.web_port), "--path", urlsplit(stack.hook).path, "--connections", str(given.size)]
        taken = "select count(*) from inbox"

        def run(seconds: float) -> dict[str, Any]:
            command = [sys.executable, str(load), *where, "--seconds", str(seconds), "--count", str(int(6000 * seconds))]
            process = stack.processes.start_command("load", command, {"PYTHONPATH": os.environ["PYTHONPATH"]})
            assert process.popen.wait(seconds + 90) == 0, process.printed()
            return json.loads(process.printed().splitlines()[-1])

        run(2.0)
        _analyse(stack)
        cpu, counts, before = Cpu(stack), Counts(stack, _log_of(stack, given)), int(stack.one(taken))
        used, counted = cpu.read(), counts.read()
        told = run(given.seconds)
        found = _spent(used, cpu.read(), counted, counts.read(), int(stack.one(taken)) - before)
        return found | {key: told[key] for key in ("per_s", "p50_ms", "p99_ms", "statuses")} | {"settings": settings}


def _window(stack: Stack, given: argparse.Namespace, done: Any) -> dict[str, Any]:
    """What so many seconds cost."""
    cpu, counts = Cpu(stack), Counts(stack, _log_of(stack, given))
    used, counted, before, began = cpu.read(), counts.read(), done(), time.monotonic()
    time.sleep(given.seconds)
    count, took = done() - before, time.monotonic() - began
    if given.counted:
        for row in stack.rows("select funcname, calls, total_time, self_time from pg_stat_user_functions order by self_time desc limit 14"):
            sys.stderr.write(
                f"  {row['funcname']:24} {row['calls']:7} calls, {row['total_time']:8.0f} ms, {row['self_time']:8.0f} ms by itself\n"
            )
    return _spent(used, cpu.read(), counted, counts.read(), count) | {"per_s": round(count / took, 2)}


def _spent(
    used: Mapping[str, float], used_now: Mapping[str, float], counted: Mapping[str, float], counted_now: Mapping[str, float], count: int
) -> dict[str, Any]:
    """Of each turn or webhook: milliseconds by part, and what was counted."""
    each = max(1, count)
    return {
        "count": count,
        "ms": {part: round(1000 * (seconds - used.get(part, 0.0)) / each, 4) for part, seconds in used_now.items()},
        "counts": {name: round((value - counted.get(name, 0.0)) / each, 3) for name, value in counted_now.items()},
    }


def _log_of(stack: Stack, given: argparse.Namespace) -> Path | None:
    return stack.cluster.folder / "postgres" / "postgres.log" if given.counted else None


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("turns", "ingress"))
    parser.add_argument("--size", type=int, required=True, help="turns in flight, or connections")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--turns", type=int, default=0, help="that each contact has had before; then with an embedder")
    parser.add_argument("--memory", choices=("on", "off"), default="on")
    parser.add_argument("--counted", action="store_true", help="log every statement and count them: its times are no use")
    given = parser.parse_args()
    print(json.dumps(_turns(given) if given.kind == "turns" else _ingress(given)))


if __name__ == "__main__":
    main()
