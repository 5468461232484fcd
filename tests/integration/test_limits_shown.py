"""An account whose sends are limited says so on its page, and in the metrics."""

from __future__ import annotations

import pytest

from bots.domain import Role
from tests.support.operators import SignedIn
from tests.support.stack import Stack


@pytest.mark.parametrize(
    ("state", "scope", "words"),
    [
        ("outage", "account", "The platform does not answer"),
        ("throttled", "account", "The platform accepts no messages for now"),
        ("throttled", "app", "The platform accepts no messages for now"),
        ("suspect", "account", None),
        ("rising", "account", None),
    ],
)
def test_a_limit_is_shown_while_it_holds_messages_back(stack: Stack, state: str, scope: str, words: str | None) -> None:
    stack.start_web()
    with stack.owner.begin() as connection:
        connection.exec_driver_sql("update accounts set app_id = 'app-1'")
        connection.exec_driver_sql(
            "insert into send_limits (tenant_id, scope, account_id, app_id, state, until) select tenant_id, %s, case when %s = 'account' then id end,"
            " case when %s = 'app' then app_id end, %s, now() + interval '1 hour' from accounts",
            (scope, scope, scope, state),
        )
    with SignedIn(stack, Role.VIEWER) as viewer:
        page = viewer.get(f"/admin/accounts/{stack.account.id}").text
        pages = viewer.get("/admin/accounts").text

    assert (words is not None) == ('id="limited"' in page)
    assert words is None or words in page
    assert (f'<span class="pill warn">{state}</span>' in pages) == (words is not None)
