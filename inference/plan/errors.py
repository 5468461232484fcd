"""Why a question cannot be planned at all: bad input, in one line that says what to do."""

from __future__ import annotations

from inference.errors import InferenceError


class CannotPlan(InferenceError):
    """The question has no plan: something in it is impossible."""
