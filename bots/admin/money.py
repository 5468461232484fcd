"""How sums of money are written, on pages and in commands. Pure. static/dom.js writes them the same way."""

from __future__ import annotations

import math


def money(usd: float | None) -> str:
    """Write USD: $1,234.50, $12.34, and below a dollar three digits that count: $0.0432, $0.000123. None: no price is known.

    Always dollars and never cents, so that two sums can be compared at a glance.
    """
    if usd is None:
        return "no price"
    if abs(usd) >= 1:
        return f"{'-' if usd < 0 else ''}${abs(usd):,.2f}"
    if usd == 0:
        return "$0"
    digits = max(2, 2 - math.floor(math.log10(abs(usd))))
    whole, _, parts = f"{abs(usd):.{digits}f}".partition(".")
    return f"{'-' if usd < 0 else ''}${whole}.{parts.rstrip('0'):0<2}"


def axis(usd: float) -> str:
    """Write USD in as few characters as fit next to a chart's axis: $0, $0.5, $12, $1.2k, $.0004."""
    if usd >= 1000:
        return f"${usd / 1000:.3g}k"
    if usd <= 0:
        return "$0"
    digits = max(0, 1 - math.floor(math.log10(usd)))
    plain = f"{usd:.{digits}f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "$" + (plain.removeprefix("0") if usd < 0.001 else plain)
