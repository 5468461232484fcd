"""Where a text that broke off ends: at a whole sentence, item, row or block of code, in any script."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.sentences import sentence_end, whole_part


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("First open the lid. Then turn the left screw until the", "First open the lid."),
        ("Is it open? Yes! Come by any ti", "Is it open? Yes!"),
        ("Wait… Now turn the", "Wait…"),
        ('She said "Open it." Then she w', 'She said "Open it."'),
        ("It works (mostly.) Then it st", "It works (mostly.)"),
        ("It ends here.", "It ends here."),
        ("今日はいい天気です。散歩に行き", "今日はいい天気です。"),
        ("「行きましょう！」と言い", "「行きましょう！」"),
        ("केक तैयार है। वह कल", "केक तैयार है।"),
        ("هل هو مفتوح؟ نعم إن", "هل هو مفتوح؟"),
        ("یہ کھلا ہے۔ آپ", "یہ کھلا ہے۔"),
        ("Բաց է։ Եկեք", "Բաց է։"),
        ("ክፍት ነው። ይምጡ", "ክፍት ነው።"),
        ("Открыто. Приходите за", "Открыто."),
        ("¿Qué tal? Mañana voy a", "¿Qué tal?"),
        ("hey! sure thing. you can open the lid. then turn the", "hey! sure thing. you can open the lid."),
    ],
)
def test_it_ends_behind_the_last_whole_sentence_in_any_script(text: str, kept: str) -> None:
    assert whole_part(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Bring it back. It costs 3.", "Bring it back."),
        ("Bring it back. It costs 3.5", "Bring it back."),
        ("It costs 30. She will", "It costs 30."),
        ("Come in. Ask Dr. Müller for", "Come in."),
        ("Bienvenida. La Sra. Pérez lo", "Bienvenida."),
        ("Wir haben offen. Nehmen Sie z. B. Äpfel und", "Wir haben offen."),
        ("Wir haben offen. Nehmen Sie z.B. Äpfel und", "Wir haben offen."),
        ("Wir haben offen. Sie kommen am 3. Mai um", "Wir haben offen."),
        ("It is late. They met in the U.S. Army and", "It is late."),
        ("A good book. J. K. Rowling wrote", "A good book."),
        ("Look there. It is room No. 5 on", "Look there."),
        ("No. That is a", "No."),
        ("Look there. Write to www.shop.", "Look there. Write to www.shop."),
        ("Look there. Write to www.shop.exam", "Look there."),
        ("It is open. At 5 p.m. We", "It is open."),
        ('It is open. "Stop!" he said and', "It is open."),
        ("So it is. Well… maybe you", "So it is."),
    ],
)
def test_not_every_mark_ends_a_sentence(text: str, kept: str) -> None:
    assert whole_part(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("You need:\n- apples\n- pears\n- oran", "You need:\n- apples\n- pears"),
        ("Hello. The steps:\n1. Open the lid\n2. Turn the sc", "Hello. The steps:\n1. Open the lid"),
        ("Hello. The steps:\n1. Open the l", "Hello."),
        ("1. Open\n2. ", "1. Open"),
        ("• uno\n• dos\n• tr", "• uno\n• dos"),
        ("| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("Roses are red\nViolets are blue\nSugar is sw", "Roses are red\nViolets are blue"),
        ("Total: 12.50\nTax: 3.10\nSum: 15", "Total: 12.50\nTax: 3.10"),
        ("Run this. Then:\n```python\nprint(1. )\nprin", "Run this. Then:\n```python\nprint(1. )\n```"),
        ("Run this. Then:\n```python\npri", "Run this."),
        ("Run this:\n```\na. B\n```\nThen ru", "Run this:\n```\na. B\n```"),
        ("Run this.\n```\na. B\n```", "Run this.\n```\na. B\n```"),
        ("**Note: open the lid. Then turn", "**Note: open the lid.**"),
    ],
)
def test_lists_tables_verses_and_code_end_at_a_whole_part(text: str, kept: str) -> None:
    assert whole_part(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Then turn the left scr", "Then turn the left…"),
        ("Here are the steps:\n1. Op", "Here are the steps…"),
        ("Recipe\n\nTake three eg", "Recipe\n\nTake three…"),
        ("Steps:\n- ", "Steps…"),
        ("สวัสดีครับวันนี้อากาศ", "สวัสดีครับวันนี้อากาศ…"),
        ("Well", "Well…"),
        ("One, two, thr", "One, two…"),
    ],
)
def test_without_a_whole_sentence_the_whole_words_stay_and_the_end_is_seen_to_be_open(text: str, kept: str) -> None:
    assert whole_part(text) == kept


@given(
    st.lists(
        st.sampled_from(["Open the lid.", "It costs 3.50 euros!", "Is Dr. Ash in?", "今日は。", "\n- an item\n", "Yes…"]),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([" Then turn the", "\nThen it is", ' And "so', " Also at www.shop.exa"]),
)
def test_nothing_whole_is_lost_and_nothing_broken_stays(whole: list[str], broken: str) -> None:
    text = " ".join(whole)

    assert whole_part(text + broken) == text.strip()


@given(st.text(max_size=200))
def test_any_text_ends_somewhere_in_itself(text: str) -> None:
    end = sentence_end(text)
    kept = whole_part(text)

    assert end is None or 0 < end <= len(text)
    assert not text.strip() or kept.strip()
    assert len(kept) <= len(text) + 8


def test_it_is_quick_on_the_worst_text() -> None:
    began = time.process_time()
    for text in (
        "a." * 16_000,
        ". " * 16_000,
        "```\n" * 8_000,
        "|\n" * 16_000,
        "(" * 32_000,
        "A. " * 10_000,
        "\n" * 32_000,
        "x " * 16_000,
        "- \n" * 10_000,
    ):
        whole_part(text)

    assert time.process_time() - began < 3.0
