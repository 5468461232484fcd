"""The error of a question that cannot be planned at all."""

from __future__ import annotations

from inference.errors import InferenceError


class CannotPlan(InferenceError):
    """The question has no plan: something in it is impossible. The message is one line that says what to do."""
