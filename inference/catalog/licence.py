"""What an operator must know about a model's licence before building on the model. Plan, doctor and the admin page say the same."""

from __future__ import annotations

from inference.catalog.model import Model


def licence_notice(model: Model) -> str:
    """Say in one line that the licence excludes the EU, and which models may be used there instead; empty where it does not."""
    licence = model.licence
    if licence is None or licence.in_eu:
        return ""
    return (
        f"The {licence.name} gives no rights in {model.title} to individuals domiciled, or companies with their principal place of business, "
        f"in the EU. Permitted there: {', '.join(licence.instead_in_eu)}."
    )
