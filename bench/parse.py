"""How long it takes to verify and read a webhook, compared with one HMAC and one json.loads of the same bytes: less work than that nobody can do."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from bots.channels import instagram, messenger, whatsapp
from bots.channels.signature import verify_meta
from bots.domain import Received
from tests.support import build

_AIM = 0.5
_ROUNDS = 40
#: Bodies one after the other in one measurement, short enough that often nothing else runs meanwhile.
_TIMES = 100
_PARSERS: dict[str, Callable[[bytes], Received]] = {"whatsapp": whatsapp.parse, "messenger": messenger.parse, "instagram": instagram.parse}
_AT = 1_795_500_000
#: As long as the platforms' own ids.
_WAMID = "wamid.HBgLMzQ2MDAxMTEyMjIVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA="
_MID = "m_AG5Hz2Uq7tuwNEhXfYYKj8mJEM_QPpz5jdCK48PnKAjSdjfipqxqMvK8ma6AC8fplwlqLP_5cgXIbu7I3rBN0P"
_PERSON = "24600123456789012"
_BSUID = "ES.8123009144556677"
_WORDS = "Good morning! Do you still have the oak lamp from the window, and what would it cost with delivery?"


def bodies() -> dict[str, tuple[bytes, ...]]:
    """What each channel sends most: texts, then presses of buttons and reports about what was sent."""
    return {
        "whatsapp": tuple(_whatsapp(**parts) for parts in _of_whatsapp()),
        "messenger": tuple(_page(build.PAGE_ID, **kind) for kind in (*_of_pages(), {"read": {"watermark": _AT * 1000}})),
        "instagram": tuple(_page(build.INSTAGRAM_ID, **kind) for kind in (*_of_pages(), {"read": {"mid": _MID}})),
    }


def _of_whatsapp() -> tuple[dict[str, Any], ...]:
    person, since = "34600111222", str(_AT)
    message = {"from": person, "id": _WAMID, "timestamp": since}
    status = {"id": _WAMID, "status": "delivered", "timestamp": since, "recipient_id": person}
    contacts = [{"profile": {"name": "Ana Prado"}, "wa_id": person}]
    press = {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes"}}
    origin = {"id": "c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6", "origin": {"type": "service"}}
    pricing = {"billable": False, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"}
    return (
        {"contacts": contacts, "messages": [{**message, "type": "text", "text": {"body": _WORDS}}]},
        {
            "contacts": [{**contacts[0], "user_id": _BSUID}],
            "messages": [{**message, "from_user_id": _BSUID, "type": "text", "text": {"body": "Yes, please"}}],
        },
        {
            "contacts": contacts,
            "messages": [{**message, "type": "interactive", "interactive": press, "context": {"from": "1", "id": _WAMID}}],
        },
        {
            "statuses": [
                {**status, "biz_opaque_callback_data": "0b8f7f3e-5f0e-4c3a-9a55-0f4f6e1b2c3d", "conversation": origin, "pricing": pricing}
            ]
        },
    )


def _whatsapp(**parts: Any) -> bytes:
    metadata = {"display_phone_number": "15550102030", "phone_number_id": build.PHONE_NUMBER_ID}
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **parts}}
    return _compact({"object": "whatsapp_business_account", "entry": [{"id": "900100200300400", "changes": [change]}]})


def _of_pages() -> tuple[dict[str, Any], ...]:
    return (
        {"message": {"mid": _MID, "text": _WORDS}},
        {"message": {"mid": _MID, "text": "Yes, please"}},
        {"message": {"mid": _MID, "text": "Red", "quick_reply": {"payload": "PICK_RED"}}},
    )


def _page(account: str, **kind: Any) -> bytes:
    return _compact(json.loads(build.a_page_webhook(build.a_page_item(_PERSON, account=account, at=_AT, **kind), account=account)))


def _compact(body: Any) -> bytes:
    # As the platforms send them: without spaces, and with everything that is not ASCII escaped.
    return json.dumps(body, separators=(",", ":")).encode()


def measure(channel: str, given: tuple[bytes, ...]) -> dict[str, Any]:
    """Time both on all bodies of a channel in turn, and take each one's fastest round: everything else is what disturbed it."""
    key, parse = build.APP_SECRET.encode(), _PARSERS[channel]
    signed = [(body, {"x-hub-signature-256": build.sign(body)["x-hub-signature-256"]}) for body in given]

    def least() -> None:
        for body in given:
            hmac.new(key, body, hashlib.sha256).hexdigest()
            json.loads(body)

    def ours() -> None:
        for body, headers in signed:
            verify_meta(headers, body, (build.APP_SECRET,))
            parse(body)

    least_us, ours_us = float("inf"), float("inf")
    for _ in range(_ROUNDS):
        least_us, ours_us = min(least_us, _timed(least, len(given))), min(ours_us, _timed(ours, len(given)))
    return {
        "channel": channel,
        "hmac_and_json_us": round(least_us, 2),
        "verify_and_parse_us": round(ours_us, 2),
        "ratio": round(least_us / ours_us, 3),
    }


def _timed(work: Callable[[], None], bodies: int) -> float:
    began = time.perf_counter()
    for _ in range(_TIMES):
        work()
    return (time.perf_counter() - began) / _TIMES / bodies * 1e6


def main() -> None:
    """Measure each channel."""
    given = report.arguments(__doc__ or "").parse_args()
    rows = [measure(channel, some) for channel, some in bodies().items()]
    report.table(rows, ["channel", "hmac_and_json_us", "verify_and_parse_us", "ratio"])
    report.keep("parse", {"rows": rows, "aim": _AIM}, given.json)
    groups = {
        row["channel"]: {"HMAC and json.loads": row["hmac_and_json_us"], "verify and parse": row["verify_and_parse_us"]} for row in rows
    }
    report.bars("parse", "Time to verify and read a webhook", "µs", groups)


if __name__ == "__main__":
    main()
