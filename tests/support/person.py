"""Somebody who writes to the one bot of a worker in the test's own process."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bots.extract.edits import read_edits
from bots.storage import memories
from bots.storage.database import unit
from tests.support.changes import an_edit
from tests.support.one_worker import OneWorker
from tests.support.storage_fixture import QUEUE, a_message, a_phone
from workers.turn.reply import reply_one

#: Something to talk about in each language, which tells it.
SMALL_TALK = {
    "ar": "مرحبا، متى تفتحون غدا؟ أريد أن أحجز طاولة",
    "de": "Guten Tag, wann macht ihr morgen auf? Ich möchte einen Tisch",
    "en": "Hello, when do you open tomorrow? I would like a table",
    "es": "Hola, ¿cuándo abren mañana? Quiero una mesa para dos",
    "fr": "Bonjour, quand est-ce que vous ouvrez demain ? Je veux une table",
    "hi": "नमस्ते, आप कल कब खोलते हैं? मुझे एक टेबल चाहिए",
    "id": "Halo, kapan buka besok? Saya mau pesan meja untuk dua orang",
    "it": "Buongiorno, quando aprite domani? Vorrei un tavolo per due, grazie",
    "pt": "Olá, quando vocês abrem amanhã? Eu quero uma mesa para dois",
    "tr": "Merhaba, yarın ne zaman açıyorsunuz? Bir masa istiyorum",
}


class Person:
    """Somebody who writes to the one bot, and what comes back."""

    _next = 34600200000

    def __init__(self, worker: OneWorker) -> None:
        Person._next += 1
        self.worker, self.number = worker, str(Person._next)

    def say(self, *texts: str, at: datetime | None = None) -> str:
        """Say this in one turn, and return all that is answered. at: when it was said, where it comes late."""
        storage = self.worker.storage
        storage.let_in(*(a_message(words, by=(a_phone(self.number),), occurred_at=at) for words in texts))
        open_ = "select count(*) from inbox i left join turns t on t.id = i.turn_id where i.contact_id = %s and t.finished_at is null"
        while storage.value(open_, self.contact):
            assert reply_one(self.worker.deps, QUEUE)
        turn = storage.value("select t.id from turns t where t.contact_id = %s order by t.claimed_at desc limit 1", self.contact)
        return "\n".join(row.body for row in storage.rows("select body from outbox where turn_id = %s order by part", turn))

    @property
    def contact(self) -> Any:
        """Their id."""
        return self.worker.storage.value("select contact_id from contact_identities where value = %s", self.number)

    @property
    def remembered(self) -> set[str]:
        """What is remembered of them now."""
        rows = self.worker.storage.rows("select text from memories where contact_id = %s and valid_to is null", self.contact)
        return {row.text for row in rows}

    def add(self, kind: str, value: str) -> None:
        """Let an operator add a memory."""
        with unit(self.worker.storage.crossing) as connection:
            memories.add(connection, contact=self.contact, kind=kind, value=value, by="ana")

    def words(self) -> str:
        """Every word of theirs, and of ours to them, that any of the tables still has."""
        storage = self.worker.storage
        queries = (
            "select text from inbox i join conversations v on v.id = i.conversation_id where v.contact_id = %s",
            "select asked from turns where contact_id = %s",
            "select answer from turns where contact_id = %s",
            "select prompt::text from model_calls where contact_id = %s",
            "select text from memories where contact_id = %s",
            "select summary from conversations where contact_id = %s",
        )
        return "\n".join(str(row[0]) for query in queries for row in storage.rows(query, self.contact))

    def prompt(self) -> str:
        """What the model was asked last, all of it."""
        _, prompt = self.worker.first.asked[-1]
        return "\n".join(str(message["content"]) for message in prompt)

    def edit(self, words: str, into: str) -> None:
        """Change an earlier message."""
        storage, me = self.worker.storage, a_phone(self.number)
        key = storage.value("select event_key from inbox where contact_id = %s and text = %s", self.contact, words)
        before = storage.value("select count(*) from inbox where target = %s", key)
        storage.let_in(*read_edits([an_edit(key, into, by=me, n=before + 1)]))

    def history(self) -> list[str]:
        """What of theirs the next prompt repeats."""
        rows = self.worker.storage.rows("select asked from turns where contact_id = %s and in_history order by number", self.contact)
        return [row.asked for row in rows]
