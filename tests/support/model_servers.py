"""Model servers of a test: the scripted one, played as the test wants, and the tiny real one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chinwag.local import models
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from inference.types import Endpoint, Traits
from tests.support.fakes import Model
from tests.support.processes import Processes


class Scripted(Model):
    """A scripted model in a process of its own."""

    def endpoint(self, *, model: str = "scripted", key: str = "", traits: Traits | None = None, path: str = "/v1") -> Endpoint:
        """It as an endpoint."""
        return Endpoint(name="test", url=self.url + path, model=model, api_key=key, traits=traits or Traits())

    def page(self, path: str) -> str:
        """The text of one of its pages."""
        return self._http.get(path).raise_for_status().text


@contextmanager
def scripted(folder: Path, *options: str) -> Iterator[Scripted]:
    """Start one, and end it afterwards."""
    processes = Processes(folder)
    try:
        model = Scripted(processes.start("model", ["inference.scripted", *options], {}).wait_listening())
        yield model
        model.close()
    finally:
        processes.end_all()


def tiny_model() -> models.ChatModel:
    """The tiny model's file, fetched once into the user's cache."""
    variables = dict(os.environ) | {"MODEL": "tiny", "MODEL_URL": "", "MODEL_NAME": ""}
    return models.find(LocalSettings.from_env(variables), Report(sys.stderr))
