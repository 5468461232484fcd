"""What an operator types finds whom they mean: numbers in any spelling, names without accents, in either composition, in any case and order."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots.domain import Identity, IdentityKind
from bots.storage import conversations
from bots.storage.database import unit
from bots.storage.search import number
from tests.support.storage_fixture import StorageFixture, a_message, a_phone

_PEOPLE = {
    "351912345001": "Inês Conceição",
    "351912345002": "Rene\u0301 Zu\u0308rn",
    "4915123456789": "Jörg Groß-Weiß",
    "48601234567": "Łukasz Żółć",
    "905321234567": "İpek Işık",
    "4790123456": "Øystein Ærø",
    "380671234567": "Андрей Ёлкин",
    "302101234567": "Γιώργος Παπάς",
    "84912345678": "Nguyễn Thị Ánh",
    "966501234567": "مُحَمَّد أحمد",
    "353871234567": "Sinéad O’Brien",
    "819012345678": "Ｙａｍａｄａ",
    "821012345678": "김민준",
    "994501234567": "Əliyev",
    "385911234567": "Đuro 100%_x",
    "15551234567": "Ann 🌻",
}


@pytest.fixture
def known(storage: StorageFixture) -> StorageFixture:
    """A service to which many people have written."""
    for phone, name in _PEOPLE.items():
        storage.let_in(a_message("Olá, quero um café às 9:30", by=(a_phone(phone),), contact_name=name))
    return storage


def _found(storage: StorageFixture, search: str) -> set[str]:
    with unit(storage.crossing) as connection:
        heads = conversations.newest(connection, tenant=storage.account.tenant_id, search=search)
    return {unicodedata.normalize("NFC", head.contact) for head in heads}


@pytest.mark.parametrize(
    ("search", "name"),
    [
        ("ines", "Inês Conceição"),
        ("INÊS", "Inês Conceição"),
        ("conceicao ines", "Inês Conceição"),
        ("  Inês   conce ", "Inês Conceição"),
        (unicodedata.normalize("NFD", "Inês"), "Inês Conceição"),
        ("René", "René Zürn"),
        (unicodedata.normalize("NFD", "René Zürn"), "René Zürn"),
        ("zurn", "René Zürn"),
        ("gross", "Jörg Groß-Weiß"),
        ("GROẞ", "Jörg Groß-Weiß"),
        ("jorg weiss", "Jörg Groß-Weiß"),
        ("groß-weiß", "Jörg Groß-Weiß"),
        ("lukasz zolc", "Łukasz Żółć"),
        ("ŁUKASZ", "Łukasz Żółć"),
        ("ipek isik", "İpek Işık"),
        ("IŞIK", "İpek Işık"),
        ("oystein aero", "Øystein Ærø"),
        ("андрей елкин", "Андрей Ёлкин"),
        ("АНДРЕЙ", "Андрей Ёлкин"),
        ("γιωργος ΠΑΠΑΣ", "Γιώργος Παπάς"),
        ("nguyen anh", "Nguyễn Thị Ánh"),
        ("محمد احمد", "مُحَمَّد أحمد"),
        ("obrien", "Sinéad O’Brien"),
        ("o'brien sinead", "Sinéad O’Brien"),
        ("yamada", "Ｙａｍａｄａ"),
        ("김민준", "김민준"),
        (unicodedata.normalize("NFD", "민준"), "김민준"),
        ("eliyev", "Əliyev"),
        ("duro 100%_", "Đuro 100%_x"),
        ("🌻", "Ann 🌻"),
        ("ann", "Ann 🌻"),
    ],
)
def test_a_name_is_found(known: StorageFixture, search: str, name: str) -> None:
    assert unicodedata.normalize("NFC", name) in _found(known, search)


@pytest.mark.parametrize(
    ("search", "name"),
    [
        ("+351 912 345 001", "Inês Conceição"),
        ("00351912345001", "Inês Conceição"),
        ("00 351-912-345-001", "Inês Conceição"),
        ("(912) 345.001", "Inês Conceição"),
        ("912345001", "Inês Conceição"),
        ("345001", "Inês Conceição"),
        ("tel:+351912345001", "Inês Conceição"),
        ("https://wa.me/351912345001", "Inês Conceição"),
        ("\u202a+351\u00a0912\u2011345\u2011001\u202c", "Inês Conceição"),
        ("+٣٥١ ٩١٢ ٣٤٥ ٠٠١", "Inês Conceição"),
        ("0151 23456789", "Jörg Groß-Weiß"),
        ("+49 (0)151 23456789", "Jörg Groß-Weiß"),
        ("+1 (555) 123-4567", "Ann 🌻"),
        ("555.123.4567", "Ann 🌻"),
    ],
)
def test_a_number_is_found_in_any_spelling(known: StorageFixture, search: str, name: str) -> None:
    assert _found(known, search) == {unicodedata.normalize("NFC", name)}


@pytest.mark.parametrize("search", ["nobody", "351 999", "ines zurn", "...", "'", "%", "i%nes", "+", "ines\\", "-"])
def test_what_nobody_has_finds_nobody(known: StorageFixture, search: str) -> None:
    assert "Inês Conceição" not in _found(known, search)


def test_words_of_messages_are_found_in_either_composition(known: StorageFixture) -> None:
    for words in ("um café às 9:30", "CAFÉ", unicodedata.normalize("NFD", "café às")):
        assert len(_found(known, words)) == len(_PEOPLE)


def test_an_id_that_is_no_number_is_found_as_it_stands(storage: StorageFixture) -> None:
    storage.let_in(a_message(by=(Identity(kind=IdentityKind.BSUID, value="ES.81230091AbC"),), contact_name="Cy"))

    assert _found(storage, "es.8123") == _found(storage, "81230091abc") == {"Cy"}


@pytest.mark.parametrize("search", ["", "12", "ann 912345", "9:30", "100%", "ES.81230091", "0000", "²³¹", "12a345"])
def test_what_is_no_number_is_not_taken_for_one(search: str) -> None:
    assert number(search) is None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_whoever_types_a_whole_name_finds_it(storage: StorageFixture, name: str) -> None:
    with unit(storage.crossing) as connection:
        connection.exec_driver_sql("update contacts set name = null")
    contacts = storage.let_in(a_message(by=(a_phone("34600111222"),)))
    with unit(storage.crossing) as connection:
        connection.exec_driver_sql("update contacts set name = %s where id = %s", (name, contacts[0]))
        folded = connection.exec_driver_sql("select folded from contacts where id = %s", (contacts[0],)).scalar_one()

    # Upper case writes the iota below an ancient Greek letter beside it; nobody's name is searched for so.
    upper = name if "\u0345" in unicodedata.normalize("NFD", name) else name.upper()
    for typed in (name, upper, unicodedata.normalize("NFD", name), unicodedata.normalize("NFC", name)):
        found = _found(storage, typed)
        assert not folded.strip() or (len(found) == 1 or typed.casefold() != name.casefold()), (name, folded)
