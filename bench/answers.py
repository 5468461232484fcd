"""When people had their answers, by the log of the practice platform; and a service to ask for them that has answered somebody before."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import Stack


@contextmanager
def service(cluster: Cluster, settings: dict[str, str], *, model_s: float, **number: Any) -> Generator[Stack]:
    """Start the whole service with a model that takes so long; `number` is how the platform treats the business's number."""
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Stack(cluster, Path(folder), settings=settings) as stack:
        stack.model.script(latency_s=model_s, answer="Begin at the Ribeira.")
        stack.register_number(**number)
        stack.start_web()
        stack.start_dispatcher()
        stack.start_worker()
        for _ in range(5):
            stack.say(build.a_person(), "warm up")
        stack.wait_settled(30)
        yield stack


def first(stack: Stack) -> dict[str, float]:
    """When each person's first answer was accepted, by their number."""
    found: dict[str, float] = {}
    for entry in stack.platform.log():
        if entry["kind"] == "message" and entry["outcome"] == "accepted":
            found.setdefault(str(entry.get("to") or "").lstrip("+"), datetime.fromisoformat(entry["at"]).timestamp())
    return found


def waits(stack: Stack, wrote: Mapping[str, float]) -> list[float]:
    """The seconds from when each person wrote to their answer, once everybody has one."""

    def all_of_them() -> list[float]:
        found = first(stack)
        return [found[number] - at for number, at in wrote.items()] if found.keys() >= wrote.keys() else []

    return until(all_of_them, timeout_s=60, what="everybody was answered")
