"""Addresses of model servers: what no call could use is refused, and where one is there already it is a server that is away."""

from __future__ import annotations

import time

import pytest

from bots.errors import BadSetting
from bots.storage.endpoints import Form
from inference.client import Breaker, ModelClient
from inference.client.transport import WIRE_ERRORS, Wire
from inference.errors import BadModelSetting, ModelUnavailable
from inference.probe import probe
from inference.settings import ModelSettings
from inference.tokens import TokenCounter
from inference.types import Endpoint, Message, Timeouts
from wire import address

_IMPOSSIBLE = ["http://10.0.0.256:8000/v1", "http://999.1.1.1/v1", "http://[v1.a]/v1", "https://xn--/v1", "https://xn--a.example.com/v1"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/v1", "https://models.example.com/v1", "http://[::1]:8000/v1", "https://b\u00fccher.example/v1"]
)
def test_an_address_that_a_call_can_use_is_taken(url: str) -> None:
    assert address.is_base(url)


@pytest.mark.parametrize(
    "url",
    [*_IMPOSSIBLE, "", "localhost:8000", "ftp://host/v1", "http://host:0/v1", "http://host:99999/v1", "http://u:p@host/v1", "http://host/v1?k=1",
     "http://host/v1#x", "http://ho st/v1", "http://host/\nv1", "http://[::1/v1"],
)  # fmt: skip
def test_an_address_that_no_call_can_use_is_refused_wherever_one_is_given(url: str) -> None:
    assert not address.is_base(url)
    with pytest.raises(BadSetting):
        Form(name="x", url=url, model="m")
    if url:
        with pytest.raises(BadModelSetting, match="CHINWAG_MODEL_URL must be an address"):
            ModelSettings.from_env({"CHINWAG_MODEL_URL": url})


@pytest.mark.parametrize("url", _IMPOSSIBLE)
def test_an_impossible_address_that_is_kept_already_is_a_server_that_is_away(url: str) -> None:
    endpoint = Endpoint(name="typo", url=url, model="m")

    with pytest.raises(WIRE_ERRORS):
        Wire(url, {}).get("/models", connect_s=1, until=time.monotonic() + 1)
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        ModelClient(endpoint, timeouts=Timeouts(), breaker=Breaker()).chat([Message(role="user", content="hi")], max_tokens=1)
    with pytest.raises(ModelUnavailable, match="nothing answers at"):
        probe(endpoint, Timeouts())
    assert TokenCounter(endpoint).count("three words here") > 0
