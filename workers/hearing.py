"""The server that hears what is said in recordings, if this installation has one: workers ask it with a breaker.

Guarantee: without one, or where a bot's conversations may not leave the house and the server is outside, nothing is sent anywhere.
"""

from __future__ import annotations

import time

from bots.channels.sound import media_type_of
from bots.settings import Settings
from inference.client.breaker import Breaker
from inference.errors import InferenceError, ModelBusy, ModelUnavailable
from inference.hear import Heard, Hearer, NotHeard
from inference.types import Endpoint

_FAILURES, _PROBE_S = 3, 10.0


class Hearing:
    """What a worker asks about recordings; safe between threads."""

    def __init__(self, settings: Settings) -> None:
        """Without an address nothing is heard."""
        self._hearer = None
        self._deadline_s = settings.hearing_deadline_s
        #: Whether recordings leave the operator's own network.
        self.leaves_house = settings.hearing_leaves_house
        self._breaker = Breaker(failures=_FAILURES, probe_s=_PROBE_S)
        if settings.hearing_url:
            endpoint = Endpoint(
                name="hearing",
                url=settings.hearing_url,
                model=settings.hearing_model,
                api_key=settings.hearing_key,
                leaves_house=self.leaves_house,
            )
            self._hearer = Hearer(endpoint, takes_hints=settings.hearing_takes_hints)

    def may_hear(self, *, may_leave: bool) -> bool:
        """Whether recordings of such a bot's conversations are heard at all."""
        return self._hearer is not None and (may_leave or not self.leaves_house)

    def hear(self, data: bytes, *, hint: str) -> Heard:
        """Return what is said. Raises NotHeard, ModelUnavailable, ModelBusy, ModelRefused, GarbageAnswer."""
        assert self._hearer is not None, "there is somebody who hears"
        self._breaker.enter()
        try:
            heard = self._hearer.hear(data, media_type=media_type_of(data), hint=hint, until=time.monotonic() + self._deadline_s)
        except NotHeard:
            self._breaker.succeeded()
            raise
        except InferenceError as error:
            # A full server is healthy.
            if isinstance(error, ModelUnavailable) and not isinstance(error, ModelBusy):
                self._breaker.failed()
            raise
        self._breaker.succeeded()
        return heard
