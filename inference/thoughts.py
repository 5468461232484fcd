"""Thoughts that a model writes into its answer."""

from __future__ import annotations

import re

_THINK = re.compile(r"</?think>|\[/?THINK\]", re.IGNORECASE)


def learned(text: str) -> str:
    """Return the form in which a raw answer shows thoughts; empty where it shows none."""
    return "think" if _THINK.search(text) else ""
