"""A price list in another unit is noticed, and what was meant is worked out; real prices are left alone."""

from __future__ import annotations

import re

import pytest

from bots.admin.endpoints import forms, price_units
from chinwag.cli.doctor import prices_line
from inference.catalog import Offer, load

#: USD for a million tokens in, cached, out: hosted prices of several years and sizes.
_REAL: dict[str, tuple[float, float | None, float]] = {
    "GPT-4o": (2.50, 1.25, 10.0),
    "GPT-4o mini": (0.15, 0.075, 0.60),
    "Claude Opus 4": (15.0, 1.50, 75.0),
    "Claude Sonnet": (3.0, 0.30, 15.0),
    "Claude Haiku 3": (0.25, 0.03, 1.25),
    "Gemini 2.0 Flash-Lite": (0.075, None, 0.30),
    "DeepSeek V3": (0.27, 0.07, 1.10),
    "DeepSeek V4 Flash": (0.30, 0.006, 1.20),
    "Llama 3.1 8B": (0.02, None, 0.05),
    "Mistral Nemo": (0.02, None, 0.04),
    "GPT-4 32k": (60.0, None, 120.0),
    "o1-pro": (150.0, None, 600.0),
}
_OFFERS = [offer for model in load(None).models for offer in model.offers]


def _asked(price_in: float | None, cached: float | None, out: float | None) -> dict[str, str]:
    return price_units.questions({"price_in": price_in, "price_cached": cached, "price_out": out})


def _suggested(questions: dict[str, str], key: str) -> list[float]:
    return [float(usd) for usd in re.findall(r"(?:did you mean|then enter) ([0-9.]+[0-9])", questions.get(key, ""))]


@pytest.mark.parametrize("offer", _OFFERS, ids=lambda offer: offer.model)
def test_no_price_of_the_catalog_is_asked_about_and_each_is_understood_for_one_token_and_for_a_thousand(offer: Offer) -> None:
    assert _asked(offer.tokens_in, offer.tokens_cached, offer.tokens_out) == {}
    for factor in (1e6, 1e3):
        cached = None if offer.tokens_cached is None else offer.tokens_cached / factor
        asked = _asked(offer.tokens_in / factor, cached, offer.tokens_out / factor)

        assert any(usd == pytest.approx(offer.tokens_in) for usd in _suggested(asked, "price_in"))
        assert any(usd == pytest.approx(offer.tokens_out) for usd in _suggested(asked, "price_out"))
        assert (offer.tokens_cached is None) == ("price_cached" not in asked)


@pytest.mark.parametrize("name", list(_REAL))
def test_real_prices_are_left_alone_and_those_of_one_token_never(name: str) -> None:
    price_in, cached, out = _REAL[name]

    assert _asked(price_in, cached, out) == {}
    assert _asked(price_in / 1e6, None if cached is None else cached / 1e6, out / 1e6).keys() >= {"price_in", "price_out"}


def test_the_limits_are_those_of_the_catalogs_prices() -> None:
    for key, name in (("price_in", "tokens_in"), ("price_cached", "tokens_cached"), ("price_out", "tokens_out")):
        usd = [price for offer in _OFFERS if (price := getattr(offer, name)) is not None]

        assert price_units.LEAST[key] == pytest.approx(min(usd) / 10)
        assert price_units.MOST[key] == pytest.approx(max(usd) * 10)


@pytest.mark.parametrize(
    ("prices", "asked"),
    [
        ((0.0, None, 0.0), ""),
        ((None, None, None), ""),
        # One's own GPUs: prompts are cheap, cached ones free.
        ((0.005, 0.0, 0.16), ""),
        ((0.0, None, 0.5), ""),
        # Only one part was taken from a list in another unit.
        ((2.5, 1.25, 0.00001), "price_out"),
        ((0.0000025, 0.00000125, 10.0), "price_in price_cached"),
        ((2.5, 0.00000125, 10.0), "price_cached"),
        ((0.0025, None, 0.0), "price_in"),
        ((1500.0, None, 10.0), "price_in"),
        ((1000.0, 100.0, 1000.0), ""),
        ((2500.0, 1250.0, 10000.0), "price_in price_cached price_out"),
        ((1e-12, None, 1e-12), "price_in price_out"),
    ],
)
def test_what_is_asked_about(prices: tuple[float | None, float | None, float | None], asked: str) -> None:
    assert _asked(*prices).keys() == set(asked.split())


def test_the_question_names_what_was_given_and_what_was_meant() -> None:
    assert _asked(0.0000025, None, 0.00001)["price_in"] == (
        "0.0000025 USD for a million tokens? That looks like the price of one token: did you mean 2.50?"
    )
    assert _asked(0.0025, None, 0.01)["price_out"] == (
        "0.01 USD for a million tokens? That looks like the price of a thousand tokens: did you mean 10.00?"
    )
    assert _asked(0.000015, None, 0.000075)["price_in"] == (
        "0.000015 USD for a million tokens? That looks like the price of one token (then enter 15.00) or of a thousand tokens (then enter 0.015)."
    )


@pytest.mark.parametrize(
    ("typed", "usd"), [("2.5e-06", 2.5e-6), ("2.5E-6", 2.5e-6), ("0.000000006", 6e-9), ("$0.0025", 0.0025), ("1e-9", 1e-9)]
)
def test_a_price_is_read_as_price_lists_write_it(typed: str, usd: float) -> None:
    assert forms.price(typed) == usd
    assert forms.price(forms.typed_price(usd)) == usd


def test_doctor_asks_about_the_prices_of_connected_endpoints() -> None:
    good: dict[str, float | None] = {"price_in": 2.5, "price_cached": 1.25, "price_out": 10.0}
    bad: dict[str, float | None] = {"price_in": 0.0000025, "price_cached": None, "price_out": 0.00001}

    assert prices_line([("good", good)]) == ""
    assert "bad: 0.0000025 USD for a million tokens?" in prices_line([("good", good), ("bad", bad)])
