"""A webhook that is one text and nothing else is read in a short way: to the very event that the reader for everything gives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.channels import instagram, messenger, whatsapp
from bots.channels.one_text import one_text as one_of_a_page
from bots.channels.whatsapp.one_text import one_text as one_of_whatsapp
from bots.domain import IdentityKind
from tests.support import build

_words = st.text() | st.sampled_from(["/stop", " /stop ", "\u200e/help", "\x00", "\ud800", " \n", "a" * 70_000])
_ids = st.sampled_from(["6001", "m_1", build.PAGE_ID, "", " 6001", "x" * 300, "é", "ES.1"]) | st.text(max_size=4)
_numbers = st.sampled_from(["34600111222", "15550102030", "+34600111222", "ES.1", "", "٣٤"])
_stamps = st.sampled_from([1795500000, 1795500000123, 0, -1, 10**15, 10**17])


def _compact(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _whatsapp(*, number: str = "34600111222", user: str = "", sender: str | None = None, by: str = "", **more: Any) -> dict[str, Any]:
    contact = {"profile": {"name": more.get("name", "Ana")}, "wa_id": number, **({"user_id": user} if user else {})}
    message = {
        "from": number if sender is None else sender,
        **({"from_user_id": by} if by else {}),
        "id": more.get("wamid", "wamid.A"),
        "timestamp": str(more.get("stamp", 1795500000)),
        "type": "text",
        "text": {"body": more.get("words", "Hola")},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": more.get("own", "15550102030"), "phone_number_id": "7"},
        "contacts": [contact],
        "messages": [message],
    }
    return {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [{"field": "messages", "value": value}]}]}


def _page(platform: str, *, sender: str = "6001", mid: str = "m_1", words: str = "Hi", stamp: int = 1795500000123) -> dict[str, Any]:
    item = {"sender": {"id": sender}, "recipient": {"id": build.PAGE_ID}, "timestamp": stamp, "message": {"mid": mid, "text": words}}
    return {"object": platform, "entry": [{"id": build.PAGE_ID, "time": 1795500000000, "messaging": [item]}]}


@given(number=_numbers, user=_ids, sender=st.none() | _numbers, by=_ids, words=_words, name=_words, wamid=_ids, stamp=_stamps, own=_numbers)
def test_on_whatsapp(**given: Any) -> None:
    body = _whatsapp(**given)

    # What is not known there sends it the long way, and changes nothing.
    assert whatsapp.parse(_compact(body)) == whatsapp.parse(_compact(body | {"not_known": 1}))


@given(sender=_ids, mid=_ids, words=_words, stamp=_stamps)
def test_on_pages(**given: Any) -> None:
    for parse, platform in ((messenger.parse, "page"), (instagram.parse, "instagram")):
        body = _page(platform, **given)

        assert parse(_compact(body)) == parse(_compact(body | {"not_known": 1}))


def test_usual_texts_go_the_short_way() -> None:
    assert one_of_whatsapp(_compact(_whatsapp())) is not None
    assert one_of_whatsapp(_compact(_whatsapp(user="ES.1", by="ES.1"))) is not None
    assert one_of_a_page(_compact(_page("page")), "page", IdentityKind.PSID) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"context": {"id": "wamid.P"}},
        {"referral": {"headline": "Oak lamp"}},
        {"group_id": "G1"},
        {"errors": [{"code": 131051}]},
        {"from": 34600111222},
        {"type": "edit"},
        {"text": {"body": 7}},
    ],
    ids=lambda more: next(iter(more)),
)
def test_anything_more_goes_the_long_way(more: dict[str, Any]) -> None:
    body = _whatsapp()
    body["entry"][0]["changes"][0]["value"]["messages"][0] |= more

    assert one_of_whatsapp(_compact(body)) is None


@pytest.mark.parametrize(
    "more",
    [{"reply_to": {"mid": "m_0"}}, {"is_echo": True}, {"is_deleted": True}, {"quick_reply": {}}, {"attachments": []}],
    ids=lambda more: next(iter(more)),
)
def test_anything_more_of_a_page_goes_the_long_way(more: dict[str, Any]) -> None:
    body = _page("page")
    body["entry"][0]["messaging"][0]["message"] |= more

    assert one_of_a_page(_compact(body), "page", IdentityKind.PSID) is None
