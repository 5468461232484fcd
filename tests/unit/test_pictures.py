"""Pictures of numbers: right heights, honest axes, escaped names, readable without eyes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from bots.web.charts import Series, bars, lines, nice_top, seconds, whole


def _root(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)


def _texts(drawn: str) -> list[str]:
    return [element.text or "" for element in _root(drawn).iter() if element.tag.endswith("text")]


def test_a_bar_twice_as_large_is_drawn_twice_as_high() -> None:
    drawn = bars("b", "Messages", ["a", "b"], [Series(name="messages", values=[50, 100])])

    heights = [float(element.get("height") or 0) for element in _root(drawn).iter() if element.tag.endswith("rect")]
    assert heights[1] == pytest.approx(2 * heights[0])


def test_stacked_bars_stand_on_each_other_and_the_axis_holds_their_sum() -> None:
    drawn = bars("b", "Turns", ["a"], [Series(name="bot", values=[30]), Series(name="person", values=[10], colour="warn")])

    low, high = (element for element in _root(drawn).iter() if element.tag.endswith("rect"))
    assert float(high.get("y") or 0) + float(high.get("height") or 0) == pytest.approx(float(low.get("y") or 0), abs=0.11)
    assert "40" in _texts(drawn)


def test_the_axis_begins_at_nothing_and_ends_at_a_round_number_above_the_largest() -> None:
    assert [nice_top(value) for value in (0, 1, 3, 4, 7, 12, 41, 0.3, 999, 1001)] == pytest.approx([1, 1, 3, 4, 8, 20, 50, 0.3, 1000, 2000])
    assert "0" in _texts(bars("b", "B", ["a"], [Series(name="n", values=[7])]))


def test_one_of_something_beside_thousands_is_still_seen() -> None:
    drawn = bars("b", "B", ["a", "b"], [Series(name="n", values=[1, 9000])])

    assert min(float(element.get("height") or 0) for element in _root(drawn).iter() if element.tag.endswith("rect")) >= 1


def test_a_line_is_broken_where_there_is_no_number() -> None:
    drawn = lines("l", "Time", list("abcdef"), [Series(name="p50", values=[1, 2, None, 3, 4, None])])

    tags = [element.tag.rsplit("}", 1)[-1] for element in _root(drawn).iter()]
    assert (tags.count("polyline"), tags.count("circle")) == (2, 4)


def test_a_picture_has_a_title_a_description_and_a_role() -> None:
    drawn = _root(lines("times", "Time to answer", ["10:00", "11:00"], [Series(name="p95", values=[0.5, 90])]))

    assert (drawn.get("role"), drawn.get("aria-labelledby")) == ("img", "times-title times-told")
    told = {element.get("id"): element.text for element in drawn.iter() if element.get("id")}
    assert told == {"times-title": "Time to answer", "times-told": "p95: most 90 s at 11:00, last 90 s at 11:00."}


def test_no_numbers_at_all_make_an_empty_picture_that_says_so() -> None:
    drawn = bars("b", "B", ["a", "b"], [Series(name="failures", values=[0, None])])

    assert "failures: none." in drawn
    assert "<rect" not in drawn


def test_names_that_look_like_markup_stay_text_and_nothing_is_styled_inline() -> None:
    evil = "<script>alert(1)</script>"
    drawn = bars("b", evil, [evil, '"onload=x'], [Series(name=evil, values=[1, 2])])

    assert "<script" not in drawn
    assert "style=" not in drawn
    assert evil in "".join(_root(drawn).itertext())


def test_the_newest_column_is_always_named_and_labels_stay_few() -> None:
    labels = [f"{hour:02}:00" for hour in range(24)]
    shown = [text for text in _texts(bars("b", "B", labels, [Series(name="n", values=[1] * 24)])) if re.fullmatch(r"\d\d:00", text)]

    assert "23:00" in shown
    assert len(shown) <= 7


@pytest.mark.parametrize(("value", "said"), [(0.42, "0.42 s"), (9.9, "9.9 s"), (42, "42 s"), (600, "10 min"), (10800, "3 h")])
def test_times_are_said_in_the_unit_that_people_use(value: float, said: str) -> None:
    assert seconds(value) == said


@pytest.mark.parametrize(("value", "said"), [(0, "0"), (950, "950"), (1234, "1.23k"), (3_400_000, "3.4M")])
def test_counts_are_said_shortly(value: float, said: str) -> None:
    assert whole(value) == said


@pytest.mark.parametrize("most", range(1, 10))
def test_an_axis_of_a_few_counts_knows_no_halves(most: int) -> None:
    shown = _texts(bars("b", "B", ["a"], [Series(name="n", values=[most])]))[:3]

    assert all(text.isdecimal() for text in shown)
