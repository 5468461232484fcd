"""Endpoints of a test's service, as an operator connects them and a worker's probe finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bots.crypto import Keyring
from bots.settings import Settings
from bots.storage import endpoints, model_trials, tenants, trial_runs
from bots.storage.endpoints import EndpointRow, Form
from bots.storage.model_trials import ModelTrial
from bots.storage.trial_runs import Tried
from tests.support.stack import Stack

_SCOUT = "meta-llama/Llama-4-Scout-17B-16E-Instruct"
#: What a probe of vLLM with Llama 4 finds.
TRAITS: dict[str, Any] = {
    "context": 131_072,
    "vision": True,
    "json_schema": True,
    "reasoning": False,
    "system_role": True,
    "roles_alternate": False,
    "parses_tokens": True,
    "priority": True,
    "cache_salt": True,
    "stream_interval": True,
    "ranks": 2,
}


def add_endpoint(stack: Stack, form: Form, *, api_key: str | None = None) -> EndpointRow:
    """Connect an endpoint that no worker is going to ask."""
    keyring = Keyring.from_settings(Settings.from_env(stack.env))
    with stack.engine("web").begin() as connection:
        tenant = tenants.default(connection)
        row = endpoints.add(connection, keyring, tenant=tenant, form=form, api_key=api_key)
        connection.exec_driver_sql("update endpoints set probe_at = null where id = %s", (row.id,))
        found = endpoints.get(connection, tenant=tenant, name=form.name)
    assert found is not None
    return found


def add_models(stack: Stack) -> None:
    """Two replicas of one's own, measured; a hosted model that denies access; one that nobody has measured. The first three are `default`."""
    prices = {"price_in": 2.5, "price_cached": 1.25, "price_out": 10.0}
    own = [
        add_endpoint(
            stack,
            Form(
                name=f"scout-{n}", url=f"http://scout-{n}.internal:8000/v1", model=_SCOUT, leaves_house=False, price_in=0.02, price_out=0.09
            ),
        )
        for n in ("a", "b")
    ]
    hosted = add_endpoint(stack, Form(name="gpt-4o-openai", url="https://api.openai.com/v1", model="gpt-4o", **prices), api_key="sk-x")
    add_endpoint(
        stack, Form(name="new", url="http://127.0.0.1:1/v1", model="mistralai/Mistral-Small-3.1-24B-Instruct-2503", leaves_house=False)
    )
    with stack.owner.begin() as connection:
        tenant = hosted.tenant_id
        connection.exec_driver_sql("update endpoints set probe_at = now() + interval '1 hour'")
        places = [(0, own[0].id), (0, own[1].id), (1, hosted.id)]
        endpoints.set_profile(connection, tenant, "default", places)
    for row in own:
        found(stack, row.name, traits=TRAITS, notes=["vLLM 0.33.0", "reads template tokens in a text (Llama 4): they are neutralised"])
    found(stack, "gpt-4o-openai", traits=None, notes=["the server denies access (401): the key is wrong"])
    _try(stack, own)


def _try(stack: Stack, own: Sequence[EndpointRow]) -> None:
    """Let one model have passed the trial and another not, and a new trial be half through, with nobody who goes on with it."""
    score = {"labelled": 51, "found": 21, "right": 21, "covered": 30}
    figures = {"checked": score, "together": score, "rules": score | {"covered": 23}}
    tried = [Tried(endpoint=row.name, url=row.url, model=row.model, done=10 - 5 * n, of=20) for n, row in enumerate(own)]
    with stack.engine("web").begin() as connection:
        tenant = own[0].tenant_id
        for n, row in enumerate(own):
            more = {"why_not": "It finds nothing that the rules do not find."} if n else {}
            trial = ModelTrial(url=row.url, model=row.model, version="1", passed=not n, figures=figures | more)
            model_trials.store(connection, tenant, trial)
        trial_runs.note(connection, tenant=tenant, profile="default", by="ana", version="1", models=tried)
        trial_runs.note(connection, tenant=tenant, profile="thorough", by="ana", version="1", models=[])
        connection.exec_driver_sql(
            "update trial_runs set due_at = now() + interval '1 hour', said = 'scout-b did not answer. It is asked again by itself (2 of 5).'"
            " where profile = 'default'"
        )
        connection.exec_driver_sql("update trial_runs set said = 'ana stopped it.' where profile = 'thorough'")


def found(stack: Stack, name: str, *, traits: dict[str, Any] | None, notes: Sequence[str] = ()) -> None:
    """Keep what a worker's probe would have found."""
    engine = stack.engine("worker")
    with engine.connect() as connection:
        row = endpoints.get(connection, tenant=tenants.default(connection), name=name)
    assert row is not None
    assert endpoints.store_probe(engine, row, traits=traits, notes=notes)
