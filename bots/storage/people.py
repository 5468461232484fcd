"""One contact as operators see them: who they are, their conversations, and what was said in all of these, found by words and numbers.

Who they are needs the crossing role and is limited to one tenant. What was said is read within the contact's scope.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from bots.domain import ChannelKind
from bots.errors import NotFound
from bots.storage import search as spelt

#: Of a phone number that was written down with its country and without, these last digits are the same.
_NATIONAL_DIGITS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One of a contact's conversations."""

    id: UUID
    account: str
    channel: ChannelKind
    bot: str
    bot_id: UUID
    newest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A contact."""

    id: UUID
    name: str | None
    stopped_at: datetime | None
    #: Pairs of kind and value.
    identities: tuple[tuple[str, str], ...]
    #: The newest first.
    talks: tuple[Talk, ...]

    @property
    def called(self) -> str:
        """The name, or what stands for it."""
        return self.name or next((value for _, value in self.identities), "a contact without a name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A message that a search has found: from the contact ("in") or an answer ("out")."""

    side: str
    #: The message's id; of an answer, its turn's.
    id: UUID
    conversation: UUID
    at: datetime
    text: str
    #: What found it: words, number, meaning.
    signals: tuple[str, ...]


def get(connection: Connection, *, tenant: UUID, contact: UUID) -> Person:
    """Find one contact. Raises NotFound."""
    values = {"tenant": tenant, "contact": contact}
    row = connection.execute(text("select id, name, stopped_at from contacts where tenant_id = :tenant and id = :contact"), values).first()
    if row is None:
        raise NotFound("There is no such contact.")
    identities = connection.execute(_IDENTITIES, values)
    talks = connection.execute(_TALKS, values)
    return Person(
        id=row.id,
        name=row.name,
        stopped_at=row.stopped_at,
        identities=tuple((one.kind, one.value) for one in identities),
        talks=tuple(
            Talk(id=one.id, account=one.account, channel=ChannelKind(one.channel), bot=one.bot, bot_id=one.bot_id, newest_at=one.newest_at)
            for one in talks
        ),
    )


def named(connection: Connection, *, tenant: UUID, search: str, limit: int) -> list[tuple[UUID, str]]:
    """The contacts whose name or number has what was typed, whatever anybody wrote: ids, and what they are called."""
    values = {name: value for name, value in spelt.values(search).items() if name in ("search", "numbers", "digits", "most")}
    return [(row.id, row.called) for row in connection.execute(_NAMED, {"tenant": tenant, "limit": limit, **values})]


def find(connection: Connection, *, tenant: UUID, contact: UUID, search: str, limit: int) -> list[Found]:
    """Messages and answers that have every typed word, as the beginning of one of theirs, or the typed number; the newest first."""
    digits = (spelt.number(search) or "")[-_NATIONAL_DIGITS:]
    values = {"tenant": tenant, "contact": contact, "search": search, "digits": digits, "limit": limit}
    return [
        Found(side=row.side, id=row.id, conversation=row.conversation_id, at=row.at, text=row.text, signals=tuple(row.signals))
        for row in connection.execute(_FIND, values)
    ]


_NAMED = text(f"""
    with found as materialized (select distinct id from {spelt.PEOPLE} as x(id))
    select p.id, coalesce(p.name, (select value from contact_identities i where i.tenant_id = p.tenant_id and i.contact_id = p.id
        order by created_at desc limit 1), '') as called
    from found join contacts p on p.tenant_id = :tenant and p.id = found.id
    where exists (select from conversations c join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
        where c.tenant_id = p.tenant_id and c.contact_id = p.id and a.persona_version is null)
    order by called, p.id limit :limit""")  # noqa: S608 - a literal of the storage's own
_IDENTITIES = text("""
    select kind, value from contact_identities where tenant_id = :tenant and contact_id = :contact and retired_at is null
    order by kind, created_at desc limit 20""")
_TALKS = text("""
    select c.id, a.name as account, a.channel, b.name as bot, b.id as bot_id, c.newest_at
    from conversations c join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
    join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id
    where c.tenant_id = :tenant and c.contact_id = :contact order by c.newest_at desc nulls last, c.id limit 200""")
# Words are compared as memories are (words_of), numbers by their digits in any script.
_FIND = text(r"""
    with lines as (
        select 'in' as side, i.id, i.conversation_id, coalesce(i.occurred_at, i.received_at) as at, i.text
        from conversations v join inbox i on i.conversation_id = v.id
        where v.tenant_id = :tenant and v.contact_id = :contact and i.text is not null and i.kind <> 'status'
        union all
        select 'out', t.id, t.conversation_id, t.finished_at, t.answer
        from conversations v join turns t on t.conversation_id = v.id
        where v.tenant_id = :tenant and v.contact_id = :contact and t.answer is not null and t.finished_at is not null
    ), tried as (
        select lines.*, words_of(:search) <> '' and not exists (
                select from regexp_split_to_table(btrim(words_of(:search)), ' ') w where position(' ' || w in words_of(lines.text)) = 0) as by_words,
            :digits <> '' and position(:digits in regexp_replace(translate(lines.text, '٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९', '012345678901234567890123456789'),
                '[^0-9]', '', 'g')) > 0 as by_number
        from lines)
    select side, id, conversation_id, at, text, array_remove(array[case when by_words then 'words' end, case when by_number then 'number' end], null) as signals
    from tried where by_words or by_number order by at desc, id limit :limit""")
