"""What may be entered for an endpoint: the same checks for pages, API and commands, each with a message for whoever typed it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from bots.admin.endpoints import presets, price_units
from bots.channels.graph import is_plain
from bots.errors import BadSetting
from bots.storage.endpoints import EndpointRow, Form
from inference.catalog import Catalog

NAME = r"^[a-z0-9][a-z0-9._-]{0,39}$"
MOST_URL, MOST_MODEL, MOST_KEY = 500, 200, 2000
#: USD per million tokens; more than any provider has ever charged.
MOST_PRICE = 10_000.0
PRICES = ("price_in", "price_cached", "price_out")
_BAD_KEY = "It contains characters that do not belong in an API key. Copy it again."


class InvalidEndpoint(BadSetting):
    """An endpoint cannot have these values; `errors` says why, by field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The wanted values of an endpoint to connect or change."""

    form: Form
    api_key: str = field(default="", repr=False)
    #: A hosted endpoint that needs no key.
    no_key: bool = False
    #: Connect a model although the catalog says that it is switched off.
    retired_ok: bool = False
    #: The price is right, although it looks like one for another number of tokens.
    price_as_given: bool = False


def checked(*, name: str, url: str, model: str, leaves_house: bool, prices: Mapping[str, float | None]) -> Form:
    """Return a form of valid values. Raises InvalidEndpoint."""
    errors: dict[str, str] = {}
    if not re.fullmatch(NAME, name):
        errors["name"] = "Use lower-case letters, digits, dots, underscores and dashes, at most 40 characters, for example own-llama."
    if not model.strip() or len(model) > MOST_MODEL or not model.isprintable():
        errors["model"] = "Enter the model's name as the server's /v1/models lists it."
    provider = presets.provider_at(url)
    if len(url) > MOST_URL or not _is_address(url):
        errors["url"] = "Enter an address like https://host/v1, without a user, a password or a question mark."
    elif provider and not leaves_house:
        errors["leaves_house"] = f"This is {provider}'s address: what people write leaves your servers."
    errors |= _price_errors(prices)
    if errors:
        raise InvalidEndpoint(errors)
    return Form(name=name, url=url, model=model, leaves_house=leaves_house, **prices)


def read(typed: Mapping[str, str]) -> Wish:
    """Read the form of a page. Raises InvalidEndpoint with what is wrong, by field."""
    values = {key: typed.get(key, "").strip() for key in ("name", "url", "model", "api_key", *PRICES)}
    prices: dict[str, float | None] = {}
    errors: dict[str, str] = {}
    for key in PRICES:
        try:
            prices[key] = price(values[key])
        except ValueError as error:
            prices[key], errors[key] = None, str(error)
    try:
        form = checked(
            name=values["name"],
            url=values["url"],
            model=values["model"],
            leaves_house=bool(typed.get("leaves_house")),
            prices=dict.fromkeys(PRICES) if errors else prices,
        )
    except InvalidEndpoint as error:
        raise InvalidEndpoint(error.errors | errors) from error
    if errors:
        raise InvalidEndpoint(errors)
    flags = {key: bool(typed.get(key)) for key in ("no_key", "retired_ok", "price_as_given")}
    return Wish(form=form, api_key=values["api_key"], **flags)


def price(typed: str) -> float | None:
    """Read a price in USD per million tokens; None when nothing was typed. Raises ValueError with what to type."""
    plain = typed.strip().removeprefix("$").strip()
    if not plain:
        return None
    # Price lists write prices of one token like 2.5e-06: they are understood, and asked about afterwards.
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,12})?(e-[0-9]{1,2})?", plain, re.ASCII | re.IGNORECASE) or float(plain) > MOST_PRICE:
        raise ValueError(f"US dollars per million tokens, such as 0.10 or 2.50, at most {MOST_PRICE:,.0f}.")
    return float(plain)


def admit(wish: Wish, catalog: Catalog, *, today: date) -> None:
    """Refuse a hosted endpoint without a key and a model that is switched off, unless the operator insists; ask about an odd price. Raises InvalidEndpoint."""
    errors: dict[str, str] = {}
    if wish.api_key and (not is_plain(wish.api_key) or len(wish.api_key) > MOST_KEY):
        errors["api_key"] = _BAD_KEY
    elif wish.form.leaves_house and not wish.api_key and not wish.no_key:
        errors["api_key"] = "A hosted endpoint needs its API key; say so if this one needs none."
    errors |= _over(wish, catalog, today=today) | _asked_prices(wish)
    if errors:
        raise InvalidEndpoint(errors)


def admit_change(wish: Wish, before: EndpointRow, after: EndpointRow, catalog: Catalog, *, today: date) -> None:
    """Refuse what `admit` refuses, if the change is the cause. Raises InvalidEndpoint."""
    errors: dict[str, str] = {}
    if after.leaves_house and not before.leaves_house and after.key is None and not wish.no_key:
        errors["leaves_house"] = "A hosted endpoint needs its API key: enter it first, or say so if this one needs none."
    if any(getattr(before, name) != getattr(after, name) for name in ("url", "model", "leaves_house")):
        errors |= _over(wish, catalog, today=today)
    if any(getattr(before, key) != getattr(after, key) for key in PRICES):
        errors |= _asked_prices(wish)
    if errors:
        raise InvalidEndpoint(errors)


def prices_of(row: EndpointRow | Form) -> dict[str, float | None]:
    """Return an endpoint's prices by their fields."""
    return {key: getattr(row, key) for key in PRICES}


def _asked_prices(wish: Wish) -> dict[str, str]:
    asked = {} if wish.price_as_given else price_units.questions(prices_of(wish.form))
    return asked | {"price_as_given": "Prices are in USD for a million tokens; say so if this one is right as it is."} if asked else {}


def _over(wish: Wish, catalog: Catalog, *, today: date) -> dict[str, str]:
    over = presets.ended(catalog, wish.form.model, today=today, url=wish.form.url) if wish.form.leaves_house else ""
    return {"model": f"{over} It will not answer; say so if you want it anyway."} if over and not wish.retired_ok else {}


def check_key(api_key: str) -> str:
    """Return a new key as it is stored. Raises InvalidEndpoint."""
    key = api_key.strip()
    if not is_plain(key) or len(key) > MOST_KEY:
        raise InvalidEndpoint({"api_key": _BAD_KEY if key else "Enter a key."})
    return key


def typed_of(row: EndpointRow | Form) -> dict[str, str]:
    """Return an endpoint's values as they are typed."""
    prices = {key: typed_price(usd) for key, usd in prices_of(row).items()}
    return {"name": row.name, "url": row.url, "model": row.model, "leaves_house": "on" if row.leaves_house else "", **prices}


def typed_price(usd: float | None) -> str:
    """Write a price as it is typed."""
    return "" if usd is None else price_units.in_digits(usd)


def _price_errors(prices: Mapping[str, float | None]) -> dict[str, str]:
    errors = {
        key: "US dollars per million tokens, 0 or more." for key, usd in prices.items() if usd is not None and not 0 <= usd <= MOST_PRICE
    }
    if prices.get("price_in") is None and prices.get("price_out") is not None:
        errors["price_in"] = "Input tokens need a price too; 0 if they are free."
    if prices.get("price_out") is None and (prices.get("price_in") is not None or prices.get("price_cached") is not None):
        errors["price_out"] = "Output tokens need a price too; 0 if they are free."
    if prices.get("price_cached") is not None and prices.get("price_in") is None:
        errors["price_in"] = "Input tokens need a price too; 0 if they are free."
    return errors


def _is_address(url: str) -> bool:
    try:
        Form(name="x", url=url, model="x")
    except BadSetting:
        return False
    return True
