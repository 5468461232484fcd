"""What `chinwag webhook send` lets a person send: read from its options, and written as each platform writes it; the service reads it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from bots.channels.by_kind import PARSERS
from bots.domain import ChannelKind, EventKind, InboundEvent
from chinwag.cli.sayings import PersonAct, card, place
from chinwag.practice import payloads, threads
from chinwag.practice.numbers import Number
from chinwag.practice.pages import Page
from chinwag.practice.pages import build as a_page

_CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ruiz\\, Bea\r\nitem1.TEL;TYPE=CELL:+34 600 1\r\n 11 333\r\nTEL:tel:+34600\r\nEMAIL:b@example.org\r\nORG:Oak;\r\nEND:VCARD\r\n"
_NUMBER = Number(phone_number_id="700", app_secret="x", access_token="y")


def _read(channel: str, saying: PersonAct, text: str = "") -> InboundEvent:
    fields = saying.message(channel, text)
    if channel == "whatsapp":
        body: dict[str, Any] = payloads.inbound(
            _NUMBER, wamid="wamid.1", phone="34600", bsuid="", name="Ana", message=fields["message"], timestamp=1795500000
        )
    else:
        page = a_page(
            {
                "channel": channel,
                "account_id": "1",
                "app_secret": "x",
                "access_token": "y",
                "webhook_url": "http://localhost/x",
                "page_id": "2",
            }
        )
        assert isinstance(page, Page)
        body = threads.inbound(page, fields, person="6001", mid="m_1")
    (event,) = PARSERS[ChannelKind(channel)](json.dumps(body).encode()).events
    return event


@pytest.mark.parametrize("channel", ["whatsapp", "messenger"])
def test_a_place(channel: str) -> None:
    event = _read(channel, PersonAct(location=place("55.6,13.0,Depot")))

    assert event.refers == (("place", "Depot"), ("place coordinates", "55.6, 13.0"))


def test_a_contact_card(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text(_CARD, newline="")

    event = _read("whatsapp", PersonAct(card=card(tmp_path / "a.vcf")))

    assert event.refers == (("contact card", "Ruiz, Bea, Oak, +34 600 111 333, +34600, b@example.org"),)


def test_several_cards_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "two.vcf").write_text("BEGIN:VCARD\nFN:Bea\nTEL:1\nEND:VCARD\n\nbegin:vcard\nFN:Cy\nEMAIL:c@example.org\nend:vcard")

    event = _read("whatsapp", PersonAct(card=card(tmp_path / "two.vcf")))

    assert event.refers == (("contact card", "Bea, 1"), ("contact card", "Cy, c@example.org"))


@pytest.mark.parametrize("channel", ["whatsapp", "messenger", "instagram"])
def test_a_button_a_reply_an_edit_and_an_unsend(channel: str) -> None:
    pressed = _read(channel, PersonAct(button="yes-1"), "Yes")
    replied = _read(channel, PersonAct(reply_to="m_0"), "this one")
    edited = _read(channel, PersonAct(edit="m_0"), "the pine desk")
    unsent = _read(channel, PersonAct(unsend="m_0"))

    assert (pressed.text, pressed.refers) == ("Yes", (("button", "yes-1"),))
    assert (replied.text, replied.quoted) == ("this one", "m_0")
    assert (edited.kind, edited.text, edited.target) == (EventKind.EDIT, "the pine desk", "m_0")
    assert (unsent.kind, unsent.target) == (EventKind.REVOKE, "m_0")


@pytest.mark.parametrize("given", ["", "x,y", "55.6", "91,0", "0,181", "nan,0", "1;2"])
def test_a_place_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(typer.BadParameter):
        place(given)


@pytest.mark.parametrize(
    ("channel", "saying", "text"),
    [
        ("whatsapp", PersonAct(edit="m_0"), " "),
        ("whatsapp", PersonAct(edit="m_0", unsend="m_1"), "x"),
        ("whatsapp", PersonAct(unsend="m_1", reply_to="m_0"), ""),
        ("messenger", PersonAct(card=_CARD), ""),
        ("instagram", PersonAct(location=(1.0, 2.0, "")), ""),
        ("whatsapp", PersonAct(location=(1.0, 2.0, "")), "here I am"),
        ("messenger", PersonAct(location=(1.0, 2.0, "")), "here I am"),
        ("whatsapp", PersonAct(card=_CARD), "call her"),
    ],
)
def test_what_a_messenger_does_not_have_is_refused(channel: str, saying: PersonAct, text: str) -> None:
    with pytest.raises(typer.BadParameter):
        saying.message(channel, text)


def test_a_file_that_is_no_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text("FN:Bea")

    for file in (tmp_path / "a.vcf", tmp_path / "none.vcf"):
        with pytest.raises(typer.BadParameter):
            card(file)
