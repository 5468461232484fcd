"""Twenty lines of ours with pywa, FastAPI and openai: what a turn costs at least."""

from __future__ import annotations

from pathlib import Path

from bench.peers.outside import MODEL, Outside
from bench.peers.peer import FILES, Running, cloud, environment, python_with, until
from bench.peers.tree import start
from chinwag.local.demo import PERSONA
from chinwag.local.ports import free_port, listens
from tests.support import build

_PACKAGES = ("pywa==4.5.0", "fastapi==0.165.0", "uvicorn[standard]==0.54.0", "openai==3.57.0")


class Lines:
    """The minimal bot."""

    name = "twenty-lines"
    version = "pywa 4.5.0"
    channel = "Cloud API"
    joins = False
    settings = "uvicorn with uvloop, no access log"

    def __init__(self) -> None:
        self._port = free_port()

    def set_up(self, folder: Path) -> None:
        """Install its packages. Raises CannotSetUp."""
        python_with(folder, *_PACKAGES)

    def start(self, folder: Path, outside: Outside) -> Running:
        """Start it. Raises CannotSetUp."""
        own = {
            "MODEL_URL": outside.model_url,
            "MODEL_NAME": MODEL,
            "GRAPH_URL": f"{outside.platform_url}/v25.0",
            "PHONE": build.PHONE_NUMBER_ID,
            "TOKEN": build.ACCESS_TOKEN,
            "SECRET": build.APP_SECRET,
            "PERSONA": PERSONA,
        }
        command = [str(folder / "env" / "bin" / "uvicorn"), "twenty:app", "--app-dir", str(FILES), "--port", str(self._port)]
        tree = start(
            [*command, "--no-access-log", "--log-level", "warning"],
            env=environment(folder, own),
            cwd=folder,
            log=folder / "run.log",
            others=outside.others,
        )
        until(lambda: listens(self._port), tree)
        url = f"http://127.0.0.1:{self._port}/"
        outside.know(url=url, app_secret=build.APP_SECRET, access_token=build.ACCESS_TOKEN)
        return Running(tree=tree, write=cloud(url))
