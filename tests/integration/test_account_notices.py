"""Notices of the platforms about accounts: what they park and resume, and what operators see of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from bots.admin.accounts import status
from bots.admin.attention import troubles
from bots.admin.attention.troubles import Action, as_row
from bots.channels.account_notices import judge
from bots.domain import Account, AccountNotice, ChannelKind, EventKind, InboundEvent, Outcome, Retry, Role, Scope
from bots.storage import accounts, setups
from bots.storage.attention import Trouble, TroubleKind
from bots.storage.database import unit
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.stack import Stack
from tests.support.storage_fixture import StorageFixture, a_message

_NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_BAN = ("account_update", "DISABLED_UPDATE", "DISABLE")
_REINSTATED = ("account_update", "DISABLED_UPDATE", "REINSTATE")


def _notice(field: str, event: str, detail: str | None = None, *, parent: str | None = None, at: datetime | None = None) -> InboundEvent:
    said = AccountNotice(field=field, event=event, detail=detail, parent=parent)
    return InboundEvent(
        kind=EventKind.ACCOUNT, event_key=f"notice:{uuid4().hex}", notice=said, effect=judge(ChannelKind.WHATSAPP, said), occurred_at=at
    )


def _state(storage: StorageFixture, account: UUID | None = None) -> str:
    return storage.value("select state from accounts where id = %s", account or storage.account.id)


def _listed(storage: StorageFixture) -> list[Trouble]:
    return troubles.list_troubles(storage.deps, storage.operator())


def _set_parent(storage: StorageFixture, parent: str) -> None:
    with unit(storage.web) as connection:
        setups.describe(connection, storage.account, app_id="", parent_id=parent)


def _another(storage: StorageFixture, name: str, *, parent: str | None) -> Account:
    with unit(storage.web) as connection:
        return accounts.add(
            connection,
            storage.keyring,
            tenant=storage.account.tenant_id,
            bot=storage.account.bot_id,
            channel=ChannelKind.WHATSAPP,
            name=name,
            external_id=name,
            app_secret="s",
            parent_id=parent,
        )


@pytest.mark.parametrize(
    "said",
    [
        _BAN,
        ("account_update", "ACCOUNT_DELETED", None),
        ("policy_enforcement", "block", None),
        ("account_update", "ACCOUNT_OFFBOARDED", None),
    ],
)
def test_disabling_deletion_and_the_like_park_the_account_with_one_line(storage: StorageFixture, said: tuple[str, str, str | None]) -> None:
    storage.let_in(_notice(*said))
    storage.let_in(_notice(*said))

    (trouble,) = _listed(storage)
    row = as_row(trouble)
    assert (trouble.kind, trouble.account, trouble.state) == (TroubleKind.ACCOUNT, "demo", "needs_attention")
    assert row.actions == (Action.RESUME,)
    assert row.reason.fix
    storage.let_in(a_message())
    assert storage.finish(storage.claimed()) is None
    assert storage.next_send() is None


def test_a_reinstated_account_sends_what_waited(storage: StorageFixture) -> None:
    storage.let_in(_notice(*_BAN, at=_NOON))
    storage.let_in(a_message())
    assert storage.finish(storage.claimed()) is None

    storage.let_in(_notice(*_REINSTATED, at=_NOON + timedelta(hours=1)))

    assert _state(storage) == "active"
    assert storage.next_send() is not None
    assert _listed(storage) == []


def test_a_notice_resumes_only_what_its_own_topic_parked(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.end(storage.answered(), Outcome.REJECTED, retry=Retry.ASK_OPERATOR, scope=Scope.ACCOUNT, error_code=190)
    storage.let_in(_notice(*_BAN))
    assert {trouble.kind for trouble in _listed(storage)} == {TroubleKind.ACCOUNT, TroubleKind.NOTICE}

    storage.let_in(_notice(*_REINSTATED))
    assert _state(storage) == "needs_attention"
    assert [trouble.reason for trouble in _listed(storage)] == ["code:190"]

    storage.do("update accounts set state = 'active', state_reason = null")
    storage.let_in(_notice("policy_enforcement", "block"))
    storage.let_in(_notice(*_REINSTATED))
    assert _state(storage) == "needs_attention"


def test_an_error_that_belongs_to_no_message_parks_or_slows_the_account(storage: StorageFixture) -> None:
    storage.let_in(_notice("errors", "131048"))
    assert [(trouble.state, trouble.reason) for trouble in _listed(storage)] == [("slowed", "platform:131048")]

    storage.let_in(_notice("errors", "131031"))
    assert [(trouble.state, trouble.reason) for trouble in _listed(storage)] == [("needs_attention", "platform:131031")]


def test_a_paused_account_stays_paused_and_the_notice_is_shown(storage: StorageFixture) -> None:
    storage.do("update accounts set state = 'paused'")

    storage.let_in(_notice(*_BAN))
    assert (_state(storage), [trouble.kind for trouble in _listed(storage)]) == ("paused", [TroubleKind.NOTICE])

    storage.let_in(_notice(*_REINSTATED))
    assert (_state(storage), _listed(storage)) == ("paused", [])


def test_an_older_notice_that_arrives_later_changes_nothing(storage: StorageFixture) -> None:
    storage.let_in(_notice(*_REINSTATED, at=_NOON))

    storage.let_in(_notice(*_BAN, at=_NOON - timedelta(hours=1)))

    assert (_state(storage), _listed(storage)) == ("active", [])


def test_the_same_webhook_again_changes_nothing(storage: StorageFixture) -> None:
    said = _notice("phone_number_quality_update", "FLAGGED")

    for _ in range(3):
        storage.let_in(said)

    assert [trouble.count for trouble in _listed(storage)] == [1]


def test_repeated_notices_are_one_line_that_can_be_dismissed_and_comes_again(storage: StorageFixture) -> None:
    for _ in range(3):
        storage.let_in(_notice("phone_number_quality_update", "FLAGGED", "TIER_250"))

    (trouble,) = _listed(storage)
    row = as_row(trouble)
    assert (trouble.kind, trouble.count, row.actions, "3 times" in row.what) == (TroubleKind.NOTICE, 3, (Action.DISMISS,), True)
    assert "FLAGGED" in row.reason.message
    assert _state(storage) == "active"
    troubles.act(storage.deps, storage.operator(), TroubleKind.NOTICE, trouble.id, Action.DISMISS)
    assert _listed(storage) == []

    storage.let_in(_notice("phone_number_quality_update", "FLAGGED", "TIER_250"))
    assert [(one.id, one.count) for one in _listed(storage)] == [(trouble.id, 4)]


def test_good_news_settle_the_line_and_stay_on_the_accounts_page(storage: StorageFixture) -> None:
    storage.let_in(_notice("phone_number_quality_update", "FLAGGED"))
    storage.let_in(_notice("phone_number_quality_update", "UNFLAGGED"))
    storage.let_in(_notice("something_new", "WHAT_NOBODY_KNOWS"))

    assert _listed(storage) == []
    said = status.get(storage.deps, storage.operator(), storage.account.id).said
    assert [one.notice.reason for one in said] == ["notice:something_new/WHAT_NOBODY_KNOWS", "notice:phone_number_quality_update/UNFLAGGED"]
    assert not any(one.notice.is_open for one in said)


def test_a_notice_about_a_business_account_concerns_its_numbers_and_no_others(storage: StorageFixture) -> None:
    _set_parent(storage, "100")
    beside, other = _another(storage, "beside", parent="100"), _another(storage, "other", parent="200")

    storage.let_in(_notice(*_BAN, parent="200"))
    assert [_state(storage, one) for one in (storage.account.id, beside.id, other.id)] == ["active", "active", "needs_attention"]

    storage.let_in(_notice(*_BAN, parent="100"))
    assert [_state(storage, one) for one in (storage.account.id, beside.id)] == ["needs_attention"] * 2


def test_a_notice_about_one_number_concerns_the_account_that_has_it(storage: StorageFixture) -> None:
    _set_parent(storage, "100")
    beside = _another(storage, "beside", parent="100")
    for account, number in ((storage.account, "+1 555-010-2030"), (beside, "+1 555-010-2031")):
        with unit(storage.web) as connection:
            setups.keep_health(connection, account, {"state": "ok", "checks": [], "facts": {"phone": number}})

    storage.let_in(_notice("phone_number_quality_update", "FLAGGED", "15550102031, TIER_250", parent="100"))
    storage.let_in(_notice("phone_number_quality_update", "FLAGGED", "15550102039", parent="100"))

    assert sorted((trouble.account, trouble.reason) for trouble in _listed(storage)) == [
        ("beside", "notice:phone_number_quality_update/FLAGGED/15550102039"),
        ("beside", "notice:phone_number_quality_update/FLAGGED/TIER_250/15550102031"),
        ("demo", "notice:phone_number_quality_update/FLAGGED/15550102039"),
    ]


def test_a_notice_about_a_business_account_that_is_not_known_concerns_the_account_at_whose_address_it_arrived(
    storage: StorageFixture,
) -> None:
    _set_parent(storage, "100")
    _another(storage, "beside", parent="100")

    storage.let_in(_notice(*_BAN, parent="999"))

    assert storage.value("select string_agg(name, ' ') from accounts where state <> 'active'") == "demo"


# Through the web


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("notices"))) as running:
        running.settles = False
        running.start_web()
        yield running


def test_the_api_and_the_pages_show_the_same_trouble(served: Stack) -> None:
    with served.owner.begin() as connection:
        connection.exec_driver_sql(
            "insert into account_notices (tenant_id, account_id, topic, reason, times, attention_at)"
            " select tenant_id, id, 'quality', 'notice:phone_number_quality_update/FLAGGED', 2, now() from accounts where name = 'test'"
        )
        connection.exec_driver_sql(
            "update accounts set state = 'needs_attention', state_reason = 'notice:account_update/DISABLED_UPDATE/DISABLE' where name = 'test'"
        )
    headers = {"Authorization": f"Bearer {a_token(served, Role.AGENT)}"}
    with httpx.Client(base_url=f"{served.web_url}/api/v1", headers=headers, timeout=20, trust_env=False) as api:
        listed = api.get("/attention").json()
        account = next(one for one in api.get("/accounts").json() if one["name"] == "test")
        shown = api.get(f"/accounts/{account['id']}").json()

        assert {one["trouble"]["kind"]: one["trouble"]["account_id"] for one in listed["troubles"]} == dict.fromkeys(
            ("account", "notice"), account["id"]
        )
        assert "has disabled" in account["trouble"]["message"]
        assert [(one["times"], one["is_open"]) for one in shown["notices"]] == [(2, True)]

        with SignedIn(served, Role.OPERATOR) as signed_in:
            page = signed_in.get(f"/admin/accounts/{account['id']}").text
            assert ("has disabled" in page, "quality as low" in page, "2 times" in page) == (True, True, True)
            home = signed_in.get("/admin").text
            assert ("1 account, 1 parked" in home, "Notices about accounts: 1" in home) == (True, True)
            assert "Notices about accounts" in signed_in.get("/admin/attention").text
        assert api.post(f"/attention/notice/{shown['notices'][0]['id']}/dismiss").status_code == 200
        assert api.post(f"/attention/notice/{shown['notices'][0]['id']}/dismiss").status_code == 404
        assert api.post(f"/attention/account/{account['id']}/resume").status_code == 200
        assert api.get(f"/accounts/{account['id']}").json()["trouble"] is None
