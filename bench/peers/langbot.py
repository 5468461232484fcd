"""LangBot with its HTTP Bot, the channel of its own for servers: a signed webhook in, a signed callback out. It speaks no Cloud API."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.peers.outside import MODEL, Outside, a_person
from bench.peers.peer import CannotSetUp, Request, Running, environment, python_with, state, until
from bench.peers.tree import start
from chinwag.local.ports import free_port, listens
from tests.support import build

VERSION = "4.10.11"
_WHO = {"user": "bench@example.org", "password": "a-password-of-the-bench"}
#: Of its config.yaml: without plugins, sandbox and telemetry, and with as many turns at once as are asked for. By default it drops what is more than
#: 100 in its queue, after it has answered 202.
_SETTINGS = {
    "PLUGIN__ENABLE": "false",
    "BOX__ENABLED": "false",
    "SPACE__DISABLE_TELEMETRY": "true",
    "SPACE__DISABLE_MODELS_SERVICE": "true",
    "CONCURRENCY__PIPELINE": "256",
    "CONCURRENCY__PENDING_QUERIES_PER_WORKSPACE": "1000",
}
_DEFAULTS = ("CONCURRENCY__PIPELINE", "CONCURRENCY__PENDING_QUERIES_PER_WORKSPACE")


class LangBot:
    """Its server with SQLite."""

    version = VERSION
    channel = "its HTTP Bot: signed webhook and callback, no Graph API, no statuses"
    joins = False

    def __init__(self, name: str = "langbot", *, tuned: bool = True) -> None:
        self.name = name
        self._variables = {key: value for key, value in _SETTINGS.items() if tuned or key not in _DEFAULTS}
        queue = "256 turns at once, queue of 1,000" if tuned else "its default queue"
        self.settings = f"no plugins, no sandbox, no telemetry; {queue}"
        self._port = free_port()

    def set_up(self, folder: Path) -> None:
        """Install it by uv, as its own pages say. Raises CannotSetUp."""
        python_with(folder, f"langbot=={VERSION}", by_uv=True)

    def start(self, folder: Path, outside: Outside) -> Running:
        """Start it, and tell it of model and channel at the first time. Raises CannotSetUp."""
        env = environment(folder, self._variables | {"API__PORT": str(self._port)})
        work = state(folder) / "data"
        work.mkdir(exist_ok=True)
        command = [str(folder / "env" / "bin" / "langbot")]
        tree = start(command, env=env, cwd=work, log=folder / "run.log", others=outside.others)
        until(lambda: listens(self._port) and outside.http.get(f"{self._url}/api/v1/user/init").status_code == 200, tree)
        kept = work / "bot"
        try:
            if not kept.exists():
                kept.write_text(self._configure(outside))
        except CannotSetUp:
            tree.kill()
            raise
        url = f"{self._url}/bots/{kept.read_text()}"
        # Its bots start after its server.
        write = _writing(url)
        until(lambda: _post(outside, write(a_person(), "Hello?")) == 202, tree, deadline_s=60)
        return Running(tree=tree, write=write)

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _configure(self, outside: Outside) -> str:
        """Make its administrator, a pipeline, the model and the bot; returns the bot's id."""
        self._call(outside, "user/init", _WHO, {})
        headers = {"authorization": f"Bearer {self._call(outside, 'user/auth', _WHO, {})['token']}"}
        # The first model becomes that of the default pipeline, and the newest pipeline that of a bot.
        self._call(outside, "pipelines", {"name": "bench", "description": "bench", "is_default": True}, headers)
        provider = {"requester": "openai-chat-completions", "base_url": outside.model_url, "api_keys": ["none"]}
        model = {"name": MODEL, "abilities": [], "extra_args": {}, "provider": provider}
        self._call(outside, "provider/models/llm", model, headers)
        channel = {
            "inbound_secret": build.APP_SECRET,
            "outbound_secret": build.APP_SECRET,
            "callback_url": outside.answers_url,
            "default_session_type": "person",
            "signature_required": True,
        }
        bot = {"name": "bench", "description": "bench", "adapter": "http_bot", "adapter_config": channel, "enable": True}
        return str(self._call(outside, "platform/bots", bot, headers)["uuid"])

    def _call(self, outside: Outside, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        answer = outside.http.post(f"{self._url}/api/v1/{path}", json=body, headers=headers)
        found = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
        if answer.status_code != 200 or found.get("code") != 0:
            raise CannotSetUp(f"{path}: {answer.status_code} {answer.text[:200]}")
        return found.get("data") or {}


def _writing(url: str) -> Callable[[build.Person, str], Request]:
    def write(person: build.Person, text: str) -> Request:
        said = {
            "session_id": person.number,
            "sender": {"id": person.number, "name": person.name},
            "message": [{"type": "Plain", "text": text}],
        }
        body, at = json.dumps(said).encode(), str(int(time.time()))
        mac = hmac.new(build.APP_SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "X-LB-Timestamp": at, "X-LB-Signature": f"sha256={mac}"}
        return Request(url=url, headers=headers, body=body)

    return write


def _post(outside: Outside, request: Request) -> int:
    return outside.http.post(request.url, content=request.body, headers=request.headers).status_code
