"""What people send on WhatsApp that is not words: contact cards, orders, the answers to a form, polls. Told as references (bots.channels.references)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation, localcontext

from bots.channels.fields import Fields, NotJson, as_fields, clean, decode, items, moment_of, part, text_of, word_of
from bots.channels.references import Refers, refer, said_of

_MOST_LINES = 20
_MOST_VALUES = 3
_LINE_LIMIT = 1_000
_FORM_LIMIT = 65_536
#: Objects within objects of a form's answer, and how many answers are told.
_FORM_DEPTH = 3
#: The names under which a form has the business's own notes, which nobody entered.
_NOT_ENTERED = frozenset({"flow_token", "flow_id", "flow_message_version", "wa_flow_response_params"})
#: Digits of an amount; a longer one is nobody's price.
_AMOUNT_LIMIT = 24
#: A smaller one is nothing.
_LEAST_AMOUNT = Decimal("1e-9")


def cards(found: Sequence[object], named: str = "contact card") -> Refers:
    """Tell contact cards: name, organisation, numbers, addresses and birthday of each."""
    return refer(*((named, _card(as_fields(one) or {})) for one in found[:_MOST_LINES]))


def order(found: Fields) -> Refers:
    """Tell an order: its total where all lines have a price in one currency, its lines, how many more there are, and the catalog."""
    ordered = [as_fields(one) or {} for one in items(found, "product_items")]
    lines = [("order line", _line(one)) for one in ordered[:_MOST_LINES]]
    more = len(ordered) - len(lines)
    return refer(
        ("order total", _total(ordered)),
        *lines,
        ("order line", f"and {more} more, which are not listed here" if more else None),
        ("catalog", said_of(found, "catalog_id")),
    )


def form(reply: Fields) -> Refers:
    """Tell the answers to a form as `name: value`. The platform sends them as a text, which is usually a JSON object."""
    given = reply.get("response_json")
    if isinstance(given, str) and len(given) > _FORM_LIMIT:
        return refer(("form", "it is too long to be shown"))
    told = text_of(reply, "response_json")
    try:
        found = as_fields(decode(told.encode())) if told is not None else as_fields(given)
    except NotJson:
        found = None
    if found is None:
        return refer(("form", clean(told, _LINE_LIMIT) if told else None))
    return refer(*(("form", clean(f"{name}: {value}", _LINE_LIMIT)) for name, value in _entered(found)))


def permission(reply: Fields) -> Refers:
    """Tell whether a person may be called, and until when."""
    response = word_of(reply, "response")
    if response is None:
        return ()
    until = reply.get("expiration_timestamp")
    until = int(until) if isinstance(until, str) and until.isdecimal() and len(until) <= 16 else until
    moment = moment_of(until) if isinstance(until, int | float) and until is not True else None
    return refer(("call permission", f"{response}, until {_day(moment)}" if moment else response))


def poll(found: Fields) -> Refers:
    """Tell a poll: its question and what can be chosen."""
    question = said_of(found, "question") or said_of(found, "name") or said_of(found, "title")
    options = (one if isinstance(one, str) else _named(as_fields(one) or {}) for one in items(found, "options")[:_MOST_LINES])
    return refer(("poll", question), *(("poll option", clean(one, _LINE_LIMIT) if one else None) for one in options))


def payment(found: Fields, status: str | None) -> Refers:
    """Tell a payment: how far it is, its amount, and the business's own reference."""
    amount = part(found, "amount")
    return refer(
        ("payment", ", ".join(filter(None, (status, _offset_amount(amount, word_of(found, "currency"))))) or None),
        ("payment reference", said_of(found, "reference_id")),
    )


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _named(option: Fields) -> str | None:
    return said_of(option, "name") or said_of(option, "title") or said_of(option, "text") or said_of(option, "option_name")


def _card(contact: Fields) -> str | None:
    name, org = part(contact, "name"), part(contact, "org")
    named = said_of(name, "formatted_name") or " ".join(filter(None, (said_of(name, "first_name"), said_of(name, "last_name")))) or None
    told = [named, said_of(org, "title"), said_of(org, "department"), said_of(org, "company")]
    told += _values(contact, "phones", lambda one: said_of(one, "phone") or said_of(one, "wa_id"))
    told += _values(contact, "emails", lambda one: said_of(one, "email"))
    told += _values(contact, "addresses", _address)
    told += _values(contact, "urls", lambda one: said_of(one, "url"))
    birthday = said_of(contact, "birthday")
    told.append(f"born {birthday}" if birthday else None)
    return clean(", ".join(dict.fromkeys(one for one in told if one is not None)), _LINE_LIMIT) or None


def _values(contact: Fields, name: str, read: Callable[[Fields], str | None]) -> list[str | None]:
    return [read(as_fields(one) or {}) for one in items(contact, name)[:_MOST_VALUES]]


def _address(fields: Fields) -> str | None:
    town = " ".join(filter(None, (said_of(fields, "zip"), said_of(fields, "city"))))
    return ", ".join(filter(None, (said_of(fields, "street"), town, said_of(fields, "state"), said_of(fields, "country")))) or None


def _line(ordered: Fields) -> str | None:
    named = said_of(ordered, "product_retailer_id")
    if named is None:
        return None
    price, quantity = _number(ordered.get("item_price")), _number(ordered.get("quantity"))
    words = [f"{_plain(quantity) if quantity is not None else said_of(ordered, 'quantity') or '?'} x {named}"]
    if price is not None:
        words.append(f"{_plain(price)} {word_of(ordered, 'currency') or ''}".strip())
    return clean(", ".join(words), _LINE_LIMIT)


def _total(ordered: Sequence[Fields]) -> str | None:
    currencies = {word_of(one, "currency") for one in ordered}
    amounts = [(_number(one.get("quantity")), _number(one.get("item_price"))) for one in ordered]
    if len(currencies) != 1 or any(quantity is None or price is None for quantity, price in amounts):
        return None
    total = sum((quantity * price for quantity, price in amounts if quantity is not None and price is not None), Decimal(0))
    return f"{_plain(total)} {next(iter(currencies)) or ''}".strip()


def _offset_amount(amount: Fields, currency: str | None) -> str | None:
    """An amount is given as a whole number and what it is divided by: 50000 and 100."""
    value, offset = _number(amount.get("value")), _number(amount.get("offset"))
    if value is None:
        return None
    return f"{_plain(value / offset if offset else value)} {currency or ''}".strip()


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or (isinstance(value, int) and abs(value) >= 10**_AMOUNT_LIMIT):
        return None
    try:
        found = Decimal(str(value)[: _AMOUNT_LIMIT * 2].strip())
    except InvalidOperation:
        return None
    if not found.is_finite() or abs(found) >= 10**_AMOUNT_LIMIT:
        return None
    return found if not found or abs(found) >= _LEAST_AMOUNT else Decimal(0)


def _plain(amount: Decimal) -> str:
    """Without exponent, and without zeros that say nothing: 30, 12.5, 1200."""
    with localcontext(prec=4 * _AMOUNT_LIMIT):
        told = f"{round(amount, 6):f}"
    return told.rstrip("0").rstrip(".") if "." in told else told


def _entered(fields: Fields, before: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """The names and values of a form's answer; a name inside another is told behind it, and several values one after the other."""
    for name in list(fields)[:_MOST_LINES]:
        if name in _NOT_ENTERED:
            continue
        value: object = fields[name]
        inner = as_fields(value)
        if inner is not None and depth < _FORM_DEPTH:
            yield from _entered(inner, f"{before}{name}.", depth + 1)
            continue
        told = [one for one in map(_value, items(fields, name)[:_MOST_LINES]) if one is not None]
        if told:
            yield f"{before}{name}", ", ".join(told)


def _value(value: object) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        number = _number(value)
        return _plain(number) if number is not None else None
    fields = as_fields(value)
    if fields is not None:
        # A choice is told by what it was called.
        return _named(fields) or said_of(fields, "id")
    return said_of({"value": value}, "value")
