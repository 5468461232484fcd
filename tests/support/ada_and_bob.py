"""One contact who attacks another through what a turn may decide, by the storage functions alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text

from bots.domain import Account
from bots.storage.claims import Claim
from tests.support import build
from tests.support.cluster import Database
from tests.support.two_people import Talked, a_turn, the_name

SECRET = "The key of the boathouse is under the blue pot"
#: The tables with rows of contacts, also those that a later change adds.
_TABLES = """
    select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'contact_id' and not a.attisdropped
    where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace order by 1
"""


class AdaAndBob:
    """Ada, who attacks, and Bob, who has told something; each has one turn, and a name that is remembered."""

    def __init__(self, database: Database, account: Account, *, decide: Callable[[str], Mapping[str, Any]] = lambda _words: {}) -> None:
        """`decide`: what the first turn of each decides besides, by what was said in it."""
        self.database, self._account, self._decide = database, account, decide
        self._ada, self._bob = build.a_person("Ada"), build.a_person("Bob")
        self.ada = self._tells(self._ada, "My sister keeps bees in the old orchard")
        self.bob = self._tells(self._bob, SECRET)

    def _tells(self, person: build.Person, words: str) -> Talked:
        def decide(claim: Claim) -> Mapping[str, Any]:
            return {"facts": [the_name(claim, person)], **self._decide(words)}

        return a_turn(self.database, self._account, person, words, decide)

    def attack(self, **result: Any) -> Talked:
        """Let a turn of Ada's decide this."""
        return a_turn(self.database, self._account, self._ada, "And now?", lambda _claim: result)

    def memory_of(self, whose: Talked) -> UUID:
        """The id of the name that is remembered of somebody."""
        return self._one("select id from memories where contact_id = :c order by created_at limit 1", c=whose.contact)

    def message_of(self, whose: Talked) -> UUID:
        """The id of what somebody said."""
        return self._one("select id from inbox where turn_id = :t", t=whose.turn)

    def bobs(self) -> list[tuple[str, str]]:
        """All that there is of Bob, as the owner sees it."""
        found = [("contacts", str(row)) for row in self.rows("select x::text from contacts x where id = :b", b=self.bob.contact)]
        for table in self.tables():
            rows = self.rows(f"select x::text from {table} x where contact_id = :b order by 1", b=self.bob.contact)
            found += [(table, str(row)) for row in rows]
        return found

    def tables(self) -> list[str]:
        """The tables with rows of contacts."""
        return [str(row[0]) for row in self.rows(_TABLES)]

    def rows(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        """Read as the owner."""
        with self.database.engine().connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]

    def _one(self, statement: str, **values: object) -> UUID:
        (row,) = self.rows(statement, **values)
        assert isinstance(row[0], UUID)
        return row[0]
