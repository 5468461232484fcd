"""Spellings of one phone number, by country; what is no mobile number of these countries stays as it is."""

from __future__ import annotations

import json

import pytest

from bots.channels.whatsapp import parse
from bots.channels.whatsapp.numbers import one_number
from tests.support import build

SAME = {
    "Brazil, Fortaleza": ("558587654321", "5585987654321"),
    "Brazil, São Paulo": ("551187654321", "5511987654321"),
    "Brazil, Rio": ("552168765432", "5521968765432"),
    "Brazil, Recife, 7": ("558178123456", "5581978123456"),
    "Brazil, Porto Alegre, 9": ("555199123456", "5551999123456"),
    "Mexico City": ("5215512345678", "525512345678"),
    "Mexico, Monterrey": ("5218112345678", "528112345678"),
    "Mexico, three digits of area": ("5219981234567", "529981234567"),
    "Argentina, Buenos Aires": ("5491123456789", "541123456789", "54111523456789"),
    "Argentina, with both": ("5491123456789", "549111523456789"),
    "Argentina, Córdoba": ("5493512345678", "543512345678", "54351152345678"),
    "Argentina, four digits of area": ("5492901234567", "542901234567", "54290115234567"),
    "Argentina, González Catán beside Merlo": ("5492202456789", "54220215456789"),
    "Argentina, Merlo": ("5492204567890", "54220154567890"),
}
UNTOUCHED = {
    "Brazil, a landline": "551132345678",
    "Brazil, a landline of Brasília": "556134567890",
    "Brazil, a ninth digit before what would be a landline": "5511932345678",
    "Brazil, no area": "550987654321",
    "Brazil, too short": "55118765432",
    "Brazil, too long": "55119876543210",
    "Mexico, today's form": "525512345678",
    "Mexico, an area with 1": "5211112345678",
    "Mexico, too short": "52155123456",
    "Argentina, too short": "54112345678",
    "Argentina, a toll-free number": "548001234567",
    "Spain": "34600111222",
    "United States": "15215551234",
    "Germany": "4915212345678",
    "United Kingdom": "447911123456",
    "Chile": "56912345678",
    "Colombia": "573001234567",
    "Hungary, which has 36": "36521234567",
    "Russia": "79521234567",
    "nothing": "",
}


@pytest.mark.parametrize("name", SAME)
def test_spellings_of_one_mobile_number_have_one_form(name: str) -> None:
    forms = {one_number(number) for number in SAME[name]}

    assert len(forms) == 1
    assert one_number(forms.pop()) in {one_number(number) for number in SAME[name]}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_other_numbers_stay_as_they_are(name: str) -> None:
    assert one_number(UNTOUCHED[name]) == UNTOUCHED[name]


def test_a_number_never_becomes_that_of_another_area() -> None:
    ends = {one_number(f"55{area}{local}") for area in range(11, 100) for local in ("87654321", "987654321", "32654321")}

    # One mobile number and one landline an area; those with a 0 in them are no areas, and stay apart.
    assert len(ends) == sum(2 if area % 10 else 3 for area in range(11, 100))


def test_the_list_of_contacts_may_spell_the_senders_number_in_the_other_way() -> None:
    message = {"id": "wamid.1", "from": "558587654321", "timestamp": "1795500000", "type": "text", "text": {"body": "Boa tarde"}}
    body = json.loads(build.a_webhook(messages=[message]))
    body["entry"][0]["changes"][0]["value"]["contacts"] = [{"profile": {"name": "Rita"}, "wa_id": "5585987654321", "user_id": "BR.1"}]

    (event,) = parse(json.dumps(body).encode()).events

    assert [(one.kind.value, one.value) for one in event.identities] == [("bsuid", "BR.1"), ("phone", "558587654321")]
    assert event.contact_name == "Rita"
