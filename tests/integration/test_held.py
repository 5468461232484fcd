"""What holds the bot is said in the conversation, on its page, in the API and by the command; so is what was edited, taken back or automatic."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from bots.domain import DeliveryStatus, EventKind, Identity, IdentityKind, InboundEvent, Role, StatusUpdate
from bots.storage import inbox
from tests.support import build, forked
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.stack import Stack

T0 = datetime.now(UTC) - timedelta(minutes=10)


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Only the web: nobody answers."""
    with Stack(cluster, Path(tmp_path_factory.mktemp("held"))) as running:
        running.settles = False
        running.start_web()
        yield running


class Talk:
    """A new contact's conversation."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._person = stack, Identity(kind=IdentityKind.PHONE, value=build.a_person().number)

    def let_in(self, kind: EventKind, key: str, text: str | None = None, *, at: float = 0.0, **more: Any) -> None:
        values = {"event_key": key, "occurred_at": T0 + timedelta(seconds=at), "supported": kind is EventKind.MESSAGE} | more
        event = InboundEvent(kind=kind, identities=(self._person,), text=text, **values)
        with self._stack.engine("crossing").begin() as connection:
            inbox.accept(connection, self._stack.account, [event], queue="reply.default", debounce_s=60.0, debounce_cap_s=60.0)

    def echo(self, mid: str, text: str, *, at: float) -> None:
        self.let_in(EventKind.ECHO, f"echo:{mid}", text, at=at, status=StatusUpdate(external_id=mid, status=DeliveryStatus.SENT))

    @property
    def id(self) -> UUID:
        query = "select v.id from conversations v join contact_identities using (contact_id) where value = :value"
        return self._stack.one(query, value=self._person.value)

    def page(self, role: Role = Role.AGENT) -> str:
        with SignedIn(self._stack, role) as signed_in:
            return re.sub(r"<time[^>]*>|</time>|\s+", " ", signed_in.get(f"/admin/conversations/{self.id}").text).replace("  ", " ")

    def api(self) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {a_token(self._stack, Role.VIEWER)}"}
        return httpx.get(f"{self._stack.web_url}/api/v1/conversations/{self.id}", headers=headers, trust_env=False).json()

    def command(self) -> str:
        env = {name: value for name, value in os.environ.items() if not name.startswith("CHINWAG_")} | self._stack.env
        return forked.said("chinwag", "conversation", "show", str(self.id), env=env)[1]


def test_a_colleague_in_the_platforms_inbox_is_named_with_the_time_and_the_way_out(served: Stack) -> None:
    talk = Talk(served)
    talk.let_in(EventKind.MESSAGE, build.a_wamid(), "are you open?")
    talk.echo("h1", "Until six.", at=60.0)

    page, command = talk.page(), talk.command()

    assert "A colleague answered in the platform's own inbox on 20" in page.replace("&#39;", "'")
    assert "The bot does not answer until 20" in page
    assert '<a href="#answer">give it back</a>' in page
    assert "give it back" not in talk.page(Role.VIEWER)
    assert talk.api()["head"]["held"] == "a colleague answered in the platform's own inbox"
    assert re.search(r"silent since 20.* UTC, until 20.* UTC, longer if the colleague writes again: a colleague answered in the", command)
    assert f"chinwag conversation give-back {talk.id}" in command


def test_an_operator_who_has_taken_over_is_named(served: Stack) -> None:
    talk = Talk(served)
    talk.let_in(EventKind.MESSAGE, build.a_wamid(), "are you open?")
    with served.engine("crossing").begin() as connection:
        connection.exec_driver_sql("select take_over(%s, 'ana', null)", (talk.id,))

    assert "Taken over by ana on 20" in talk.page()
    assert "until the conversation is given back" in talk.page()
    assert talk.api()["head"]["held"] == "taken over by ana"
    assert "until it is given back: taken over by ana" in talk.command()


def test_a_contact_who_has_stopped_the_answers_is_named(served: Stack) -> None:
    talk = Talk(served)
    talk.let_in(EventKind.MESSAGE, build.a_wamid(), "are you open?")
    with served.owner.begin() as connection:
        connection.exec_driver_sql("set local row_security = off")
        connection.exec_driver_sql(
            "update contacts set stopped_at = now() where id = (select contact_id from conversations where id = %s)", (talk.id,)
        )

    assert "The bot does not answer: the contact stopped the answers." in talk.page()
    assert "It answers again when the contact writes /start." in talk.command()


def test_nothing_is_said_where_nothing_holds_the_bot_and_a_greeting_is_marked(served: Stack) -> None:
    talk = Talk(served)
    talk.let_in(EventKind.MESSAGE, build.a_wamid(), "are you open?")
    talk.echo("h2", "Thanks for writing to us.", at=1.0)

    page = talk.page()

    assert "The bot does not answer:" not in page
    assert "give it back" not in page
    assert "Thanks for writing to us." in page
    assert "sent by itself: it does not silence the bot" in page
    assert talk.api()["head"]["held"] is None
    assert "Thanks for writing to us. (sent by itself)" in talk.command()


def test_changes_and_references_are_shown(served: Stack) -> None:
    talk = Talk(served)
    first, second, third = build.a_wamid(), build.a_wamid(), build.a_wamid()
    talk.let_in(EventKind.MESSAGE, first, "the oak desk")
    talk.let_in(EventKind.MESSAGE, second, "how wide?", quoted=first, refers=(("advertisement", "Oak <b>week</b>"),))
    talk.let_in(EventKind.MESSAGE, third, "my code is 7714")
    talk.let_in(EventKind.EDIT, "e1", "the pine desk", target=first, at=5.0)
    talk.let_in(EventKind.REVOKE, "r1", target=third, at=5.0)

    page, command, api = talk.page(), talk.command(), talk.api()

    assert "In reply to: <bdi>“the pine desk”" in page
    assert "Advertisement: <bdi>“Oak &lt;b&gt;week&lt;/b&gt;”" in page
    assert "· edited" in page
    assert "[taken back by its writer]" in page
    assert "the pine desk (edited)" in command
    assert "(taken back)" in command
    assert "7714" not in page + command + str(api)
    assert [bubble["refers"] for bubble in api["messages"] if bubble["refers"]] == [[["advertisement", "Oak <b>week</b>"]]]
