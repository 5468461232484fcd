"""What counts as a person's words, and what only stands beside them as data."""

from __future__ import annotations

import json

import pytest

from bots.channels.references import place, pressed, refer
from bots.channels.whatsapp import things
from bots.commands import is_command


@pytest.mark.parametrize(
    "identifier",
    [
        "GET_STARTED",
        "get_started",
        "getStarted",
        "GetStarted",
        "GETSTARTED",
        "Get-Started",
        "<GET_STARTED_PAYLOAD>",
        "FACEBOOK_WELCOME",
        "DEVELOPER_DEFINED_PAYLOAD",
        '{"step": 2}',
        "[1, 2]",
        "buy:17",
        "menu.main",
        "sku-3",
        "col-1",
        "action=buy&id=4",
        "https://shop.example/buy",
        "0b8f7f3e-5f0e-4c3a-9a55-0f4f6e1b2c3d",
        "4711",
        "10:00",
        "PAGO_ÉXITO",
        "Уровень2",
    ],
)
def test_an_id_is_nobodys_words(identifier: str) -> None:
    assert pressed(None, identifier) == (None, (("button", identifier),))


@pytest.mark.parametrize("identifier", ["GET_STARTED", "MAIN_MENU", '{"step": 2}', "<GET_STARTED_PAYLOAD>"])
def test_an_id_in_the_place_of_a_title_is_nobodys_words(identifier: str) -> None:
    assert pressed(identifier, identifier).text is None


@pytest.mark.parametrize(
    "words",
    [
        "Yes",
        "STOP",
        "When are you open?",
        "Table for 2 people",
        "¿Cuánto cuesta?",
        "ja, bitte",
        "営業時間",
        "check-in",
        "साढ़े",
        "👍",
        "Don't know",
    ],
)
def test_an_id_that_reads_as_words_is_what_was_said(words: str) -> None:
    assert pressed(None, words) == (words, (("button", words),))


@pytest.mark.parametrize("title", ["Get Started", "Size 42", "4711", "v2.0", "snake_case explained"])
def test_a_title_is_what_was_said_whatever_it_looks_like(title: str) -> None:
    assert pressed(title, "ID_1") == (title, (("button", "ID_1"),))


@pytest.mark.parametrize("title", ["10:00", "4711", "iPhone", "Get Started", "3-4 people", "2026-12-01"])
def test_a_title_that_is_its_own_id_is_what_was_said(title: str) -> None:
    assert pressed(title, title).text == title


def test_a_press_of_nothing_is_nothing() -> None:
    assert pressed(None, None) == (None, ())


def test_few_references_are_kept() -> None:
    assert len(refer(*(("form", str(n)) for n in range(100)))) < 30


@pytest.mark.parametrize("text", ["/stop", " /stop ", "\u200e/stop", "\u2068/stop\u2069", "\ufeff/stop", "/stop please", "/stop."])
def test_a_command_is_seen_behind_space_and_invisible_marks(text: str) -> None:
    assert is_command(text)


@pytest.mark.parametrize("text", [None, "", "stops", "and/or", "a /stop", "/" + "x" * 80])
def test_other_texts_are_no_commands(text: str | None) -> None:
    assert not is_command(text)


_AMOUNTS: list[object] = [
    1e20, "1e20", "1e23", "9" * 24, 10**23, 10**400, 1e-300, "1e-999999", "1e999999", "-0", "NaN", "inf", 0, -5, "12,5", " 7 ", True, None, [], {}, "1" * 60,
]  # fmt: skip


@pytest.mark.parametrize("one", _AMOUNTS, ids=repr)
def test_no_number_in_an_order_a_payment_or_a_form_raises(one: object) -> None:
    for other in _AMOUNTS:
        things.order({"product_items": [{"product_retailer_id": "a", "quantity": one, "item_price": other, "currency": "EUR"}] * 3})
        things.payment({"amount": {"value": one, "offset": other}, "currency": "INR"}, "captured")
        things.form({"response_json": {"a": one, "b": [other, one], "c": {"d": other}}})
        things.permission({"response": "accept", "expiration_timestamp": one})


def test_amounts_are_told_as_people_write_them() -> None:
    def line(quantity: object, price: object) -> list[str]:
        ordered = {"product_retailer_id": "a", "quantity": quantity, "item_price": price, "currency": "EUR"}
        return [text for _, text in things.order({"product_items": [ordered]})]

    assert line(3, 33.33) == ["99.99 EUR", "3 x a, 33.33 EUR"]
    assert line("2", "10.00") == ["20 EUR", "2 x a, 10 EUR"]
    assert line("1e3", 1e20) == ["100000000000000000000000 EUR", "1000 x a, 100000000000000000000 EUR"]
    assert line("a few", 2) == ["a few x a, 2 EUR"]
    assert things.payment({"amount": {"value": 12550, "offset": 100}, "currency": "INR"}, "captured") == (
        ("payment", "captured, 125.5 INR"),
    )


@pytest.mark.parametrize(
    ("count", "more"), [(20, None), (21, "and 1 more, which are not listed here"), (70, "and 50 more, which are not listed here")]
)
def test_a_long_order_says_how_many_lines_are_not_listed_and_its_total_is_of_all(count: int, more: str | None) -> None:
    one = {"product_retailer_id": "a", "quantity": 1, "item_price": 2, "currency": "EUR"}

    first, *lines, catalog = (text for _, text in things.order({"product_items": [one] * count, "catalog_id": "c"}))

    assert first == f"{2 * count} EUR"
    assert lines[:20] == ["1 x a, 2 EUR"] * 20
    assert lines[20:] == ([] if more is None else [more])
    assert catalog == "c"


@pytest.mark.parametrize("length", [16_384, 60_000])
def test_a_long_form_is_read(length: int) -> None:
    text = json.dumps({"day": "Friday", "notes": "x" * length})

    assert ("form", "day: Friday") in things.form({"response_json": text})


def test_a_form_that_is_too_long_says_so() -> None:
    assert things.form({"response_json": json.dumps({"notes": "x" * 70_000})}) == (("form", "it is too long to be shown"),)


@pytest.mark.parametrize(
    ("value", "told"),
    [(1e-05, "0.00001"), (-2.5e-06, "-0.0000025"), (1e-12, "0"), (-1e-12, "-0"), (55.6, "55.6"), (0.0, "0.0"), (13, "13"), ("1e-5", None)],
)
def test_a_small_coordinate_is_told_without_an_exponent(value: object, told: str | None) -> None:
    assert dict(place({"latitude": value, "longitude": 13})).get("place coordinates") == (None if told is None else f"{told}, 13")
