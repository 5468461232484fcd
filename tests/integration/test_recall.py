"""Which earlier turns are recalled: against the database alone, within one contact's rows."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from bots.recall import question
from bots.sought import Sought
from bots.storage import episodes
from tests.support.cluster import Cluster
from tests.support.recalling import BATCH, MODEL, a_contact, recall, say, settle
from tests.support.storage_fixture import StorageFixture
from workers.turn.recalling import fitting

_DAY = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
_TALK = (
    "We adopted a grey greyhound called Pixel",
    "The boiler makes a knocking noise in the evening",
    "I start at the bakery at four in the morning",
    "My sister Oda gets married in August",
    "The train to Lund was late again",
    "I cannot eat walnuts, they make me ill",
    "Our flat is on the third floor",
    "I played the cello when I was young",
    "The dentist moved my appointment",
    "Do you know a good place for soup?",
)


def _asks(words: str, *, language: str = "en") -> Sought:
    asked = question.read(words, language=language, today=date(2026, 6, 1))
    assert asked is not None
    return asked


def _talk(storage: StorageFixture, said: tuple[str, ...] = _TALK, *, hours: int = 2, language: str = "en") -> tuple[UUID, dict[str, UUID]]:
    contact, conversation = a_contact(storage)
    turns = {
        words: say(storage, conversation, words, "I see.", number=n, at=_DAY + timedelta(hours=hours * n), language=language)
        for n, words in enumerate(said, 1)
    }
    return contact, turns


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("What is my dog called, the greyhound?", 0),
        ("Which noises does the boiler make?", 1),
        ("When do I start at the bakery?", 2),
        ("who is getting married", 3),
        ("Can I eat a walnut?", 5),
    ],
)
def test_a_turn_is_found_by_its_words_in_any_form_with_and_without_vectors_and_wherever_its_row_lies(
    storage: StorageFixture, asked: str, found: int
) -> None:
    contact, turns = _talk(storage)
    fresh = recall(storage, contact, _asks(asked))
    settle(storage)
    settled = recall(storage, contact, _asks(asked))

    assert fresh[0].turn == settled[0].turn == turns[_TALK[found]]
    assert fresh[0].asked == _TALK[found]
    assert fresh[0].answer == "I see."
    assert "words" in fresh[0].signals
    assert storage.value("select count(*) from fresh_episodes") == 0


def test_what_means_the_same_is_found_by_its_vector_and_those_of_another_model_are_as_if_they_were_not_there(
    storage: StorageFixture,
) -> None:
    contact, turns = _talk(storage)
    settle(storage, {_TALK[5]: (0.0, 1.0, 0.0)})
    asked = _asks("Is there something in a cake that would hurt my stomach?")
    near = recall(storage, contact, asked, vector=(0.0, 1.0, 0.0))
    other = recall(storage, contact, asked, vector=(0.0, 1.0), model="two")

    assert near[0].turn == turns[_TALK[5]]
    assert near[0].signals == ["meaning", "speaker"]
    assert near[0].meaning == pytest.approx(1.0)
    assert {one.meaning for one in other} == {None}


def test_two_models_live_side_by_side_and_a_turn_is_embedded_once_for_each(storage: StorageFixture) -> None:
    contact, turns = _talk(storage)
    settle(storage, {})
    found = episodes.stale(storage.crossing, after=UUID(int=0), model="two", most=4)
    assert found is not None
    episodes.embed_again(storage.crossing, found, model="two", vectors=[(0.0, 1.0)] * 4)

    assert storage.rows("select model, count(*) from episodes join embedders on id = embedder group by 1 order by 1") == [
        ("three", 6),
        ("two", 4),
    ]
    assert {
        one.turn for one in recall(storage, contact, _asks("anything at all"), vector=(0.0, 1.0), model="two") if one.meaning is not None
    } == {turns[words] for words in _TALK[:4]}
    rest = episodes.stale(storage.crossing, after=UUID(int=0), model="two", most=32)
    assert rest is not None
    assert len(rest.turns) == 6
    episodes.embed_again(storage.crossing, rest, model="two", vectors=[(0.0, 1.0)] * 6)
    end = episodes.stale(storage.crossing, after=UUID(int=0), model="two", most=32)
    assert end is not None
    assert end.turns == []
    assert episodes.stale(storage.crossing, after=end.contact, model="two", most=32) is None


def test_another_contacts_turns_are_never_recalled_and_neither_are_another_bots(storage: StorageFixture) -> None:
    ours, _ = _talk(storage)
    theirs, _ = _talk(storage, ("Our cat is called Nimbus", "Nimbus sleeps on the piano"))
    settle(storage)

    assert "Nimbus" not in str(recall(storage, ours, _asks("What is the cat Nimbus doing on the piano?"), limit=50))
    assert len(recall(storage, theirs, _asks("What is the cat Nimbus doing on the piano?"), limit=50)) == 2
    assert recall(storage, theirs, _asks("Where is Nimbus?"), bot=UUID(int=7)) == []
    with storage.worker.connect() as connection:
        for table in ("episodes", "fresh_episodes"):
            assert connection.execute(text(f"select count(*) from {table}")).scalar() == 0
            connection.execute(text("select set_config('app.contact_id', :contact, true)"), {"contact": str(ours)})


def test_what_was_forgotten_or_taken_back_is_not_recalled(storage: StorageFixture) -> None:
    contact, turns = _talk(storage)
    settle(storage)
    storage.do("update turns set in_history = false where id = %s", turns[_TALK[0]])
    storage.do("select forget_episodes(%s, %s)", contact, [turns[_TALK[5]]])

    assert turns[_TALK[0]] not in {one.turn for one in recall(storage, contact, _asks("the grey greyhound"), limit=50)}
    assert turns[_TALK[5]] not in {one.turn for one in recall(storage, contact, _asks("walnuts make me ill"), limit=50)}
    storage.do("select forget_episodes(%s, null)", contact)
    assert recall(storage, contact, _asks("the boiler"), limit=50) == []


def test_a_turn_whose_message_was_edited_is_found_by_its_new_words_alone(storage: StorageFixture) -> None:
    contact, turns = _talk(storage)
    settle(storage, {})
    storage.do("update turns set asked = 'We adopted a parrot called Pixel' where id = %s", turns[_TALK[0]])
    storage.do("select reword_episode(%s)", turns[_TALK[0]])

    assert recall(storage, contact, _asks("the parrot"))[0].words > 0
    assert recall(storage, contact, _asks("which greyhound"))[0].words == 0
    assert storage.rows("select turn_id from fresh_episodes where embedder is null") == [(turns[_TALK[0]],)]
    claimed = episodes.claim(storage.crossing, BATCH, model=MODEL, most=16, lease_s=60)
    assert claimed is not None
    assert [one.asked for one in claimed.turns] == ["We adopted a parrot called Pixel"]


def test_what_the_prompt_repeats_anyway_is_left_out(storage: StorageFixture) -> None:
    contact, turns = _talk(storage)
    settle(storage)
    conversation = storage.value("select conversation_id from turns where id = %s", turns[_TALK[0]])
    found = recall(storage, contact, _asks("greyhound, boiler, bakery, sister, cello"), conversation=conversation, history_from=3, limit=50)

    assert {one.turn for one in found} == {turns[_TALK[0]], turns[_TALK[1]]}


def test_the_turn_after_one_of_the_best_comes_right_behind_it(storage: StorageFixture) -> None:
    contact, turns = _talk(storage)
    settle(storage)
    found = recall(storage, contact, _asks("who is getting married"), limit=1, neighbours=1)

    assert [one.turn for one in found] == [turns[_TALK[3]], turns[_TALK[4]]]
    assert found[1].signals == ["neighbour"]
    assert found[1].beside == found[0].turn


def test_the_words_of_a_neighbour_of_the_same_talk_count_and_those_of_another_talk_do_not(storage: StorageFixture) -> None:
    minutes, turns = a_contact(storage), {}
    for n, (words, minute) in enumerate((("I was painting all day", 0), ("A heron at dawn.", 1), ("Something else.", 200)), 1):
        turns[words] = say(storage, minutes[1], words, number=n, at=_DAY + timedelta(minutes=minute))
    found = {one.turn: one.words for one in recall(storage, minutes[0], _asks("painting"))}

    assert found[turns["I was painting all day"]] > found[turns["A heron at dawn."]] > 0
    assert found[turns["Something else."]] == 0


def test_what_follows_a_question_that_was_asked_before_does_not_hide_what_was_told(storage: StorageFixture) -> None:
    contact, conversation = a_contact(storage)
    told, asked = "My cousin's shop is in a cellar at Sandvika", "Where does my cousin sell lamps?"
    for n, words in enumerate((told, *_TALK, asked, "Is it warm there?", "ok", "Do you like jazz?"), 1):
        say(storage, conversation, words, words, number=n, at=_DAY + timedelta(minutes=n))

    assert told in [one.asked for one in fitting(recall(storage, contact, _asks(asked), limit=3))]


@pytest.mark.parametrize(
    ("language", "said", "asked"),
    [
        ("zh", ("我对花生过敏", "我住在上海", "明天下雨"), "花生可以吃吗"),
        ("ja", ("ピーナッツアレルギーがあります", "東京に住んでいます", "明日は雨です"), "ピーナッツは食べられますか"),
        ("ko", ("땅콩 알레르기가 있어요", "서울에 살아요", "내일은 비가 와요"), "땅콩을 먹어도 돼요?"),
        ("th", ("ฉันแพ้ถั่วลิสง", "ฉันอยู่เชียงใหม่", "พรุ่งนี้ฝนตก"), "กินถั่วลิสงได้ไหม"),
        ("vi", ("Tôi bị dị ứng với đậu phộng", "Tôi sống ở Huế", "Ngày mai trời mưa"), "Tôi ăn đậu phộng được không?"),
        ("es", ("Soy alérgica a los cacahuetes", "Vivo en Toledo", "Mañana llueve"), "¿puedo comer un cacahuete?"),
        ("de", ("Ich vertrage keine Erdnüsse", "Ich wohne in Graz", "Morgen regnet es"), "Darf ich eine Erdnuss essen?"),
        ("hi", ("मुझे मूंगफली से एलर्जी है", "मैं पुणे में रहता हूँ", "कल बारिश होगी"), "क्या मैं मूंगफली खा सकता हूँ?"),
        ("ar", ("عندي حساسية من الفول السوداني", "أعيش في طنطا", "غدا مطر"), "هل آكل الفول السوداني؟"),
        ("tr", ("Yer fıstığına alerjim var", "İzmir'de yaşıyorum", "Yarın yağmur yağacak"), "Fıstık yiyebilir miyim?"),
    ],
)
def test_words_are_found_in_every_script(storage: StorageFixture, language: str, said: tuple[str, ...], asked: str) -> None:
    contact, turns = _talk(storage, said, language=language)
    found = recall(storage, contact, _asks(asked, language=language))

    assert found[0].turn == turns[said[0]]
    assert found[0].words > 0


def test_a_date_that_is_named_and_the_side_that_is_asked_about_count(storage: StorageFixture) -> None:
    contact, conversation = a_contact(storage)
    may = say(storage, conversation, "The roof is leaking", "", number=1, at=datetime(2026, 5, 4, tzinfo=UTC))
    march = say(storage, conversation, "", "The roof is leaking", number=2, at=datetime(2026, 3, 9, tzinfo=UTC))

    assert [one.turn for one in recall(storage, contact, _asks("what about the roof in May"))] == [may, march]
    assert "date" in recall(storage, contact, _asks("what about the roof on 9 March"))[0].signals
    assert recall(storage, contact, _asks("what about the roof on 9 March"))[0].turn == march
    assert recall(storage, contact, _asks("what did I say about the roof"))[0].turn == may
    assert recall(storage, contact, _asks("what did you say about the roof"))[0].turn == march


@pytest.mark.parametrize(
    ("said", "asked", "at"),
    [
        (("The gate of my garden was painted ochre", "I baked bread with walnuts"), "Which colour is the gate of my garden?", 0),
        (("El coche rojo es de mi prima", "Ayer hubo tormenta"), "¿De quién es el coche?", 0),
        (("The gate of my garden was painted ochre",), "Which colour is the gate of my garden?", 0),
        (tuple(f"Please tell me something about number {n}" for n in range(8)), "Tell me the weather", None),
        (tuple(f"Is the train to town {n} late?" for n in range(3)), "Will my parcel be late?", None),
        ((*(f"Can you tell me the price of size {n}?" for n in range(9)), "My tent is torn"), "Can you tell me about my tent?", 9),
    ],
)
def test_words_find_a_turn_in_a_talk_of_any_length_unless_all_of_it_has_them(
    storage: StorageFixture, said: tuple[str, ...], asked: str, at: int | None
) -> None:
    language = "es" if asked[0] == "¿" else "en"
    contact, turns = a_contact(storage), {}
    for n, words in enumerate(said, 1):
        turns[words] = say(storage, contact[1], words, f"You said: {words}", number=n, at=_DAY + timedelta(minutes=n), language=language)

    found = fitting(recall(storage, contact[0], _asks(asked, language=language)))

    assert [one.asked for one in found[:1]] == ([] if at is None else [said[at]])


@pytest.mark.parametrize(
    ("language", "told", "asked_before", "asked"),
    [
        ("en", "My sister is called Oda", "What is the name of my sister?", "What is my sister's name?"),
        ("en", "The tent stands behind the boat shed", "Where is the tent?", "So where is my tent now?"),
        ("en", "The tent stands behind the boat shed", "Where is the tent? Thanks", "Where is my tent? Thanks a lot"),
        ("es", "Mi hermana se llama Oda", "¿Cómo se llama mi hermana?", "¿Cómo se llama mi hermana?"),
        ("de", "Das Zelt steht hinter dem Schuppen", "Wo steht das Zelt?", "Wo steht das Zelt?"),
        ("fr", "La tente est derrière le hangar", "Où est la tente ?", "Où est ma tente ?"),
        ("zh", "帐篷在船库后面", "帐篷在哪里？", "帐篷在哪里？"),
    ],
)
def test_what_was_only_asked_before_gives_its_place_to_what_was_told(
    storage: StorageFixture, language: str, told: str, asked_before: str, asked: str
) -> None:
    contact, turns = _talk(storage, (told, *_TALK[:4], asked_before, *_TALK[4:]), language=language)
    settle(storage, {told: (0.6, 0.0, 0.8), asked_before: (0.0, 0.0, 1.0)})
    found = recall(storage, contact, _asks(asked, language=language), vector=(0.0, 0.0, 1.0), limit=50)
    by_turn = {one.turn: one for one in found}

    assert found[0].turn == turns[told]
    assert by_turn[turns[asked_before]].words < by_turn[turns[told]].words


def test_what_was_asked_before_is_found_by_its_answer(storage: StorageFixture) -> None:
    contact, conversation = a_contact(storage)
    for n in range(1, 20):
        say(storage, conversation, f"Something else {n}", "Yes.", number=n, at=_DAY + timedelta(hours=2 * n))
    price = say(storage, conversation, "What does the tent cost?", "The tent costs 40 euros.", number=20, at=_DAY + timedelta(hours=50))

    assert [one.turn for one in fitting(recall(storage, contact, _asks("What does the tent cost?")))] == [price]


def test_words_of_what_the_prompt_repeats_find_nothing_before_it(storage: StorageFixture) -> None:
    contact, conversation = a_contact(storage)
    for n, words in enumerate(("We adopted a greyhound", "Good morning", "Do you sell bread?"), 1):
        say(storage, conversation, words, "I see.", number=n, at=_DAY + timedelta(minutes=n))

    found = recall(storage, contact, _asks("I like rye bread"), conversation=conversation, history_from=2)
    assert [one.asked for one in found] == ["We adopted a greyhound"]
    assert fitting(found) == []
    assert fitting(recall(storage, contact, _asks("I like rye bread"), conversation=conversation, history_from=4))


def test_a_day_that_may_be_ahead_recalls_nothing_by_itself_and_one_that_is_past_does(storage: StorageFixture) -> None:
    contact, _ = _talk(storage, hours=1)
    monday = question.read("Are you open on Monday?", language="en", today=date(2026, 5, 6))
    week = question.read("What did I tell you last week?", language="en", today=date(2026, 5, 12))
    assert monday is not None
    assert week is not None

    assert "date" in recall(storage, contact, monday)[0].signals
    assert fitting(recall(storage, contact, monday), may_be_ahead=monday.may_be_ahead) == []
    assert fitting(recall(storage, contact, week), may_be_ahead=week.may_be_ahead)


def test_fresh_rows_move_in_runs_and_four_runs_become_one(storage: StorageFixture) -> None:
    contact, conversation = a_contact(storage)
    for n in range(1, 161):
        say(storage, conversation, f"Sentence {n} about something", number=n, at=_DAY + timedelta(minutes=n))
        if n % 9 == 0:
            settle(storage, {})
    settle(storage, {})

    runs = dict(tuple(row) for row in storage.rows("select run, count(*) from episodes group by 1"))
    fresh = storage.value("select count(*) from fresh_episodes")
    assert sum(runs.values()) + fresh == 160
    assert runs[2] >= 128
    assert runs.get(0, 0) < 32
    assert fresh < 8
    assert storage.value("select count(*) from episodes where embedder is null") == 0
    assert storage.value("select count(*) from conversations where settle_at is not null") == 0
    assert len(recall(storage, contact, _asks("sentence"), limit=500)) == 160


def test_who_comes_too_late_with_vectors_changes_nothing(storage: StorageFixture) -> None:
    _talk(storage)
    storage.do("update conversations set settle_at = now()")
    late = episodes.claim(storage.crossing, BATCH, model=MODEL, most=16, lease_s=60)
    storage.do("update conversations set settle_at = now()")
    again = episodes.claim(storage.crossing, BATCH, model=MODEL, most=16, lease_s=60)
    assert late is not None
    assert again is not None

    assert not episodes.settle(storage.worker, late, model=MODEL, vectors=[(1.0, 0.0)] * 10)
    assert storage.value("select count(embedder) from fresh_episodes") == 0
    episodes.put_off(storage.worker, again, after_s=30)
    assert episodes.claim(storage.crossing, BATCH, model=MODEL, most=16, lease_s=60) is None
    assert storage.value("select settle_at > now() + interval '20 seconds' from conversations")


def test_two_contacts_who_turn_out_to_be_one_have_all_their_turns(storage: StorageFixture) -> None:
    one, _ = _talk(storage, _TALK[:3])
    other, turns = _talk(storage, _TALK[3:6])
    settle(storage)
    storage.do("update turns set contact_id = %s where contact_id = %s", one, other)
    storage.do("select move_episodes(%s, %s, null)", other, one)

    assert recall(storage, one, _asks("walnuts"))[0].turn == turns[_TALK[5]]


def test_a_talk_of_any_length_is_recalled_in_time_though_all_of_it_has_the_words(storage: StorageFixture) -> None:
    contact, conversation = a_contact(storage)
    storage.do(
        "insert into turns (tenant_id, conversation_id, contact_id, number, token, claimed_at, state, asked, answer, opened_at, finished_at)"
        " select tenant_id, id, contact_id, n, 1, now(), 'answered', 'Bread and trains, number ' || n, 'I see, bread.',"
        " now() - interval '1 minute' * (4000 - n), now() from conversations, generate_series(1, 3500) n where id = %s",
        conversation,
    )
    storage.do(
        "insert into episodes (tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks,"
        " first_person, time_words, run) select tenant_id, contact_id, id, %s, conversation_id, number, opened_at, 'english',"
        " word_numbers('english', asked, 0) || word_numbers('english', answer, 1), 3, false, false, 0, 2 from turns where conversation_id = %s",
        storage.account.bot_id,
        conversation,
    )
    began = time.monotonic()
    found = recall(storage, contact, _asks("Which bread did I buy at the train?"), limit=5000)

    assert time.monotonic() - began < 3
    assert len(found) == 3000
    assert recall(storage, contact, _asks("number 3499"))[0].asked == "Bread and trains, number 3499"


def test_a_recall_reads_few_pages_of_a_contact_among_many(storage: StorageFixture, cluster: Cluster) -> None:
    people = [a_contact(storage) for _ in range(12)]
    vectors: dict[str, tuple[float, ...]] = {}
    for n in range(1, 81):
        for _, conversation in people:
            say(
                storage,
                conversation,
                f"Turn {n} about bread, trains and the weather in town {n}",
                "A short answer to it",
                number=n,
                at=_DAY + timedelta(hours=n),
            )
        if n % 8 == 0:
            settle(storage, vectors)
    plan = "select count(*) from episodes where contact_id = %s and words is not null and vector is not null"
    with cluster.engine(str(storage.worker.url.database)).connect() as owner:
        owner.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("vacuum episodes")
        owner.exec_driver_sql("set enable_seqscan = off; set enable_bitmapscan = off; set enable_indexonlyscan = off")
        lines = [row[0] for row in owner.exec_driver_sql("explain (analyze, buffers, costs off) " + plan, (people[3][0],)).all()]
    read = sum(int(part.split("=")[1]) for part in lines[1].split() if part.startswith(("hit=", "read=")))
    assert storage.value("select count(*) from episodes where contact_id = %s", people[3][0]) == 80
    assert read < 12, lines
