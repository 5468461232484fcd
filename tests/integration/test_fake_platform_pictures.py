"""Pictures on the practice platform: named in a webhook, found with the account's token, handed over while their address lives."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from chinwag.cli import webhook_send
from tests.support.drawing import a_picture
from tests.support.practice import PHONE_ID, TOKEN, Business, Platform, a_business, a_registered, register_page, start, stop

PERSON = "2460011122200001"
DATA = a_picture(40, 30)
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def business() -> Iterator[Business]:
    with a_business() as business:
        yield business


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = start(tmp_path_factory.mktemp("platform"))
    yield platform
    stop(platform)


@pytest.fixture
def platform(process: Platform, business: Business) -> Iterator[Platform]:
    with a_registered(process, business) as platform:
        register_page(platform, business, "messenger")
        yield platform


def write(platform: Platform, account: str, **more: Any) -> httpx.Response:
    given: dict[str, Any] = {"account_id": account, "from": PERSON, "pictures": [{"data": base64.b64encode(DATA).decode()}], "wait_s": 5}
    return platform.http.post("/_practice/inbound", json=given | more)


def webhook(business: Business) -> dict[str, Any]:
    return business.bodies[-1]


def told(platform: Platform, business: Business) -> tuple[dict[str, Any], dict[str, Any]]:
    """The image as the webhook names it, and what the Graph API tells of it."""
    assert write(platform, PHONE_ID, text="look").json()["http_status"] == 200
    image = webhook(business)["entry"][0]["changes"][0]["value"]["messages"][0]["image"]
    return image, platform.http.get(f"/v25.0/{image['id']}?phone_number_id={PHONE_ID}", headers=BEARER).json()


def test_a_number_is_told_an_id_and_finds_the_picture_by_its_token(platform: Platform, business: Business) -> None:
    image, found = told(platform, business)
    handed = platform.http.get(found["url"], headers=BEARER)

    assert (image["caption"], image["mime_type"]) == ("look", "image/jpeg")
    assert base64.b64decode(image["sha256"]) == bytes.fromhex(found["sha256"]) == hashlib.sha256(DATA).digest()
    assert (int(found["file_size"]), found["messaging_product"]) == (len(DATA), "whatsapp")
    assert (handed.status_code, handed.content) == (200, DATA)


def test_without_the_token_or_with_another_nothing_is_handed_over(platform: Platform, business: Business) -> None:
    image, found = told(platform, business)
    others = [{}, {"authorization": "Bearer page-token"}, {"authorization": "Bearer nobody"}]

    assert [platform.http.get(found["url"], headers=one).status_code for one in others] == [401] * 3
    assert [platform.http.get(f"/v25.0/{image['id']}", headers=one).json()["error"]["code"] for one in others] == [190, 100, 190]
    refused = platform.http.get(f"/v25.0/{image['id']}?phone_number_id=1", headers=BEARER).json()
    assert refused["error"]["error_subcode"] == 33


def test_an_address_that_was_changed_or_is_over_opens_nothing(platform: Platform, business: Business) -> None:
    _, found = told(platform, business)
    url = httpx.URL(found["url"])
    over = url.copy_merge_params({"ext": "1795500000"})
    longer = url.copy_merge_params({"ext": str(int(url.params["ext"]) + 60)})
    other = url.copy_merge_params({"mid": "9800000000000000"})

    assert [platform.http.get(one, headers=BEARER).status_code for one in (over, longer, other)] == [404] * 3


def test_a_page_is_told_addresses_that_open_without_a_token(platform: Platform, business: Business) -> None:
    pictures = [{"data": base64.b64encode(one).decode(), "media_type": "image/png"} for one in (DATA, a_picture(kind="PNG"))]
    assert write(platform, "200300400500600", pictures=pictures, text="these").json()["http_status"] == 200
    message = webhook(business)["entry"][0]["messaging"][0]["message"]
    urls = [one["payload"]["url"] for one in message["attachments"]]

    assert message["text"] == "these"
    assert [one["type"] for one in message["attachments"]] == ["image", "image"]
    assert platform.http.get(urls[0]).content == DATA
    assert platform.http.get(urls[1]).headers["content-type"] == "image/png"
    assert platform.http.get(httpx.URL(urls[0]).copy_merge_params({"oe": "6B05E2E0"})).status_code == 403


@pytest.mark.parametrize(
    ("fault", "status"),
    [("503", 503), ({"fault": "100", "http_status": 404}, 404), ({"fault": "redirect", "location": "/x"}, 302), ("garbage_200", 200)],
)
def test_each_step_goes_wrong_on_demand(platform: Platform, business: Business, fault: Any, status: int) -> None:
    image, found = told(platform, business)
    for step, ask in (("find", f"/v25.0/{image['id']}"), ("fetch", found["url"])):
        platform.http.post("/_practice/script", json={"match": {"kind": "picture", "type": step}, "faults": [fault]})

        assert platform.http.get(ask, headers=BEARER).status_code == status
        assert platform.http.get(ask, headers=BEARER).status_code == 200


def test_a_person_sends_a_picture_by_the_command(
    platform: Platform, business: Business, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fence.png"
    file.write_bytes(a_picture(kind="PNG"))
    address = str(platform.http.base_url)
    # Nobody answers here: what counts is what the business was sent.
    webhook_send.converse(
        address,
        account=PHONE_ID,
        sender="34600111222",
        text="my fence",
        name="Ana",
        wait_s=0.5,
        picture=webhook_send.picture_of(file.read_bytes()),
    )
    image = webhook(business)["entry"][0]["changes"][0]["value"]["messages"][0]["image"]

    assert (image["caption"], image["mime_type"]) == ("my fence", "image/png")
    with pytest.raises(typer.Exit) as ended:
        webhook_send.send(text="", image=None)
    assert (ended.value.exit_code, capsys.readouterr().err) == (
        2,
        "Nothing to send: give --text, --image, --file, --location, --contact-card, --button, or what to --unsend.\n",
    )
    with pytest.raises(typer.Exit) as ended:
        webhook_send.send(text="", image=tmp_path / "none.png")
    assert ended.value.exit_code == 2
