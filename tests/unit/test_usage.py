"""What tokens cost, how sums of money are written, and how old a month's sum may be."""

from __future__ import annotations

import csv
import io
import re
from datetime import date

import pytest

from bots.admin.bots import forms
from bots.admin.money import axis, money
from bots.admin.usage import cells, days_of, month_of
from bots.extract.texts import text
from bots.storage.turns import ModelCall, TurnResult
from bots.storage.usage import Line
from inference.types import Price, Usage
from inference.usage import cost_of, per_thousand
from workers import metrics

#: USD for a million tokens in, cached, out, and what 1,000 reference replies cost by shared prices of 2026-11.
_HOSTED = {
    "GPT-4o": (Price(tokens_in=2.50, tokens_cached=1.25, tokens_out=10), 6.19),
    "Gemini 2.5 Flash-Lite": (Price(tokens_in=0.10, tokens_cached=0.01, tokens_out=0.40), 0.16),
    "Llama 4 Scout at DeepInfra": (Price(tokens_in=0.10, tokens_out=0.30), 0.35),
    "Llama 4 Maverick at DeepInfra": (Price(tokens_in=0.20, tokens_out=0.80), 0.72),
    "DeepSeek V4 Flash": (Price(tokens_in=0.30, tokens_cached=0.006, tokens_out=1.20), 0.42),
}
#: 3,000 tokens in, three quarters of them cached, 150 out.
_REPLY = Usage(tokens_in=3000, tokens_cached=2250, tokens_out=150)


@pytest.mark.parametrize("row", list(_HOSTED))
def test_a_thousand_reference_replies_cost_what_the_price_map_says(row: str) -> None:
    price, expected = _HOSTED[row]

    assert per_thousand(price, _REPLY) == pytest.approx(expected, abs=0.006)
    assert cost_of(price, _REPLY) == pytest.approx(expected / 1000, rel=0.03)


def test_cached_tokens_are_part_of_those_in_and_have_a_price_of_their_own() -> None:
    price = Price(tokens_in=2.0, tokens_cached=0.5, tokens_out=8.0)

    assert cost_of(price, Usage(tokens_in=1_000_000, tokens_cached=0, tokens_out=0)) == 2.0
    assert cost_of(price, Usage(tokens_in=1_000_000, tokens_cached=1_000_000, tokens_out=0)) == 0.5
    assert cost_of(price, Usage(tokens_in=1_000_000, tokens_cached=400_000, tokens_out=500_000)) == pytest.approx(1.2 + 0.2 + 4.0)


def test_without_a_price_of_their_own_cached_tokens_cost_as_others_do() -> None:
    assert cost_of(Price(tokens_in=2.0, tokens_out=8.0), Usage(tokens_in=1_000_000, tokens_cached=900_000)) == 2.0


def test_a_server_that_counts_more_cached_tokens_than_it_was_sent_lowers_nothing_below_zero() -> None:
    price = Price(tokens_in=2.0, tokens_cached=0.5, tokens_out=8.0)

    assert cost_of(price, Usage(tokens_in=100, tokens_cached=1_000_000, tokens_out=0)) == pytest.approx(100 * 0.5 / 1e6)
    assert cost_of(price, Usage(tokens_in=-5, tokens_cached=-5, tokens_out=-5)) == 0.0


def test_an_unknown_price_is_no_price_and_a_price_of_nothing_is_nothing() -> None:
    assert cost_of(None, _REPLY) is None
    assert cost_of(Price(tokens_in=0.0, tokens_out=0.0), _REPLY) == 0.0


@pytest.mark.parametrize(
    ("usd", "written"),
    [
        (None, "no price"),
        (0.0, "$0"),
        (1234.5, "$1,234.50"),
        (12.344, "$12.34"),
        (1.0, "$1.00"),
        (0.99999, "$1.00"),
        (0.5, "$0.50"),
        (0.0432, "$0.0432"),
        (0.000123456, "$0.000123"),
        (1e-9, "$0.000000001"),
        (-0.02, "-$0.02"),
    ],
)
def test_money_is_written_in_dollars_with_the_digits_that_count(usd: float | None, written: str) -> None:
    assert money(usd) == written


@pytest.mark.parametrize("usd", [0.0, 0.0002, 0.00025, 0.004, 0.05, 0.5, 1.5, 12.0, 250.0, 1200.0, 25_000.0, 400_000.0])
def test_money_fits_beside_an_axis(usd: float) -> None:
    assert len(axis(usd)) <= 7


@pytest.mark.parametrize(("typed", "usd"), [("", None), ("  ", None), ("20", 20.0), ("$0.50", 0.5), (" 0.000001 ", 0.000001)])
def test_a_budget_is_read_as_it_is_typed(typed: str, usd: float | None) -> None:
    assert forms.budget(typed) == usd


@pytest.mark.parametrize("typed", ["0", "0.0", "-1", "1e3", "nan", "inf", "0,50", "ten", "1000001", "1 2", "٣"])
def test_a_budget_that_is_none_says_what_to_type(typed: str) -> None:
    with pytest.raises(ValueError, match=r"such as 0\.50"):
        forms.budget(typed)


@pytest.mark.parametrize("word", ["", "2026", "2026-13", "2026-00", "2026-1", "1999-01", "2026-11-01", "٢٠٢٦-11", "2026-11\n"])
def test_a_month_that_is_none_is_nothing(word: str) -> None:
    assert month_of(word) is None


def test_a_month_has_its_days() -> None:
    assert month_of("2026-11") == date(2026, 11, 1)
    assert [len(days_of(date(2026, month, 1))) for month in (2, 11, 12)] == [28, 30, 31]
    assert days_of(date(2028, 2, 1))[-1] == date(2028, 2, 29)


@pytest.mark.parametrize("name", ["budget_day", "budget_month"])
def test_a_budgets_sentence_is_there_in_every_language(name: str) -> None:
    found = {language: text(name, language) for language in ("en", "es", "pt", "tr")}

    assert len(set(found.values())) == 4
    assert all(len(words) > 40 for words in found.values())
    assert text(name, "nl") == found["en"]


def _call(endpoint: str, *, cost: float | None) -> ModelCall:
    return ModelCall(
        attempt=1, endpoint=endpoint, model="m", prompt=[], outcome="ok", tokens_in=10, tokens_cached=4, tokens_out=2, cost=cost
    )


def test_money_is_counted_by_endpoint_and_work_where_it_is_known_with_at_most_a_hundred_endpoints() -> None:
    metrics.count_call(_call("priced", cost=0.25))
    metrics.count_call(_call("priced", cost=0.5), work="batch")
    metrics.count_call(_call("free", cost=None))
    metrics.count_unused(TurnResult(state="answered", calls=[_call("fenced", cost=0.125)]), "fenced")
    found = {
        tuple(sample.labels.values()): sample.value for sample in metrics.MODEL_COST.collect()[0].samples if sample.name.endswith("_total")
    }

    assert (found["priced", "m", "talk"], found["priced", "m", "batch"], found["fenced", "m", "talk"]) == (0.25, 0.5, 0.125)
    assert [labels for labels in found if labels[0] == "free"] == []

    # Labels are never given back, hence in one test: whoever comes after the hundredth is another.
    for n in range(300):
        metrics.count_call(_call(f"endpoint-{n}", cost=0.1))
    names = {sample.labels["endpoint"] for sample in metrics.MODEL_COST.collect()[0].samples}

    assert "other" in names
    assert len(names) <= 101


def test_words_of_a_file_for_spreadsheets_are_never_a_formula() -> None:
    line = Line(day=date(2026, 11, 1), bot="=1+1", kind="talk", endpoint="@own", model="-m", cost=0.1)
    out = io.StringIO(newline="")
    csv.writer(out).writerow(cells(line))

    assert not re.search(r"(^|,)[=@-]", out.getvalue())
    assert "'=1+1" in out.getvalue()
