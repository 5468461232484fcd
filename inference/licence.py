"""What must be said about a model's licence before somebody builds on it; plan, doctor and the admin page say the same."""

from __future__ import annotations

from inference.catalog import Model


def licence_notice(model: Model) -> str:
    """Say in one line that nobody in the EU gets this model's licence, and which models may be taken there; empty where all is well."""
    licence = model.licence
    if licence is None or licence.in_eu:
        return ""
    return (
        f"The {licence.name} gives no rights in {model.title} to individuals domiciled, or companies with their principal place of business, "
        f"in the EU. Permitted there: {', '.join(licence.instead_in_eu)}."
    )
