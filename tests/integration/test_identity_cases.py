"""A case about two contacts: an operator says that they are one person or two, changes the answer later, and nothing is lost or mixed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from bots.admin.attention import troubles
from bots.admin.attention.troubles import Action, as_row
from bots.domain import Identity, Role
from bots.errors import Conflict, NotFound
from bots.storage.attention import Trouble, TroubleKind
from bots.storage.turns import NewFact
from tests.integration.test_two_people import A, B, C, P, Q, a_notice, talk
from tests.support import build, forked
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn
from tests.support.stack import Stack
from tests.support.storage_fixture import StorageFixture, a_message

_TABLES = {
    "conversations": "contact_id, closed_at, taken_by",
    "turns": "contact_id, state, asked, answer, in_history",
    "inbox": "contact_id, conversation_id, turn_id, text",
    "memories": "contact_id, text, valid_to, superseded_by",
    "model_calls": "contact_id, turn_id",
    "outbox": "contact_id, conversation_id, status",
    "send_attempts": "contact_id, outcome",
    "media": "contact_id, inbox_id",
    "contact_identities": "contact_id, value, retired_at",
    "envelope_contacts": "contact_id",
    "contacts": "id, name, stopped_at",
}


def _remember(storage: StorageFixture, text: str, *facts: tuple[str, str], by: tuple[Any, ...]) -> UUID:
    (contact,) = storage.let_in(a_message(text, by=by))
    claim = storage.claimed()
    new = [NewFact(kind=kind, text=value, topic="" if kind == "name" else None, source=claim.messages[-1].id) for kind, value in facts]
    sending = storage.finish(claim, asked=text, answer=f"re: {text}", facts=new)
    assert sending is not None
    storage.end(sending)
    return contact


def _one(storage: StorageFixture, kind: TroubleKind | None = None) -> Trouble:
    (found,) = troubles.list_troubles(storage.deps, storage.operator(), kind=kind)
    return found


def _say(storage: StorageFixture, case: UUID, action: Action) -> None:
    troubles.act(storage.deps, storage.operator(), TroubleKind.IDENTITY, case, action)


def _all_of(storage: StorageFixture, contact: UUID) -> dict[str, list[str]]:
    """Everything that belongs to a contact."""
    return {
        table: sorted(
            str(row)
            for row in storage.rows(f"select {columns} from {table} where {'id' if table == 'contacts' else 'contact_id'} = %s", contact)
        )
        for table, columns in _TABLES.items()
    }


def _ann_and_cy(storage: StorageFixture) -> tuple[UUID, UUID, UUID]:
    """Ann's number comes with Cy's id; returns both and the case."""
    ann = _remember(storage, "I am Ann", ("name", "Ann"), ("likes", "tea"), by=(P, A))
    cy = _remember(storage, "I am Cy", ("name", "Cy"), by=(B,))
    talk(storage, "hello", P, B)
    return ann, cy, _one(storage).id


def test_a_case_is_listed_with_both_conversations_and_two_buttons(storage: StorageFixture) -> None:
    ann, cy, case = _ann_and_cy(storage)

    found = _one(storage)

    whose = dict(storage.rows("select id, contact_id from conversations"))
    assert (found.kind, found.id, found.state) == (TroubleKind.IDENTITY, case, "open")
    assert found.conversation is not None
    assert found.former is not None
    assert (whose[found.conversation], whose[found.former]) == (cy, ann)
    assert as_row(found).actions == (Action.TWO_PEOPLE, Action.SAME_PERSON)
    assert troubles.count(storage.deps, storage.operator())[TroubleKind.IDENTITY] == 1


def test_the_same_person_is_one_contact_with_all_that_both_had(storage: StorageFixture) -> None:
    ann, cy, case = _ann_and_cy(storage)

    _say(storage, case, Action.SAME_PERSON)

    assert storage.rows("select id from contacts") == [(cy,)]
    assert {talk(storage, one.value, one) for one in (P, A, B)} == {cy}
    assert storage.rows("select kind, text from memories where valid_to is null order by 1") == [("likes", "tea"), ("name", "Cy")]
    assert troubles.list_troubles(storage.deps, storage.operator()) == []
    assert troubles.count(storage.deps, storage.operator())[TroubleKind.IDENTITY] == 0
    settled = _one(storage, TroubleKind.IDENTITY)
    assert (settled.state, as_row(settled).actions) == ("same_person", (Action.TWO_PEOPLE,))
    assert ann != cy


def test_two_people_stay_as_they_are_and_are_not_asked_about_again(storage: StorageFixture) -> None:
    ann, cy, case = _ann_and_cy(storage)
    before = {contact: _all_of(storage, contact) for contact in (ann, cy)}

    _say(storage, case, Action.TWO_PEOPLE)

    assert {contact: _all_of(storage, contact) for contact in (ann, cy)} == before
    talk(storage, "back at Ann's", P, A)
    talk(storage, "and with Cy again", P, B)
    assert troubles.list_troubles(storage.deps, storage.operator()) == []


def test_what_was_joined_by_hand_is_separated_again(storage: StorageFixture) -> None:
    ann, cy, case = _ann_and_cy(storage)
    storage.do("update contacts set stopped_at = now(), name = 'Ann' where id = %s", ann)
    before = {contact: _all_of(storage, contact) for contact in (ann, cy)}

    _say(storage, case, Action.SAME_PERSON)
    _say(storage, case, Action.TWO_PEOPLE)

    after = {contact: _all_of(storage, contact) for contact in (ann, cy)}
    assert after == before
    assert (talk(storage, "Ann", A), talk(storage, "Cy", P), talk(storage, "Cy", B)) == (ann, cy, cy)
    # And the answer can change once more.
    _say(storage, case, Action.SAME_PERSON)
    assert storage.rows("select id from contacts") == [(cy,)]


def test_what_was_said_while_they_were_joined_stays_with_the_holder_and_out_of_prompts(storage: StorageFixture) -> None:
    ann, cy, case = _ann_and_cy(storage)
    _say(storage, case, Action.SAME_PERSON)
    _remember(storage, "in between", ("place", "Madrid"), ("name", "Cyrus"), by=(B,))
    storage.do("update conversations set summary = 'likes tea', summary_until = 1 where closed_at is null")

    _say(storage, case, Action.TWO_PEOPLE)

    names = storage.rows("select contact_id, text from memories where valid_to is null and kind in ('name', 'place') order by text")
    assert names == [(ann, "Ann"), (cy, "Cyrus"), (cy, "Madrid")]
    storage.let_in(a_message("what do you know?", by=(B,)))
    claim = storage.claimed(session_s=0)
    assert (claim.contact, claim.history, claim.summary, {fact.text for fact in claim.memories}) == (cy, [], None, {"Cyrus", "Madrid"})
    storage.finish(claim)
    storage.let_in(a_message("and of me?", by=(A,)))
    claim = storage.claimed(session_s=0)
    assert (claim.contact, [past.asked for past in claim.history], {fact.text for fact in claim.memories}) == (
        ann,
        ["I am Ann"],
        {"Ann", "tea"},
    )


def test_messages_that_wait_are_answered_after_joining_and_go_back_after_separating(storage: StorageFixture) -> None:
    talk(storage, "I am Cy", B)
    (ann,) = storage.let_in(a_message("a question", by=(P,)))
    cy = talk(storage, "hello", P, B)
    while (claim := storage.claim()) is not None:
        storage.finish(claim)
    assert storage.value("select count(*) from inbox where turn_id is null") == 1
    case = _one(storage, TroubleKind.IDENTITY).id

    _say(storage, case, Action.SAME_PERSON)
    claim = storage.claimed()
    assert (claim.contact, [message.text for message in claim.messages]) == (cy, ["a question"])
    _say(storage, case, Action.TWO_PEOPLE)

    assert storage.value("select contact_id from inbox where text = 'a question'") == ann
    assert storage.claim() is None, "nothing of Cy's waits, and Ann cannot be reached"
    _say(storage, case, Action.SAME_PERSON)
    assert [message.text for message in storage.claimed().messages] == ["a question"]


def test_a_notice_that_names_both_answers_the_case(storage: StorageFixture) -> None:
    ann, cy, _ = _ann_and_cy(storage)

    storage.let_in(a_notice(B, before=(A,)))

    assert storage.value("select count(*) from contacts") == 1
    assert storage.value("select count(*) from identity_cases") == 0
    assert {talk(storage, one.value, one) for one in (P, A, B)} <= {ann, cy}


def test_a_case_follows_a_contact_that_is_joined_with_a_third(storage: StorageFixture) -> None:
    ann, cy, case = _ann_and_cy(storage)
    third = talk(storage, "Cy's next id", C)
    storage.let_in(a_notice(C, before=(B,)))

    _say(storage, case, Action.SAME_PERSON)
    assert storage.value("select count(*) from contacts") == 1
    _say(storage, case, Action.TWO_PEOPLE)

    assert (talk(storage, "Ann", A), talk(storage, "Cy", C)) == (ann, cy)
    assert third != cy


def test_two_cases_are_undone_in_either_order(storage: StorageFixture) -> None:
    ann, cy = talk(storage, "Ann", P, A), talk(storage, "Cy", B)
    talk(storage, "1", P, B)
    dan = talk(storage, "Dan", C)
    talk(storage, "2", P, C)
    first, second = (row[0] for row in storage.rows("select id from identity_cases order by opened_at"))
    before = {contact: _all_of(storage, contact)["inbox"] for contact in (ann, cy, dan)}

    for undo in ((first, second), (second, first)):
        _say(storage, first, Action.SAME_PERSON)
        _say(storage, second, Action.SAME_PERSON)
        assert storage.rows("select id from contacts") == [(dan,)]
        for case in undo:
            _say(storage, case, Action.TWO_PEOPLE)
        assert {contact: _all_of(storage, contact)["inbox"] for contact in (ann, cy, dan)} == before


@pytest.mark.parametrize("numbers", [((P, B), (P, A), (P, C)), ((Q, A), (Q, B))])
@pytest.mark.parametrize("joined", [(0, 1), (1, 0)])
@pytest.mark.parametrize("undone", [(0, 1), (1, 0)])
def test_two_cases_about_one_contact_are_undone_in_either_order(
    storage: StorageFixture, numbers: tuple[tuple[Identity, Identity], ...], joined: tuple[int, int], undone: tuple[int, int]
) -> None:
    people = {talk(storage, "Ann", P, A), talk(storage, "Cy", B), talk(storage, "Dan", Q, C)}
    for by in numbers:
        talk(storage, "the number", *by)
    found = [row[0] for row in storage.rows("select id from identity_cases order by opened_at")]
    before = {contact: _all_of(storage, contact)["inbox"] for contact in people}

    for n in joined:
        _say(storage, found[n], Action.SAME_PERSON)
    assert storage.value("select count(*) from contacts") == 1
    for n in undone:
        _say(storage, found[n], Action.TWO_PEOPLE)

    assert {contact: _all_of(storage, contact)["inbox"] for contact in people} == before
    assert {talk(storage, one.value, one) for one in (A, B, C)} == people


def test_the_same_answer_twice_and_a_dismissal_are_refused(storage: StorageFixture) -> None:
    _, _, case = _ann_and_cy(storage)
    for action in (Action.TWO_PEOPLE, Action.SAME_PERSON):
        _say(storage, case, action)
        with pytest.raises(Conflict):
            _say(storage, case, action)
    with pytest.raises(Conflict):
        _say(storage, case, Action.DISMISS)
    with pytest.raises(NotFound):
        _say(storage, uuid4(), Action.SAME_PERSON)


def test_a_case_goes_with_its_account(storage: StorageFixture) -> None:
    _ann_and_cy(storage)

    storage.do("select remove_account(%s, %s)", storage.account.tenant_id, storage.account.id)

    assert storage.value("select count(*) from identity_cases") == 0


# Through the web


@pytest.fixture
def served(cluster: Cluster, tmp_path: Path) -> Iterator[Stack]:
    with Stack(cluster, tmp_path) as running:
        running.settles = False
        running.start_web()
        yield running


def test_an_operator_answers_on_the_page_and_changes_the_answer(served: Stack) -> None:
    ann = build.a_person("Ann")

    def arrives(text: str, number: str | None, id_: str) -> None:
        message = {"id": build.a_wamid(), "timestamp": "1795500000", "type": "text", "text": {"body": text}, "from_user_id": id_}
        served.post(build.a_webhook(messages=[message | ({"from": number} if number else {})]))

    arrives("Ann here", ann.number, "ES.ANN")
    arrives("Cy here", None, "ES.CY")
    arrives("both", ann.number, "ES.CY")

    with SignedIn(served, Role.AGENT) as signed_in:
        page = signed_in.get("/admin/attention").text
        assert all(words in page for words in ("Who is who", ">Same person<", ">Two people<", "Open the other one"))
        case = served.one("select id from identity_cases")
        for action, contacts in (("same_person", 1), ("two_people", 2)):
            done = signed_in.post(f"/admin/attention/identity/{case}/{action}", kind="identity")
            assert (done.status_code, served.one("select count(*) from contacts")) == (303, contacts)
        env = {name: value for name, value in os.environ.items() if not name.startswith("CHINWAG_")} | served.env
        for command, contacts in (("same-person", 1), ("two-people", 2)):
            assert forked.said("chinwag", "attention", command, str(case), env=env) == (0, "Done.\n")
            assert served.one("select count(*) from contacts") == contacts
        assert ">Same person<" in signed_in.get("/admin/attention?kind=identity").text
        assert ">Same person<" not in signed_in.get("/admin/attention").text
