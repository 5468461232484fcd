"""Ours as `make run MODEL_URL=` ships it, and with nothing waited for."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.peers.outside import MODEL, ROOT, Outside
from bench.peers.peer import Running, cloud, environment, state, until
from bench.peers.tree import start
from bench.processes import part_of
from chinwag.local.ports import free_port


class Ours:
    """The service of this checkout."""

    version = "this checkout"
    channel = "Cloud API"
    joins = True

    def __init__(self, name: str = "ours", **variables: str) -> None:
        self.name = name
        self._variables = variables
        self._port = free_port()
        self.settings = ", ".join(["make run MODEL_URL=", *(f"{key}={value}" for key, value in variables.items())])

    def set_up(self, folder: Path) -> None:
        """Nothing is to be installed: it runs in the environment of this bench."""
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, folder: Path, outside: Outside) -> Running:
        """Start all of it, as `make run` does; its practice platform is idle, since answers go to the one outside. Raises CannotSetUp."""
        data, log = state(folder) / "data", folder / "run.log"
        own = {
            "MODEL_URL": outside.model_url,
            "MODEL_NAME": MODEL,
            "PORT": str(self._port),
            "PYTHONPATH": str(ROOT),
            "CHINWAG_LOCAL_DATA": str(data),
            "CHINWAG_GRAPH_URL": outside.platform_url,
            **self._variables,
        }
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "chinwag", "run"]
        tree = start(command, env=environment(folder, own), cwd=ROOT, log=log, others=outside.others, part_of=part_of)
        until(lambda: f"{outside.model_url} answers." in log.read_text(errors="replace"), tree)
        secrets = json.loads((data / "secrets").read_text())
        url = f"http://127.0.0.1:{self._port}/webhooks/whatsapp/demo"
        outside.know(url=url, app_secret=secrets["app_secret"], access_token=secrets["access_token"])
        return Running(tree=tree, write=cloud(url, app_secret=secrets["app_secret"]))
