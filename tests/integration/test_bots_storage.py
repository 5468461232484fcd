"""Versions of a persona: drafts, publishing, rolling back, and who is in the way of a removal."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest

from bots.admin.bots import editor, versions
from bots.domain import Bot, ChannelKind
from bots.errors import Conflict, NotFound
from bots.storage import accounts, personas, tenants
from bots.storage.database import hot, unit
from tests.support.acting import acting, deps
from tests.support.batches import lines, submit
from tests.support.storage_fixture import StorageFixture


def _made(storage: StorageFixture, name: str = "clinic") -> Bot:
    with unit(storage.web) as connection:
        tenant = tenants.default(connection)
    bot = Bot(id=uuid4(), tenant_id=tenant, name=name, persona="You help.")
    return editor.create(deps(storage.web), acting(tenant, "ana"), bot)


def _draft(storage: StorageFixture, bot: Bot, words: str, *, base: int | None = None) -> int:
    with unit(storage.web) as connection:
        return personas.draft(connection, tenant=bot.tenant_id, bot=bot.id, persona=words, by="ana", base=base)


def _answering(storage: StorageFixture, bot: Bot) -> str:
    with hot(storage.worker) as connection:
        found = personas.by_id(connection, tenant=bot.tenant_id, bot=bot.id)
    assert found is not None
    return found.persona


def test_a_draft_answers_nobody_until_it_is_published_and_an_older_version_can_return(storage: StorageFixture) -> None:
    bot = _made(storage)
    assert _draft(storage, bot, "You help in rhymes.") == 2
    assert _answering(storage, bot) == "You help."

    for version, words in ((2, "You help in rhymes."), (1, "You help.")):
        versions.publish(deps(storage.web), acting(bot.tenant_id, "ana"), bot.id, version)
        assert _answering(storage, bot) == words

    actions = [row.action for row in storage.rows("select action from audit order by at")]
    assert actions == ["bot.add", "bot.publish", "bot.rollback"]


def test_the_same_wording_again_is_no_new_version(storage: StorageFixture) -> None:
    bot = _made(storage)

    assert [_draft(storage, bot, words) for words in ("You help.", "Other.", "Other.")] == [1, 2, 2]


def test_a_wording_begun_on_an_older_version_is_refused(storage: StorageFixture) -> None:
    bot = _made(storage)
    _draft(storage, bot, "First.", base=1)

    with pytest.raises(Conflict, match="ana saved version 2 in the meantime"):
        _draft(storage, bot, "Second.", base=1)


def test_drafts_saved_at_the_same_moment_get_numbers_of_their_own(storage: StorageFixture) -> None:
    bot = _made(storage)
    numbers: list[int] = []
    savers = [threading.Thread(target=lambda n=n: numbers.append(_draft(storage, bot, f"Wording {n}."))) for n in range(4)]
    for saver in savers:
        saver.start()
    for saver in savers:
        saver.join()

    assert sorted(numbers) == [2, 3, 4, 5]


def test_the_command_lines_way_publishes_at_once_also_over_a_draft(storage: StorageFixture) -> None:
    bot = _made(storage)
    _draft(storage, bot, "A draft.")
    with unit(storage.web) as connection:
        put = personas.put(connection, tenant=bot.tenant_id, name=bot.name, persona="From a file.")

    assert (put.persona_version, _answering(storage, bot)) == (3, "From a file.")


def test_a_bot_that_accounts_or_batches_use_stays(storage: StorageFixture) -> None:
    used, batched = storage.account.bot_id, _made(storage, "batched")
    submit(storage.web, lines(1), bot="batched")

    for bot, why in ((used, "whatsapp/demo"), (batched.id, "Batches")):
        with pytest.raises(Conflict, match=why):
            editor.remove(deps(storage.web, storage.crossing), acting(batched.tenant_id), bot)
    assert storage.value("select count(*) from bots") == 2


def test_an_unused_bot_goes_with_its_versions_and_its_trials_accounts(storage: StorageFixture) -> None:
    bot = _made(storage)
    name = personas.trial_name(bot.id, 1)
    with unit(storage.web) as connection:
        accounts.add(
            connection,
            storage.keyring,
            tenant=bot.tenant_id,
            bot=bot.id,
            channel=ChannelKind.CONSOLE,
            name=name,
            external_id=name,
            persona_version=1,
        )
        assert personas.used_by(connection, tenant=bot.tenant_id, bot=bot.id) == []

    editor.remove(deps(storage.web, storage.crossing), acting(bot.tenant_id), bot.id)

    assert storage.rows("select name from accounts") == [("demo",)]
    assert storage.value("select count(*) from personas where bot_id = %s", bot.id) == 0


def test_another_tenants_bot_is_not_found(storage: StorageFixture) -> None:
    bot, stranger = _made(storage), uuid4()

    with unit(storage.web) as connection:
        assert personas.by_id(connection, tenant=stranger, bot=bot.id) is None
        for ask in (
            lambda: personas.versions(connection, tenant=stranger, bot=bot.id),
            lambda: personas.version(connection, tenant=stranger, bot=bot.id, version=1),
            lambda: personas.publish(connection, tenant=stranger, bot=bot.id, version=1),
            lambda: personas.draft(connection, tenant=stranger, bot=bot.id, persona="Mine.", by="eve"),
            lambda: personas.save(connection, Bot(id=bot.id, tenant_id=stranger, name="mine")),
            lambda: personas.remove(connection, tenant=stranger, bot=bot.id),
        ):
            with pytest.raises(NotFound):
                ask()


def test_an_account_that_only_looks_like_a_trial_holds_its_bot(storage: StorageFixture) -> None:
    bot = _made(storage)
    with unit(storage.web) as connection:
        accounts.add(
            connection, storage.keyring, tenant=bot.tenant_id, bot=bot.id, channel=ChannelKind.CONSOLE, name="try-me", external_id="try-me"
        )

    with pytest.raises(Conflict, match="console/try-me"):
        editor.remove(deps(storage.web, storage.crossing), acting(bot.tenant_id), bot.id)
    assert storage.value("select count(*) from accounts where name = 'try-me'") == 1
