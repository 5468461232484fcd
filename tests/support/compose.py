"""compose.yaml as Docker Compose would read it, and its services as processes of this machine: the same commands, environments and order.

What a container would have of its own is put in its place: paths of secrets and volumes, names of other services, ports.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.processes import ROOT, Process, Processes, until

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<rest>[^}]*))?\})")


class Compose:
    """The file, with a `.env` beside it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self.raw: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
        self.services: dict[str, dict[str, Any]] = self._filled(self.raw["services"])
        self.secrets: dict[str, dict[str, str]] = self._filled(self.raw["secrets"])

    def environment(self, service: str) -> dict[str, str]:
        """What a service's processes get: `.env` where the service reads it, and its own values first."""
        found = self.services[service]
        read = {name: value for name, value in self.env.items() if found.get("env_file")}
        return read | {name: str(value) for name, value in found.get("environment", {}).items()}

    def in_order(self) -> Iterator[str]:
        """The services without a profile, each behind what it depends on."""
        left = [name for name, service in self.services.items() if "profiles" not in service]
        done: set[str] = set()
        while left:
            name = next(name for name in left if done.issuperset(self.services[name].get("depends_on", {})))
            left.remove(name)
            done.add(name)
            yield name

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        return _VARIABLE.sub(self._one, value) if isinstance(value, str) else value

    def _one(self, found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        given = self.env.get(found["name"], "")
        if given or found["how"] is None:
            return given
        if found["how"] == ":?":
            raise AssertionError(f"{found['name']} is not set: {found['rest']}")
        return found["rest"]


class Machine:
    """Runs services of the file here."""

    def __init__(self, compose: Compose, folder: Path, *, places: Mapping[str, str], ports: Mapping[tuple[str, str], int]) -> None:
        """`places` stand for names inside a container; `ports`, by service and port there, for ports of this machine."""
        self.compose, self._places, self._ports = compose, places, ports
        self._programs = folder / "programs"
        self._programs.mkdir()
        self.processes = Processes(folder)

    def program(self, name: str, command: str) -> None:
        """Let a container's program be one of this machine."""
        file = self._programs / name
        file.write_text(f"#!/bin/sh\nexec {command}\n", encoding="utf-8")
        file.chmod(0o755)

    def start(self, service: str) -> Process:
        """Start a service's own command."""
        return self.processes.start_command(service, self._command(service), self.environment(service))

    def run(self, service: str, *arguments: str, stdin: str = "") -> str:
        """Run another command in a service's environment, as `docker compose exec` does, and return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self._full(service),
            cwd=self.processes.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def is_healthy(self, service: str) -> bool:
        """Run a service's own health check once."""
        how, *command = (self._here(service, str(word)) for word in self.compose.services[service]["healthcheck"]["test"])
        command = ["sh", "-c", *command] if how == "CMD-SHELL" else self._program(command)
        return subprocess.run(command, env=self._full(service), capture_output=True, timeout=20, check=False).returncode == 0

    def wait_for(self, service: str, condition: str, process: Process | None, timeout_s: float = 30.0) -> None:
        """Wait as `depends_on` does; without a process, for a part that runs already."""
        if condition == "service_completed_successfully":
            assert process is not None
            assert process.popen.wait(timeout_s) == 0, process.printed()[-3000:]
        else:
            until(lambda: self.is_healthy(service) or self._ended(process), timeout_s=timeout_s, what=f"{service} healthy", every_s=0.2)
            assert not self._ended(process), process.printed()[-3000:] if process else ""

    def _ended(self, process: Process | None) -> bool:
        return process is not None and not process.alive()

    def _command(self, service: str) -> list[str]:
        return self._program([self._here(service, str(word)) for word in self.compose.services[service]["command"]])

    def _program(self, command: list[str]) -> list[str]:
        return [sys.executable, *command[1:]] if command[0] == "python" else command

    def environment(self, service: str) -> dict[str, str]:
        """What a service's processes get here."""
        found = {name: self._here(service, value) for name, value in self.compose.environment(service).items()}
        return found | {"PATH": f"{self._programs}:{os.environ['PATH']}"}

    def _full(self, service: str) -> dict[str, str]:
        rest = {name: value for name, value in os.environ.items() if not name.startswith("CHINWAG_")}
        return rest | {"PYTHONPATH": str(ROOT)} | self.environment(service)

    def _here(self, service: str, text: str) -> str:
        for there, here in self._places.items():
            text = text.replace(there, here)
        for (owner, port), here in self._ports.items():
            if owner in {service, ""}:
                text = re.sub(rf"(?<!\d){port}(?!\d)", str(here), text)
        return text
