"""Databases of the version before: a number that two contacts have in two spellings belongs to one of them afterwards, and nobody is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bots.settings import Settings
from chinwag.cli.migrate import migrate
from tests.support.cluster import Cluster, Database

_BEFORE = """
    insert into bots (tenant_id, id, name, fallback_text) values (:tenant, :tenant, 'b', 'f');
    insert into accounts (tenant_id, id, bot_id, channel, name, external_id) values (:tenant, :tenant, :tenant, 'whatsapp', 'a', '1');
"""


@pytest.fixture
def before(cluster: Cluster) -> Iterator[Database]:
    """A database as revision 0007 makes it, with one account."""
    name = "spellings_before"
    with cluster.engine("postgres").connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"create database {name} template template0")
    made = Database(cluster, name)
    migrate(Settings.from_env(cluster.addresses(name)), to="0007")
    yield made
    cluster.drop(name)


def test_a_number_in_two_spellings_belongs_to_whoever_wrote_last(before: Database, cluster: Cluster) -> None:
    with before.engine().begin() as connection:
        tenant = connection.exec_driver_sql("select tenant_id from tenants").scalar_one()
        connection.exec_driver_sql(_BEFORE.replace(":tenant", f"'{tenant}'"))
        people = {}
        for name, number, said in (
            ("Ana", "5585987654321", "2026-01-01"),
            ("Ana again", "558587654321", "2026-02-01"),
            ("Luz", "34600111222", "2026-01-01"),
            ("Nobody", "5215512345678", None),
            ("Teo", "525512345678", "2026-01-01"),
        ):
            who = connection.exec_driver_sql(
                "insert into contacts (tenant_id, name) values (%s, %s) returning id", (tenant, name)
            ).scalar_one()
            people[who] = name
            connection.exec_driver_sql(
                "insert into contact_identities values (%s, %s, 'phone', %s, %s)", (tenant, str(tenant), number, who)
            )
            if said is not None:
                connection.exec_driver_sql(
                    "with c as (insert into conversations (tenant_id, account_id, contact_id, queue) values (%s, %s, %s, 'reply.default')"
                    " returning id) insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, text, content_type,"
                    " supported, received_at) select %s, %s, %s, 'message', %s, c.id, 'hi', 'text', true, %s from c",
                    (tenant, tenant, who, tenant, tenant, number, who, said),
                )

    migrate(Settings.from_env(cluster.addresses(before.name)))

    with before.engine().connect() as connection:
        handles = connection.exec_driver_sql("select value, contact_id, norm from contact_identities order by value").all()
        found = connection.exec_driver_sql("select former_id, holder_id, reason, state from identity_cases").all()
        left = connection.exec_driver_sql("select count(*) from contacts").scalar_one()
    assert [(value, people[who], norm) for value, who, norm in handles] == [
        ("34600111222", "Luz", "34600111222"),
        ("525512345678", "Teo", "525512345678"),
        ("558587654321", "Ana again", "5585987654321"),
    ]
    # Who has no history needs no decision; nobody's history is gone.
    assert [(people[case[0]], people[case[1]], *case[2:]) for case in found] == [("Ana", "Ana again", "spelling", "open")]
    assert left == 5
