"""What needs attention: reasons explained, and each button against a real database; quarantined webhooks through the real web."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from bots.admin.attention import troubles
from bots.admin.attention.troubles import Action
from bots.channels.account_notices import judge
from bots.crypto import Keyring
from bots.domain import AccountNotice, ChannelKind, DeliveryStatus, EventKind, InboundEvent, Outcome, Retry, Role
from bots.errors import Conflict, NotFound
from bots.settings import Settings
from bots.storage import accounts, attention, model_refusals
from bots.storage.attention import TroubleKind
from bots.storage.database import unit
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.stack import Stack
from tests.support.storage_fixture import StorageFixture, a_bsuid, a_message, a_phone, a_status


def _act(storage: StorageFixture, kind: TroubleKind, id_: UUID, action: Action) -> None:
    troubles.act(storage.deps, storage.operator(), kind, id_, action)


def _troubles(storage: StorageFixture, kind: TroubleKind | None = None) -> list[attention.Trouble]:
    return troubles.list_troubles(storage.deps, storage.operator(), kind=kind)


def _unknown(storage: StorageFixture) -> UUID:
    """A message of which nothing was ever heard."""
    storage.let_in(a_message())
    sending = storage.answered(parts=["one", "two"])
    storage.end(sending, Outcome.UNKNOWN, reconcile_s=0)
    again = storage.next_send()
    assert again is not None
    storage.end(again, Outcome.UNKNOWN, reconcile_s=0)
    assert storage.next_send() is None
    return sending.message


def _dead(storage: StorageFixture, **more: Any) -> UUID:
    storage.let_in(a_message("please", **more))
    claim = storage.claimed()
    storage.finish(claim, state="dead", reason="error:ValueError", answer=None, parts=[])
    return claim.turn


def test_an_unknown_message_is_sent_once_more_when_an_operator_says_so(storage: StorageFixture) -> None:
    message = _unknown(storage)
    assert [(t.id, t.state, t.reason) for t in _troubles(storage)] == [(message, "unknown", "unknown")]

    _act(storage, TroubleKind.SEND, message, Action.RESEND)

    sending = storage.next_send()
    assert sending is not None
    assert sending.message == message
    storage.end(sending, external_id="wamid.NEW")
    storage.let_in(a_status("wamid.NEW", DeliveryStatus.READ))
    assert storage.value("select status from outbox where id = %s", message) == "read"
    assert _troubles(storage) == []


def test_an_unknown_message_that_is_settled_is_not_sent_again(storage: StorageFixture) -> None:
    message = _unknown(storage)

    _act(storage, TroubleKind.SEND, message, Action.SETTLE)

    assert storage.value("select status from outbox where id = %s", message) == "accepted"
    assert _troubles(storage) == []
    # What waits for it is sent.
    behind = storage.next_send()
    assert behind is not None
    assert (behind.text, storage.next_send()) == ("two", None)
    with pytest.raises(Conflict):
        _act(storage, TroubleKind.SEND, message, Action.RESEND)


def test_settling_a_message_lets_the_part_behind_it_leave(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    sending = storage.answered(parts=["one", "two"])
    storage.end(sending, Outcome.UNKNOWN, reconcile_s=3600)
    assert storage.next_send() is None

    _act(storage, TroubleKind.SEND, sending.message, Action.SETTLE)

    behind = storage.next_send()
    assert behind is not None
    assert behind.text == "two"


def test_a_message_that_the_platform_failed_later_is_sent_again_under_a_new_id(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    sending = storage.answered()
    storage.end(sending, external_id="wamid.OLD")
    storage.do("select apply_status(%s, 'wamid.OLD', 'failed', null, 131026)", storage.account.id)
    trouble = _troubles(storage)[0]
    assert (trouble.state, trouble.reason) == ("failed", "platform:131026")

    _act(storage, TroubleKind.SEND, trouble.id, Action.RESEND)
    again = storage.next_send()
    assert again is not None
    storage.end(again, external_id="wamid.NEW")
    storage.let_in(a_status("wamid.NEW", DeliveryStatus.DELIVERED))

    assert storage.rows("select status, external_id, reason from outbox") == [("delivered", "wamid.NEW", None)]


def test_a_failed_message_is_not_settled_but_dismissed(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.end(storage.answered(), Outcome.REJECTED, retry=Retry.NEVER, error_code=131047)
    trouble = _troubles(storage)[0]

    with pytest.raises(Conflict):
        _act(storage, TroubleKind.SEND, trouble.id, Action.SETTLE)
    _act(storage, TroubleKind.SEND, trouble.id, Action.DISMISS)

    assert _troubles(storage) == []
    assert storage.value("select status from outbox") == "failed"


def test_a_dead_turns_messages_go_to_a_fresh_turn(storage: StorageFixture) -> None:
    turn = _dead(storage)

    _act(storage, TroubleKind.TURN, turn, Action.REPLAY)

    claim = storage.claimed()
    assert (claim.turn == turn, [message.text for message in claim.messages], claim.tries) == (False, ["please"], 0)
    assert storage.value("select state || ' ' || reason from turns where id = %s", turn) == "skipped replayed:error:ValueError"
    with pytest.raises(Conflict):
        _act(storage, TroubleKind.TURN, turn, Action.REPLAY)


def test_a_dead_turn_of_a_closed_talk_is_replayed_in_an_open_one(storage: StorageFixture) -> None:
    turn = _dead(storage)
    storage.do("update conversations set closed_at = now()")

    _act(storage, TroubleKind.TURN, turn, Action.REPLAY)

    claim = storage.claimed()
    assert [message.text for message in claim.messages] == ["please"]
    assert storage.value("select closed_at is null from conversations where id = %s", claim.conversation)


def test_a_dead_turn_of_a_talk_that_a_person_has_waits_for_that_person(storage: StorageFixture) -> None:
    turn = _dead(storage)
    storage.do("select take_over(id, 'ana', null) from conversations")

    _act(storage, TroubleKind.TURN, turn, Action.REPLAY)

    assert storage.claim() is None
    assert storage.value("select waiting_since is not null from conversations")


def test_a_dismissed_turn_and_a_dismissed_webhook_are_shown_no_longer(storage: StorageFixture) -> None:
    turn = _dead(storage)
    storage.let_in(quarantine="no JSON")
    assert {t.kind for t in _troubles(storage)} == {TroubleKind.TURN, TroubleKind.ENVELOPE}
    envelope = _troubles(storage, TroubleKind.ENVELOPE)[0].id

    _act(storage, TroubleKind.TURN, turn, Action.DISMISS)
    _act(storage, TroubleKind.ENVELOPE, envelope, Action.DISMISS)

    assert _troubles(storage) == []
    assert storage.value("select state from envelopes where id = %s", envelope) == "dismissed"
    assert storage.claim() is None


def test_a_parked_account_is_resumed_and_sends_what_waited(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.end(storage.answered(), Outcome.REJECTED, retry=Retry.ASK_OPERATOR, error_code=190, retry_after_s=0)
    assert storage.next_send() is None
    trouble = _troubles(storage)[0]
    assert (trouble.kind, trouble.reason) == (TroubleKind.ACCOUNT, "code:190")

    _act(storage, TroubleKind.ACCOUNT, trouble.id, Action.RESUME)

    assert storage.next_send() is not None
    assert _troubles(storage, TroubleKind.ACCOUNT) == []


def test_every_action_leaves_a_row_in_the_audit(storage: StorageFixture) -> None:
    _act(storage, TroubleKind.TURN, _dead(storage), Action.DISMISS)

    assert storage.rows("select actor, action, split_part(subject, ':', 1) from audit") == [("ana", "attention.dismiss", "turn")]


def _one(storage: StorageFixture, kind: TroubleKind) -> UUID:  # noqa: PLR0911 - one for each kind
    """One trouble of a kind."""
    match kind:
        case TroubleKind.ACCOUNT:
            return storage.account.id
        case TroubleKind.NOTICE:
            said = AccountNotice(field="phone_number_quality_update", event="FLAGGED")
            storage.let_in(InboundEvent(kind=EventKind.ACCOUNT, event_key="flagged", notice=said, effect=judge(ChannelKind.WHATSAPP, said)))
            return storage.value("select id from account_notices")
        case TroubleKind.TURN:
            return _dead(storage)
        case TroubleKind.SEND:
            _unknown(storage)
            return storage.value("select id from outbox")
        case TroubleKind.ENVELOPE:
            storage.let_in(quarantine="no JSON")
            return storage.value("select id from envelopes where state = 'quarantined'")
        case TroubleKind.IDENTITY:
            for by in ((a_phone("34600555666"), a_bsuid("ES.A")), (a_bsuid("ES.B"),), (a_phone("34600555666"), a_bsuid("ES.B"))):
                storage.let_in(a_message(by=by))
            return storage.value("select id from identity_cases")
        case TroubleKind.MODEL:
            refusal = model_refusals.ModelRefusal(kind="refused", status=401, said="no")
            model_refusals.note(storage.worker, storage.account.tenant_id, "house", refusal)
            return storage.value("select id from model_refusals")
        case TroubleKind.BUDGET:
            storage.let_in(a_message())
            storage.end(storage.answered(reason="budget", in_history=False))
            return storage.account.bot_id


_FITS = {
    TroubleKind.ACCOUNT: Action.RESUME,
    TroubleKind.SEND: Action.RESEND,
    TroubleKind.BUDGET: Action.DISMISS,
    TroubleKind.NOTICE: Action.DISMISS,
    TroubleKind.MODEL: Action.DISMISS,
    TroubleKind.IDENTITY: Action.SAME_PERSON,
}


@pytest.mark.parametrize("kind", list(TroubleKind))
def test_what_is_not_there_or_not_ours_is_not_found(storage: StorageFixture, kind: TroubleKind) -> None:
    ours = _one(storage, kind)
    storage.do("update accounts set state = 'needs_attention'")
    action = _FITS.get(kind, Action.REPLAY)

    for tenant, id_ in ((storage.account.tenant_id, uuid4()), (uuid4(), ours)):
        with pytest.raises(NotFound):
            troubles.act(storage.deps, storage.operator(tenant=tenant), kind, id_, action)
    assert troubles.list_troubles(storage.deps, storage.operator(tenant=uuid4())) == []
    assert sum(troubles.count(storage.deps, storage.operator(tenant=uuid4())).values()) == 0


def test_pages_hold_each_trouble_once_and_the_count_says_how_many(storage: StorageFixture) -> None:
    for n in range(7):
        _dead(storage, by=(a_phone(f"3460000000{n}"),))
    storage.let_in(quarantine="no JSON")
    seen: list[UUID] = []
    before: tuple[datetime, UUID] | None = None
    while True:
        with unit(storage.crossing) as connection:
            page = attention.troubles(connection, tenant=storage.account.tenant_id, before=before, limit=3)
        if not page:
            break
        seen += [trouble.id for trouble in page]
        before = (page[-1].at, page[-1].id)

    assert len(seen) == len(set(seen)) == 8
    assert sum(troubles.count(storage.deps, storage.operator()).values()) == 8


# Through the web


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("attention"))) as running:
        running.settles = False
        running.start_web()
        yield running


@pytest.fixture(scope="module")
def api(served: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {a_token(served, Role.AGENT)}"}
    with httpx.Client(base_url=f"{served.web_url}/api/v1", headers=headers, timeout=20, trust_env=False) as client:
        yield client


def _quarantine(stack: Stack, body: bytes, reason: str) -> UUID:
    """A webhook as an older version would have put it aside."""
    with stack.owner.begin() as connection:
        return connection.execute(
            text(
                "insert into envelopes (tenant_id, account_id, body, state, reason)"
                " select tenant_id, id, :body, 'quarantined', :reason from accounts where name = 'test' returning id"
            ),
            {"body": body, "reason": reason},
        ).scalar_one()


def test_a_quarantined_webhook_that_is_understood_now_becomes_a_message_once(served: Stack, api: httpx.Client) -> None:
    person = build.a_person()
    message = build.a_text(person, "hello")
    body = build.a_webhook(messages=[message], people=[person])
    envelope = _quarantine(served, body, "not understood then")

    with SignedIn(served, Role.AGENT) as signed_in:
        page = signed_in.get("/admin/attention?kind=envelope").text
        assert "not understood then" in page
        done = signed_in.post(f"/admin/attention/envelope/{envelope}/replay", kind="envelope")
    assert (done.status_code, done.headers["location"]) == (303, "/admin/attention?kind=envelope")

    served.post(body)
    assert served.one("select count(*) from inbox where event_key = :key", key=message["id"]) == 1
    # The body stands where the contact's name is on it, so that an erasure finds it.
    rows = served.rows(
        "select e.id = :old as old, e.state, e.body is not null as kept, exists (select from envelope_contacts where envelope_id = e.id) as named"
        " from envelopes e where e.id = :old or e.id = (select envelope_id from inbox where event_key = :key) order by 1",
        old=envelope,
        key=message["id"],
    )
    assert [tuple(row.values()) for row in rows] == [(False, "parsed", True, True), (True, "parsed", False, False)]
    assert api.post(f"/attention/envelope/{envelope}/replay").status_code == 409


def test_a_webhook_that_is_still_not_understood_stays_where_it_is(served: Stack, api: httpx.Client) -> None:
    envelope = _quarantine(served, b"this is no JSON", "old")

    refused = api.post(f"/attention/envelope/{envelope}/replay")

    assert (refused.status_code, "Still not understood" in refused.json()["error"]) == (409, True)
    assert served.one("select state from envelopes where id = :id", id=envelope) == "quarantined"
    assert api.post(f"/attention/envelope/{envelope}/dismiss").status_code == 200


def test_what_postgres_cannot_hold_stays_quarantined(served: Stack, api: httpx.Client) -> None:
    person = build.a_person()
    message = build.a_text(person, "nul", wamid="wamid.\0bad")
    envelope = _quarantine(served, json.dumps({"x": 1}).encode(), "old")
    with served.owner.begin() as connection:
        body = build.a_webhook(messages=[message], people=[person])
        connection.execute(text("update envelopes set body = :body where id = :id"), {"body": body, "id": envelope})

    status = api.post(f"/attention/envelope/{envelope}/replay").status_code

    stored = served.one("select count(*) from inbox where event_key like 'wamid.%bad'")
    assert (status, served.one("select state from envelopes where id = :id", id=envelope)) in {(200, "parsed"), (409, "quarantined")}
    assert (status == 200) == (stored == 1)


def test_events_of_another_account_go_there_only_with_the_same_app_secret(served: Stack, api: httpx.Client) -> None:
    person = build.a_person()
    message = build.a_text(person, "over there")
    body = build.a_webhook(messages=[message], people=[person], phone_number_id="111222333444555")
    envelope = _quarantine(served, body, "1 event of an account that is not here: phone_number_id 111222333444555")
    assert api.post(f"/attention/envelope/{envelope}/replay").status_code == 409
    assert served.one("select count(*) from inbox where event_key = :key", key=message["id"]) == 0
    keyring = Keyring.from_settings(Settings.from_env(served.env))
    with served.engine("web").begin() as connection:
        made = accounts.add(
            connection,
            keyring,
            tenant=served.account.tenant_id,
            bot=served.account.bot_id,
            channel=ChannelKind.WHATSAPP,
            name="beside",
            external_id="111222333444555",
            app_secret="another secret",
        )
    assert api.post(f"/attention/envelope/{envelope}/replay").status_code == 409
    with served.engine("web").begin() as connection:
        accounts.rotate(connection, keyring, made, app_secret=build.APP_SECRET)

    assert api.post(f"/attention/envelope/{envelope}/replay").status_code == 200
    assert served.one("select account_id from inbox where event_key = :key", key=message["id"]) == made.id


def test_a_body_that_is_gone_cannot_be_replayed(served: Stack, api: httpx.Client) -> None:
    envelope = _quarantine(served, b"x", "old")
    with served.owner.begin() as connection:
        connection.execute(text("update envelopes set body = null where id = :id"), {"id": envelope})

    assert "The body is no longer stored" in api.post(f"/attention/envelope/{envelope}/replay").json()["error"]


def test_the_api_explains_counts_and_pages(served: Stack, api: httpx.Client) -> None:
    envelopes = [str(_quarantine(served, b"{", f"reason {n}")) for n in range(3)]
    first = api.get("/attention", params={"kind": "envelope", "limit": 2}).json()
    second = api.get("/attention", params={"kind": "envelope", "limit": 200, "before": first["before"]}).json()

    found = [row["trouble"]["id"] for row in first["troubles"] + second["troubles"]]
    assert set(envelopes) <= set(found)
    assert len(found) == len(set(found)) == first["counts"]["envelope"]
    assert (first["troubles"][0]["actions"], "reason 2" in first["troubles"][0]["message"]) == (["replay", "dismiss"], True)
    assert api.get("/attention", params={"before": "junk"}).status_code == 422
    assert api.post(f"/attention/envelope/{envelopes[0]}/resend").status_code == 409
    assert api.post(f"/attention/nothing/{envelopes[0]}/resend").status_code == 422
    with SignedIn(served, Role.VIEWER) as signed_in:
        assert ">Replay<" not in signed_in.get("/admin/attention").text
        assert signed_in.post(f"/admin/attention/envelope/{envelopes[0]}/dismiss").status_code == 403
