"""Run the web: `python -m bots.web`, configured by CHINWAG_ variables."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from bots import metrics
from bots.errors import BadSetting
from bots.settings import Settings
from bots.telemetry import configure
from bots.web.app import create
from bots.web.chat.live import Live
from inference.catalog import load
from inference.errors import CatalogError

#: Streams end by themselves at a stop; this is for whatever else is running.
_GRACE_S = 5


class _Server(uvicorn.Server):
    """A server that ends the live streams before it waits for running requests."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal and let the pages go."""
        self._live.close()
        super().handle_exit(sig, frame)


def main() -> int:
    """Serve until a signal."""
    try:
        settings = Settings.from_env(os.environ)
        configure(settings.log_level)
        # The workers' setting: pages say the same of a model as commands do. What takes webhooks does without.
        folder = "" if settings.web_hooks_only else os.environ.get("CHINWAG_MODEL_CATALOG", "")
        app = create(settings, load(Path(folder) if folder else None))
        metrics.listen(settings, *app.state.collectors)
    except (BadSetting, CatalogError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    config = uvicorn.Config(
        app,
        host=settings.web_host,
        port=settings.web_port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        # The chat page trusts the peer's address; nobody may write another one into a header.
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config, app.state.live)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
