"""Run the web: `python -m bots.web`, configured by CHINWAG_ variables. SIGHUP restarts it in place, by which no connection is refused.

`--check` only says whether it would start. A restart asks first, by a process of its own: what would not start must not replace what runs.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from bots import metrics, telemetry
from bots.errors import BadSetting
from bots.settings import Settings
from bots.web.app import create
from bots.web.serving.connections import BODIES_AT_ONCE, Connections
from bots.web.serving.listener import hand_over, listening, places
from bots.web.serving.server import Server
from bots.web.serving.sources import Sources
from inference.catalog import load
from inference.errors import CatalogError

_COMMAND = [sys.executable, "-m", "bots.web"]
_CHECK = "--check"
_SWITCH_S = 0.001


def main() -> int:
    """Serve until a signal."""
    is_check = _CHECK in sys.argv[1:]
    # A thread that has stored a webhook waits this long at most for its turn to say so, however busy the event loop is. Python's own 5 ms are meant for throughput.
    sys.setswitchinterval(_SWITCH_S)
    try:
        settings = Settings.from_env(os.environ)
        telemetry.configure(settings.log_level)
        sources = Sources(settings.web_trusted_proxies)
        # Whoever connects from here on waits for us.
        listener = None if is_check else listening(os.environ, settings.web_host, settings.web_port)
        # The workers' setting: pages say the same of a model as commands do. What takes webhooks does without.
        folder = "" if settings.web_hooks_only else os.environ.get("CHINWAG_MODEL_CATALOG", "")
        app = create(settings, load(Path(folder) if folder else None))
        if listener is None:
            return 0
        metrics.listen(settings, *app.state.collectors)
    except (BadSetting, CatalogError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    connections = Connections(
        places=places(settings.web_connections, other_files=4 * settings.web_pool),
        held_bytes=BODIES_AT_ONCE * settings.web_max_body_bytes,
    )
    server = Server(
        app, listener=listener, connections=connections, sources=sources, let_go=app.state.live.close, check=[*_COMMAND, _CHECK]
    )
    # A terminal that closes means an end.
    if not sys.stdin.isatty():
        signal.signal(signal.SIGHUP, server.handle_restart)
    server.run()
    if server.is_restarting:
        # One signal is enough: another one must not end what is just beginning.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        telemetry.flush()
        os.execve(sys.executable, _COMMAND, hand_over(listener, os.environ))  # noqa: S606 - ourselves
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
