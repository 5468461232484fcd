"""A further host of an engine that spans several. It computes for the first one and answers no requests, so it is not asked for a token.

When the engine on the first host dies, vLLM ends the others too. Each is started again on its own host, and they wait for one another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event

from inference.engines import child
from inference.engines.base import Reason
from inference.engines.keeper import Pauses, Watch
from inference.engines.loading import end_of
from inference.engines.reasons import reason_of
from inference.errors import EngineCannotStart, EngineFailed

_POLL_S = 0.2


def follow(
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str],
    stopping: Event,
    lost: Callable[[Reason, float], None],
    pauses: Pauses | None = None,
) -> None:
    """Keep the process up until `stopping` is set. Raises EngineCannotStart when starting it again would not help."""
    pauses = pauses or Pauses()
    while not stopping.is_set():
        try:
            running = child.start(command, log=log, env=env)
        except OSError as error:
            raise EngineFailed(f"{log} cannot be written: {error.strerror}") from error
        while running.alive() and not stopping.wait(_POLL_S):
            pass
        if stopping.is_set():
            running.terminate()
            running.end(Watch().grace_s)
            return
        running.end(0)
        lived = time.monotonic() - running.started
        # A process that ran this long has served, so errors in its log are no reason to give up.
        reason = reason_of(end_of(log), command, code=running.code(), served=lived >= pauses.steady_s)
        if reason.lasting:
            raise EngineCannotStart(reason.message)
        pause = pauses.after(lived)
        lost(reason, pause)
        stopping.wait(pause)
