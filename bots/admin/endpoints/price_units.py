"""Whether a price was meant for another number of tokens: price lists give USD for one token or a thousand, and here it is a million. Pure.

The rule comes from the catalog's own prices, which go from 0.075 to 2.50 in and from 0.16 to 10 out. A price is asked about when both parts are
below a tenth of the cheapest, when one part alone is lower than any tokens ever cost, or when one is above a hundred times the dearest.
"""

from __future__ import annotations

from collections.abc import Mapping

#: A tenth of the cheapest prices of the catalog. Cached tokens are judged by themselves only where the input is not odd.
LEAST = {"price_in": 0.0075, "price_cached": 0.0006, "price_out": 0.016}
#: Ten times the dearest: more than most models cost, so a reading that leads beyond it is not suggested.
MOST = {"price_in": 25.0, "price_cached": 12.5, "price_out": 100.0}
#: One's own GPUs read prompts for less than any provider asks, but not for less than this.
_NEVER = {"price_in": 0.001, "price_cached": LEAST["price_cached"], "price_out": 0.001}
_TOO_MUCH = 1000.0
_READINGS = ((1_000_000, "one token"), (1_000, "a thousand tokens"))

Prices = Mapping[str, float | None]


def questions(prices: Prices) -> dict[str, str]:
    """Ask about each price that looks like one for another number of tokens, with what was probably meant; empty where none does."""
    given = {key: usd for key, usd in prices.items() if usd}
    small = _small(given)
    likely = [(factor, unit) for factor, unit in _READINGS if all(LEAST[key] <= given[key] * factor <= MOST[key] for key in small)]
    asked = {key: _too_small(given[key], likely) for key in small}
    return asked | {key: _too_large(usd) for key, usd in given.items() if usd > _TOO_MUCH}


def in_digits(usd: float) -> str:
    """Write a price with all its digits."""
    whole, _, parts = f"{usd:.12f}".partition(".")
    return f"{whole}.{parts.rstrip('0'):0<2}"


def _small(given: Mapping[str, float]) -> list[str]:
    main = [key for key in ("price_in", "price_out") if key in given]
    small = main if main and all(given[key] < LEAST[key] for key in main) else [key for key in main if given[key] < _NEVER[key]]
    if "price_cached" in given and ("price_in" in small or given["price_cached"] < _NEVER["price_cached"]):
        # The two prices of the input come from one list.
        small = [*small, "price_cached"]
    return small


def _too_small(usd: float, likely: list[tuple[int, str]]) -> str:
    asked = f"{in_digits(usd)} USD for a million tokens?"
    if not likely:
        return f"{asked} No model known here is as cheap."
    if len(likely) == 1:
        ((factor, unit),) = likely
        return f"{asked} That looks like the price of {unit}: did you mean {in_digits(usd * factor)}?"
    meant = " or ".join(f"of {unit} (then enter {in_digits(usd * factor)})" for factor, unit in likely)
    return f"{asked} That looks like the price {meant}."


def _too_large(usd: float) -> str:
    return f"{in_digits(usd)} USD for a million tokens? No model known here costs a hundredth of that."
