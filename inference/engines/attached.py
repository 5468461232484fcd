"""An engine that somebody else started, known by its address: vLLM, llama.cpp, or any compatible server."""

from __future__ import annotations

from collections.abc import Mapping

from inference.engines.asking import KEYLESS, REFUSED, TOKEN_S, Asking
from inference.engines.base import Reason, Step


class Attached:
    """An Engine that is neither started nor ended here."""

    def __init__(self, url: str, *, model: str, api_key: str = "", token_s: float = TOKEN_S) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")
        self.model = model
        self._asking = Asking(self._url, api_key=api_key)
        self._token_s = token_s
        self._told = self._served = False
        self._status = 0

    def start(self) -> str:
        """Return the address, without /v1."""
        self._told = self._served = False
        self._status = 0
        return self._url

    def step(self) -> Step | None:
        """Say once that we wait for the server."""
        if self._told:
            return None
        self._told = True
        return Step(message=f"waiting for {self._url}")

    def ready(self) -> bool:
        """Whether one token came."""
        self._status = self._asking.one_token(self.model, timeout_s=self._token_s)
        self._served = self._served or self._status == 200
        return self._status == 200

    def alive(self) -> bool:
        """Whether to go on asking: a server that never answered may be loading; one that refuses us will go on refusing."""
        if self._status in REFUSED:
            return False
        # vLLM's front end answers 503 when its engine is dead. If it is silent, the next token decides.
        return not self._served or self._asking.health() not in {0, 500, 503}

    def reason(self) -> Reason:
        """Why it does not serve us."""
        if self._status in KEYLESS:
            return Reason(
                message=f"{self._url} asks for a key that it was not given: name the key file with CHINWAG_MODEL_KEY_FILE", lasting=True
            )
        if self._status in REFUSED:
            named = ", ".join(self._asking.models()[1]) or "none"
            return Reason(message=f"{self._url} does not chat as {self.model}: its models are {named}; name one with --name", lasting=True)
        return Reason(message=f"{self._url} cannot be reached", known=False)

    def drain(self, timeout_s: float) -> bool:  # noqa: ARG002 - the protocol asks with one
        """Return at once: requests of others are not ours to wait for."""
        return True

    def stop(self, grace_s: float) -> None:
        """Leave it running, since somebody else started it."""

    def metrics(self) -> Mapping[str, float]:
        """Return the server's own metrics by name."""
        return self._asking.metrics()
