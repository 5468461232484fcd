"""Conversations as operators see them, and take-over: from the page and the API through outbox, worker and fake platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from bots.domain import Role
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.processes import until
from tests.support.stack import Stack

EVIL = '<script>document.title="taken"</script>'


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("conversations"))) as running:
        running.model.script(echo=True)
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running
        running.wait_settled()


@pytest.fixture(scope="module")
def api(served: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {a_token(served, Role.AGENT)}"}
    with httpx.Client(base_url=f"{served.web_url}/api/v1", headers=headers, timeout=20, trust_env=False) as client:
        yield client


def _talk(stack: Stack, words: str, name: str = "Ada") -> tuple[build.Person, UUID]:
    person = build.a_person(name)
    wamid = stack.say(person, words)
    return person, stack.one("select conversation_id from inbox where event_key = :key", key=wamid)


def _answered(stack: Stack, conversation: UUID, turns: int = 1) -> None:
    done = "select count(*) from turns where conversation_id = :id and state = 'answered'"
    read = "select count(*) from outbox where conversation_id = :id and status <> 'read'"
    until(lambda: stack.one(done, id=conversation) >= turns and stack.one(read, id=conversation) == 0, what="it was answered and read")


def _said(stack: Stack, person: build.Person) -> list[str]:
    """What the platform delivered to somebody."""
    return [
        str(entry["text"]) for entry in stack.platform.log() if entry["kind"] == "message" and str(entry.get("to")).endswith(person.number)
    ]


def test_a_conversation_shows_messages_statuses_tokens_and_memories_with_their_source(served: Stack, api: httpx.Client) -> None:
    _, conversation = _talk(served, "My name is Ada and I live in Porto.")
    _answered(served, conversation)

    found: dict[str, Any] = api.get(f"/conversations/{conversation}").json()

    assert [(bubble["side"], bubble["status"]) for bubble in found["messages"]] == [("in", None), ("out", "read")]
    assert found["cost"]["tokens_in"] > 0
    assert found["cost"]["tokens_out"] > 0
    assert {memory["kind"] for memory in found["memories"]} >= {"name", "place"}
    assert {memory["source"] for memory in found["memories"]} == {found["messages"][0]["id"]}
    turn = found["turns"][0]
    assert (turn["state"], turn["calls"], turn["tries"]) == ("answered", 1, 0)
    story = api.get(f"/conversations/{conversation}/turns/{turn['id']}").json()
    assert "Porto" in str(story["calls"][0]["prompt"])

    with SignedIn(served, Role.VIEWER) as signed_in:
        page = signed_in.get(f"/admin/conversations/{conversation}").text
        part = signed_in.get(f"/admin/conversations/{conversation}/turns/{turn['id']}?part=1").text
    assert f'href="#m-{found["messages"][0]["id"]}"' in page
    assert "read</span>" in page
    assert "Take over" not in page
    assert "You answer briefly." in part


def test_while_a_person_has_it_the_bot_is_silent_and_the_persons_words_go_out(served: Stack, api: httpx.Client) -> None:
    person, conversation = _talk(served, "Is anybody there?")
    _answered(served, conversation)
    with SignedIn(served, Role.AGENT) as signed_in:
        assert signed_in.post(f"/admin/conversations/{conversation}/take").status_code == 303
        second = served.say(person, "I want a person.")
        until(lambda: served.one("select count(*) from inbox where event_key = :key", key=second), what="it was stored")
        head = api.get(f"/conversations/{conversation}").json()["head"]
        assert (head["state"], head["unanswered_since"] is not None) == ("taken", True)
        assert served.turn_of(second) is None

        typed = "Here I am, **Ada**: 80*30*20 cm, see https://s.example.net/_new_"
        answer = signed_in.post(f"/admin/conversations/{conversation}/answer", words=typed)
        assert answer.status_code == 303
        _answered(served, conversation, turns=2)
        assert _said(served, person)[-1] == typed
        page = signed_in.get(f"/admin/conversations/{conversation}").text
        assert 'class="bubble person"' in page

        third = served.say(person, "Thank you.")
        assert signed_in.post(f"/admin/conversations/{conversation}/give-back").status_code == 303
        _answered(served, conversation, turns=3)

    assert served.turn_of(second) != served.turn_of(third)
    assert served.one("select answered_by from turns where id = :id", id=served.turn_of(second)).startswith("agent-")
    assert served.one("select answered_by from turns where id = :id", id=served.turn_of(third)) is None
    actions = [
        row["action"] for row in served.rows("select action from audit where subject = :s order by at", s=f"conversation:{conversation}")
    ]
    assert actions == ["conversation.take", "conversation.answer", "conversation.give_back"]


def test_taking_over_fences_the_turn_that_runs(served: Stack, api: httpx.Client) -> None:
    served.model.script(echo=True, latency_s=3.0)
    person, conversation = _talk(served, "Think about it.")
    until(lambda: served.one("select count(*) from turns where conversation_id = :id and state = 'open'", id=conversation), what="it runs")
    assert api.post(f"/conversations/{conversation}/take").json()["unanswered_since"] is not None
    served.model.script(echo=True)
    assert api.post(f"/conversations/{conversation}/answer", json={"text": "A person thought about it."}).status_code == 200
    _answered(served, conversation)
    api.post(f"/conversations/{conversation}/give-back")

    assert _said(served, person) == ["A person thought about it."]
    # What the model was asked in vain is paid for.
    until(
        lambda: served.one("select sum(tokens_out) from model_calls m join turns t on t.id = turn_id where reason = 'taken_over'"),
        what="it counts",
    )


def test_an_answer_of_who_does_not_have_it_is_refused_and_kept_in_the_form(served: Stack, api: httpx.Client) -> None:
    _, conversation = _talk(served, "Whose am I?")
    _answered(served, conversation)
    assert api.post(f"/conversations/{conversation}/answer", json={"text": "hello"}).status_code == 409
    assert api.post(f"/conversations/{conversation}/take").status_code == 200

    with SignedIn(served, Role.AGENT) as signed_in:
        refused = signed_in.post(f"/admin/conversations/{conversation}/answer", words="I was slower")
        empty = signed_in.post(f"/admin/conversations/{conversation}/answer", words="  ")
        assert "Take over from agent-" in signed_in.get(f"/admin/conversations/{conversation}").text
    api.post(f"/conversations/{conversation}/give-back")

    assert (refused.status_code, "I was slower" in refused.text, "has taken this conversation over" in refused.text) == (409, True, True)
    assert (empty.status_code, "Type an answer." in empty.text) == (422, True)
    assert api.post(f"/conversations/{conversation}/give-back").status_code == 409


def test_a_long_answer_is_split_to_what_the_platform_takes(served: Stack, api: httpx.Client) -> None:
    person, conversation = _talk(served, "Tell me everything.")
    _answered(served, conversation)
    api.post(f"/conversations/{conversation}/take")
    words = "\n\n".join(f"Paragraph {n}. " + "word " * 150 for n in range(9))
    assert api.post(f"/conversations/{conversation}/answer", json={"text": words}).status_code == 200
    until(
        lambda: served.one("select count(*) from outbox where conversation_id = :id and status = 'read'", id=conversation) == 3,
        what="parts",
    )
    api.post(f"/conversations/{conversation}/give-back")

    parts = _said(served, person)[1:]
    assert len(parts) == 2
    assert all(len(part) <= 4096 for part in parts)


def test_the_list_finds_by_name_number_and_words_and_shows_what_waits(served: Stack, api: httpx.Client) -> None:
    person, conversation = _talk(served, "I collect zeppelins_100%.", name="Zacharias")
    _answered(served, conversation)
    ids = {
        search: [head["id"] for head in api.get("/conversations", params={"q": search}).json()["conversations"]]
        for search in ("zachar", person.number[-6:], "zeppelins_100%", "zeppelins%100_", "nobody said this")
    }
    api.post(f"/conversations/{conversation}/take")
    served.say(person, "Still there?")
    only = {kind: str(api.get("/conversations", params={"only": kind}).json()) for kind in ("taken", "unanswered", "waiting")}
    api.post(f"/conversations/{conversation}/give-back")

    mine = [str(conversation)]
    assert list(ids.values()) == [mine, mine, mine, [], []]
    assert {kind: str(conversation) in found for kind, found in only.items()} == {"taken": True, "unanswered": True, "waiting": False}


def test_pages_of_the_list_hold_each_conversation_once(served: Stack, api: httpx.Client) -> None:
    conversations = [_talk(served, f"Page {n}")[1] for n in range(5)]
    for conversation in conversations:
        _answered(served, conversation)
    seen: list[str] = []
    before: str | None = None
    while True:
        page = api.get("/conversations", params={"limit": 2} | ({"before": before} if before else {})).json()
        seen += [head["id"] for head in page["conversations"]]
        before = page["before"]
        if before is None:
            break

    assert len(seen) == len(set(seen)) == served.one("select count(*) from conversations")
    assert set(map(str, conversations)) <= set(seen)


def test_earlier_messages_follow_without_a_gap(served: Stack, api: httpx.Client) -> None:
    person, conversation = _talk(served, "One")
    _answered(served, conversation)
    served.say(person, "Two")
    _answered(served, conversation, turns=2)
    whole = [bubble["id"] for bubble in api.get(f"/conversations/{conversation}").json()["messages"]]
    read: list[str] = []
    before: str | None = None
    while True:
        page = api.get(f"/conversations/{conversation}", params={"limit": 1} | ({"before": before} if before else {})).json()
        read = [bubble["id"] for bubble in page["messages"]] + read
        before = page["before"]
        if before is None:
            break

    assert len(whole) == 4
    assert read == whole


def test_a_live_part_says_when_nothing_is_new(served: Stack) -> None:
    _, conversation = _talk(served, "Quiet now.")
    _answered(served, conversation)
    with SignedIn(served, Role.VIEWER) as signed_in:
        for path in ("/admin/conversations", f"/admin/conversations/{conversation}"):
            first = signed_in.http.get(f"{path}?part=1")
            again = signed_in.http.get(f"{path}?part=1", headers={"If-None-Match": first.headers["etag"]})
            assert (first.status_code, again.status_code, "<html" in first.text) == (200, 304, False)


def test_a_script_in_a_name_and_a_message_is_escaped_on_every_page(served: Stack) -> None:
    _, conversation = _talk(served, EVIL, name=EVIL)
    _answered(served, conversation)
    turn = served.one("select id from turns where conversation_id = :id", id=conversation)
    with SignedIn(served, Role.VIEWER) as signed_in:
        for path in ("/admin/conversations", f"/admin/conversations/{conversation}", f"/admin/conversations/{conversation}/turns/{turn}"):
            page = signed_in.get(path).text
            assert EVIL not in page
            assert "&lt;script&gt;" in page


def test_another_tenants_conversation_is_not_there(served: Stack, api: httpx.Client) -> None:
    _, conversation = _talk(served, "Not yours")
    _answered(served, conversation)
    other = uuid4()
    with served.owner.begin() as connection:
        connection.execute(text("insert into tenants (tenant_id, name) values (:id, :name)"), {"id": other, "name": str(other)})
        bot = connection.execute(
            text("insert into bots (tenant_id, name, fallback_text) values (:t, 'b', 'x') returning id"), {"t": other}
        ).scalar_one()
        connection.execute(text("insert into personas (tenant_id, bot_id, version, text) values (:t, :b, 1, '')"), {"t": other, "b": bot})
        account = connection.execute(
            text("insert into accounts (tenant_id, bot_id, channel, name, external_id) values (:t, :b, 'whatsapp', 'o', '9') returning id"),
            {"t": other, "b": bot},
        ).scalar_one()
        contact = connection.execute(
            text("insert into contacts (tenant_id, name) values (:t, 'Else') returning id"), {"t": other}
        ).scalar_one()
        theirs = connection.execute(
            text(
                "insert into conversations (tenant_id, account_id, contact_id, queue, newest_at, taken_by)"
                " values (:t, :a, :c, 'reply.other', now(), 'x') returning id"
            ),
            {"t": other, "a": account, "c": contact},
        ).scalar_one()

    assert str(theirs) not in api.get("/conversations").text
    found = [
        api.get(f"/conversations/{theirs}").status_code,
        api.post(f"/conversations/{theirs}/take").status_code,
        api.post(f"/conversations/{theirs}/give-back").status_code,
    ]
    found += [
        api.post(f"/conversations/{theirs}/answer", json={"text": "x"}).status_code,
        api.get(f"/conversations/{conversation}/turns/{theirs}").status_code,
    ]
    with SignedIn(served, Role.OWNER) as signed_in:
        path = f"/admin/conversations/{theirs}"
        found += [
            signed_in.get(path).status_code,
            signed_in.post(f"{path}/take").status_code,
            signed_in.post(f"{path}/answer", words="x").status_code,
        ]
    assert found == [404] * len(found)
    with served.owner.begin() as connection:
        connection.execute(text("delete from conversations where tenant_id = :t"), {"t": other})
