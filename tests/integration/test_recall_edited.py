"""The words of an edited turn: indexed by the database as new turns are by the worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bots.recall import indexing, question
from tests.support.recalling import a_contact, recall, say
from tests.support.storage_fixture import StorageFixture

_DAY = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "said", "asked"),
    [
        ("zh", "我们收养了一只灰色的猎犬", "猎犬"),
        ("ja", "グレーハウンドを飼いました", "グレーハウンド"),
        ("th", "เราเลี้ยงสุนัขสีเทา", "สุนัข"),
        ("ko", "우리는 회색강아지를 입양했다", "회색강아지"),
        ("vi", "Chúng tôi nuôi một con chó xám", "con chó xám"),
    ],
)
def test_an_edited_turn_is_found_by_pairs_as_a_new_one_is(storage: StorageFixture, language: str, said: str, asked: str) -> None:
    contact, conversation = a_contact(storage)
    turns = [
        say(storage, conversation, words, number=n, at=_DAY + timedelta(minutes=n), language=language)
        for n, words in enumerate((said, said), 1)
    ]
    sought = question.read(asked, language=language, today=_DAY.date())
    assert sought is not None
    storage.do("select reword_episode(%s)", turns[0])

    assert storage.value("select count(distinct words) from fresh_episodes") == 1
    assert [one.words > 0 for one in recall(storage, contact, sought)] == [True, True]


@pytest.mark.parametrize(
    "words",
    [
        "Where is Café Zoë, at 3 o'clock?",
        "我家的狗叫 Rex，它三岁。",
        "𠀀𠀁 and 猫",
        "東京タワーへ行きました!",
        "ฉันชอบกาแฟ very much",
        "Tôi sống ở Hà Nội, quận Ba Đình. Còn bạn? \U0001f600",
        "ĐƯỜNG phố (số 12) – gần chợ",
        "Привет, как дела?",
        "नमस्ते दुनिया",
        "ভাত مرحبا",
        "",
    ],
)
def test_words_are_indexed_in_sql_as_in_python(storage: StorageFixture, words: str) -> None:
    assert storage.value("select to_tsvector('simple', indexed(%s))", words) == storage.value(
        "select to_tsvector('simple', %s)", indexing.indexed(words)
    )
