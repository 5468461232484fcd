"""Pictures on pages: shown to their own contact's phone and to operators, as downloads that nothing runs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from bots.crypto import Keyring
from bots.domain import ChannelKind, Role
from bots.settings import Settings
from bots.storage import accounts, personas, tenants
from tests.support.cluster import Cluster
from tests.support.drawing import a_picture, a_png_that_claims, opened
from tests.support.operators import SignedIn
from tests.support.stack import WINDOWS, Stack


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A web with the chat page; nobody answers."""
    with Stack(cluster, tmp_path_factory.mktemp("pictures"), settings=WINDOWS | {"CHINWAG_SIMULATOR": "1"}) as running:
        with running.engine("web").begin() as connection:
            tenant = tenants.default(connection)
            bot = personas.get(connection, tenant=tenant, name="tester")
            assert bot is not None
            keyring = Keyring.from_settings(Settings.from_env(cluster.addresses(running.database)))
            accounts.add(connection, keyring, tenant=tenant, bot=bot.id, channel=ChannelKind.CONSOLE, name="console", external_id="console")
        running.start_web()
        running.settles = False
        yield running


def show(stack: Stack, slug: str, picture: bytes, **more: Any) -> httpx.Response:
    said = {"contact": slug, "key": str(uuid4()), "picture": base64.b64encode(picture).decode()} | more
    return stack.http.post("/chat/messages", json=said)


def shown(stack: Stack, slug: str) -> tuple[UUID, UUID]:
    """A contact's only picture and its conversation."""
    (row,) = stack.rows(
        "select m.id, i.conversation_id from media m join inbox i on i.id = m.inbox_id join contact_identities c on c.contact_id = m.contact_id"
        " where c.value = :slug",
        slug=slug,
    )
    return row["id"], row["conversation_id"]


def test_a_picture_of_the_chat_page_is_stored_small_and_shown_to_its_contact_alone(served: Stack) -> None:
    assert show(served, "ada-1", a_picture(3000, 1500, kind="PNG"), text="look").status_code == 200
    picture, _ = shown(served, "ada-1")

    found = served.http.get(f"/chat/pictures/{picture}?contact=ada-1")
    assert show(served, "ben-1", a_picture()).status_code == 200
    foreign = served.http.get(f"/chat/pictures/{picture}?contact=ben-1")

    assert (found.status_code, foreign.status_code) == (200, 404)
    assert opened(found.content).size == (1344, 672)
    assert found.headers["content-type"] == "image/jpeg"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-disposition"].startswith("attachment")
    assert found.headers["cache-control"] == "no-store"


def test_a_post_that_comes_twice_stores_one_picture(served: Stack) -> None:
    key = str(uuid4())

    for _ in range(2):
        assert show(served, "ada-2", a_picture(), key=key).status_code == 200

    assert served.one("select count(*) from media m join contact_identities c using (contact_id) where c.value = 'ada-2'") == 1


@pytest.mark.parametrize(
    ("picture", "status"),
    [(b"<svg/>", 422), (a_picture()[:200], 422), (a_png_that_claims(50_000, 50_000), 413), (bytes(23 * 1024 * 1024), 413)],
    ids=["svg", "cut off", "bomb", "too many bytes"],
)
def test_what_is_no_picture_is_refused_and_nothing_is_stored(served: Stack, picture: bytes, status: int) -> None:
    slug = f"eve-{uuid4().hex[:8]}"

    answer = show(served, slug, picture)

    assert answer.status_code == status
    assert answer.json()["error"]
    assert served.one("select count(*) from contact_identities where value = :slug", slug=slug) == 0


def test_a_message_of_nothing_is_refused(served: Stack) -> None:
    assert show(served, "ada-3", b"").status_code == 422


def test_an_operator_sees_a_picture_of_the_conversation_and_of_no_other(served: Stack) -> None:
    show(served, "ada-4", a_picture())
    show(served, "ben-4", a_picture())
    picture, conversation = shown(served, "ada-4")
    _, other = shown(served, "ben-4")
    with SignedIn(served, Role.VIEWER) as viewer:
        page = viewer.get(f"/admin/conversations/{conversation}")
        found = viewer.get(f"/admin/conversations/{conversation}/pictures/{picture}")
        missing = viewer.get(f"/admin/conversations/{other}/pictures/{picture}")

    assert f'<img src="/admin/conversations/{conversation}/pictures/{picture}"' in page.text
    assert (found.status_code, missing.status_code) == (200, 404)
    assert opened(found.content).size == (60, 40)
    assert found.headers["content-disposition"].startswith("attachment")


def test_nobody_sees_it_without_a_sign_in(served: Stack) -> None:
    show(served, "ada-5", a_picture())
    picture, conversation = shown(served, "ada-5")

    answer = httpx.get(f"{served.web_url}/admin/conversations/{conversation}/pictures/{picture}", trust_env=False)

    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/admin/sign-in")
