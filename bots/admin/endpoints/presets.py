"""What the catalog says about an endpoint: values to fill a form with, retired models, licences not granted in the EU. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

from inference.catalog import Catalog, Model, Offer, licence_notice

#: Where providers serve OpenAI's API, as far as known. Whoever connects one should check the address; the probe reports a wrong one.
ADDRESSES = {
    "OpenAI": "https://api.openai.com/v1",
    "Gemini API": "https://generativelanguage.googleapis.com/v1beta/openai",
    "DeepSeek": "https://api.deepseek.com/v1",
    "DeepInfra": "https://api.deepinfra.com/v1/openai",
    "Fireworks": "https://api.fireworks.ai/inference/v1",
}
_PROVIDERS = {urlsplit(address).hostname: provider for provider, address in ADDRESSES.items()}
#: Where vLLM listens by default.
_OWN_ADDRESS = "http://127.0.0.1:8000/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The values that a form for an endpoint is filled with."""

    key: str
    #: For lists: the model and who serves it.
    title: str
    name: str
    url: str
    model: str
    leaves_house: bool
    row: Model
    #: The hosted price; None: for one's own engine.
    offer: Offer | None = None


def presets(catalog: Catalog) -> list[Preset]:
    """Everything that can be connected: open weights on one's own engines first, then hosted models."""
    own = [
        Preset(
            key=f"own:{model.key}",
            title=model.title,
            name=_name(model.key),
            url=_OWN_ADDRESS,
            # The name under which plans serve it (--served-model-name), whichever files are used.
            model=model.key,
            leaves_house=False,
            row=model,
        )
        for model in catalog.models
        if model.kind == "open"
    ]
    return own + [preset for model in catalog.models for preset in _hosted(model)]


def preset(catalog: Catalog, key: str) -> Preset | None:
    """Find a preset by its key."""
    return next((one for one in presets(catalog) if one.key == key), None)


def model_of(catalog: Catalog, model: str) -> Model | None:
    """Find the catalog's row for a model's name on a server, own or hosted."""
    named = (row for row in catalog.models if any(offer.model == model for offer in row.offers))
    return catalog.matching(model) or next(named, None)


def ended(catalog: Catalog, model: str, *, today: date, url: str) -> str:
    """Say that a hosted model is switched off and what replaced it; empty if it is not, or is not known."""
    row, offers = model_of(catalog, model), _offers(catalog, model, url)
    if offers and all(offer.retired_on is not None and offer.retired_on <= today for offer in offers):
        last = max(offers, key=lambda offer: offer.retired_on or today)
        return f"{last.provider} switched {model} off on {last.retired_on}.{_after(last.successor)}"
    if row is not None and row.is_retired(today):
        return f"{row.maker} switched {row.title} off on {row.retired_on}.{_after(row.successor)}"
    return ""


def ending(catalog: Catalog, model: str, *, today: date, url: str) -> str:
    """Say that a hosted model will be switched off; empty when no date is known."""
    coming = [offer for offer in _offers(catalog, model, url) if offer.retired_on is not None and offer.retired_on > today]
    if not coming:
        return ""
    first = min(coming, key=lambda offer: offer.retired_on or today)
    return f"{first.provider} switches {model} off on {first.retired_on}.{_after(first.successor)}"


def instead_of(catalog: Catalog, model: str) -> Preset | None:
    """Find what replaced a hosted model, if the catalog says so."""
    row = model_of(catalog, model)
    successors = {offer.successor for offer in row.offers if offer.model == model} | {row.successor} if row else set[str]()
    return next((one for one in presets(catalog) if one.leaves_house and one.row.key in successors), None)


def licence(catalog: Catalog, model: str) -> str:
    """Say that a model's licence is not granted in the EU, and which models are; empty if it is."""
    row = model_of(catalog, model)
    return "" if row is None else licence_notice(row)


def provider_at(url: str) -> str:
    """Name the provider whose address this is; empty for an unknown one."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return _PROVIDERS.get(host, "")


def _hosted(model: Model) -> Iterator[Preset]:
    for n, offer in enumerate(model.offers):
        yield Preset(
            key=f"hosted:{model.key}:{n}",
            title=f"{model.title} at {offer.provider}"
            if offer.model.endswith(model.key)
            else f"{model.title} at {offer.provider} ({offer.model})",
            name=_name(f"{model.key}-{offer.provider}"),
            url=ADDRESSES.get(offer.provider, ""),
            model=offer.model,
            leaves_house=True,
            row=model,
            offer=offer,
        )


def _offers(catalog: Catalog, model: str, url: str) -> list[Offer]:
    """The hosted prices of a model's name, of the provider at the address where that is known."""
    found = [offer for row in catalog.models for offer in row.offers if offer.model == model]
    there = [offer for offer in found if offer.provider == provider_at(url)]
    return there or found


def _after(successor: str) -> str:
    return f" Its successor: {successor}." if successor else ""


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")[:40]
