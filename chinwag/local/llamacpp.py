"""The chat models on this machine's llama.cpp: the one that answers first, and the better one that takes over."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from chinwag.local import wanted
from chinwag.local.answering import Answering
from chinwag.local.better import Better
from chinwag.local.models import ChatModel, ModelFile
from chinwag.local.own_endpoints import OwnEndpoints, Served
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from chinwag.local.supervisor import Part, Supervisor
from inference.engines.asking import Asking
from inference.engines.llamacpp import CONTEXT, context_for, free_memory

#: Settings of the service for it, unless the person chose others: a prompt of 1,800 tokens takes the default model 50 s on two cores.
SETTINGS = {"CHINWAG_MODEL_FIRST_TOKEN_S": "60", "CHINWAG_MODEL_SILENCE_S": "30", "CHINWAG_MODEL_TOTAL_S": "150"}
_HOST = "127.0.0.1"
_LOAD_S = 180.0
#: Their names among the parts.
_FIRST, _BETTER = "Chat model", "Better model"


class Launch(Protocol):
    """Starts a part of the stack: a module of ours with its options."""

    def __call__(self, name: str, module: str, /, *options: str, ready: Callable[[], bool], deadline_s: float) -> Part:
        """Start it without waiting for it."""
        ...


class LocalModels:
    """The models of one stack."""

    def __init__(self, settings: LocalSettings, *, supervisor: Supervisor, report: Report, answering: Answering, launch: Launch) -> None:
        """Decide which they are. Raises CannotStart."""
        self._settings, self._supervisor, self._report = settings, supervisor, report
        self._answering, self._launch = answering, launch
        self.chosen = wanted.wanted(settings, free_bytes=free_memory())
        self.first: Served | None = None
        self._better: Better | None = None

    def start(self) -> tuple[Part, Served]:
        """Start the one that answers first; it is fetched if it is not here. Raises CannotStart."""
        began = time.monotonic()
        model = self.chosen.first.fetch(self._report)
        if model.fetched:
            self._report.done("Download", f"{model.path.name}, stored in {model.path.parent}", time.monotonic() - began)
        part, self.first = self._serve(_FIRST, self.chosen.first, model)
        self._tell()
        return part, self.first

    def fetch_better(self, endpoints: OwnEndpoints) -> None:
        """Begin to fetch the better one, if one is wanted."""
        file, first = self.chosen.better, self.first
        if file is None or first is None:
            return
        self._better = Better(
            file,
            first=first,
            serve=partial(self._serve, _BETTER, file),
            endpoints=endpoints,
            supervisor=self._supervisor,
            report=self._report,
        )
        self._better.begin()

    def tick(self) -> None:
        """Go on with the better one."""
        if self._better is not None:
            self._better.tick()
            self._tell()

    def offer_line(self) -> str:
        """The better models that could be had here, in a line; empty without any."""
        return wanted.offer_line(self._settings, free_bytes=free_memory())

    def _serve(self, name: str, file: ModelFile, model: ChatModel) -> tuple[Part, Served]:
        with socket.socket() as probe:
            probe.bind((_HOST, 0))
            port = int(probe.getsockname()[1])
        asking = Asking(f"http://{_HOST}:{port}")
        context = context_for(model.path, most=CONTEXT, free_bytes=free_memory())
        traits = None if file.traits is None else {"context": context, **file.traits}
        options = ("--model", str(model.path), "--alias", model.name, "--port", str(port), "--ctx", str(context))
        part = self._launch(name, "inference.engines.llamacpp", *options, ready=lambda: asking.health() == 200, deadline_s=_LOAD_S)
        part.how = model.name
        return part, Served(url=f"http://{_HOST}:{port}/v1", model=model.name, traits=traits)

    def _tell(self) -> None:
        files = (self.chosen.first, self.chosen.better)
        about = {file.name: file.about for file in files if file is not None}
        self._answering.tell(model=self.chosen.first.name, about=about, more=self._better.words if self._better is not None else "")
