"""nanobot, an agent with sessions, memory and tools. It has no channel that takes webhooks without a login elsewhere: ours is a channel package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.peers.outside import MODEL, Outside
from bench.peers.peer import FILES, Running, cloud, environment, python_with, state, until
from bench.peers.tree import start
from chinwag.local.ports import free_port, listens
from tests.support import build

VERSION = "0.3.5"


class Nanobot:
    """Its gateway, with a channel of ours for the Cloud API."""

    name = "nanobot"
    version = VERSION
    channel = "Cloud API, a channel package of 50 lines"
    joins = False
    settings = "its defaults; concurrent requests are not limited"

    def __init__(self) -> None:
        self._port, self._gateway = free_port(), free_port()

    def set_up(self, folder: Path) -> None:
        """Install it and the channel. Raises CannotSetUp."""
        programs = python_with(folder, f"nanobot-ai[api]=={VERSION}")
        channels = next((programs.parent / "lib").glob("python*/site-packages/nanobot/channels"))
        (channels / "cloud").mkdir(exist_ok=True)
        (channels / "cloud" / "__init__.py").touch()
        shutil.copy(FILES / "nanobot_manifest.py", channels / "cloud" / "manifest.py")
        shutil.copy(FILES / "nanobot_channel.py", channels / "cloud" / "runtime.py")

    def start(self, folder: Path, outside: Outside) -> Running:
        """Start its gateway. Raises CannotSetUp."""
        channel = {
            "enabled": True,
            "allowFrom": ["*"],
            "port": self._port,
            "secret": build.APP_SECRET,
            "token": build.ACCESS_TOKEN,
            "messages_url": f"{outside.platform_url}/v25.0/{build.PHONE_NUMBER_ID}/messages",
        }
        settings = {
            "agents": {"defaults": {"model": MODEL, "provider": "custom", "workspace": str(state(folder) / "workspace")}},
            "providers": {"custom": {"apiKey": "none", "apiBase": outside.model_url}},
            "channels": {"cloud": channel},
            "gateway": {"port": self._gateway},
        }
        config = folder / "config.json"
        config.write_text(json.dumps(settings))
        command = [str(folder / "env" / "bin" / "nanobot"), "gateway", "--config", str(config), "--foreground"]
        tree = start(command, env=environment(folder), cwd=folder, log=folder / "run.log", others=outside.others)
        until(lambda: listens(self._port), tree)
        url = f"http://127.0.0.1:{self._port}/"
        outside.know(url=url, app_secret=build.APP_SECRET, access_token=build.ACCESS_TOKEN)
        return Running(tree=tree, write=cloud(url))
