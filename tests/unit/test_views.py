"""How times stand on a page: as elements with their zone, which a script shifts; sentences keep every sign escaped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from bots.web.views import HERE, clock, timed, when

_AT = datetime(2026, 11, 30, 9, 45, 25, 123456, UTC)


def test_a_moment_says_its_zone_and_its_exact_time() -> None:
    told = '<time datetime="2026-11-30T09:45:25.123456+00:00" data-shown="second">2026-11-30 09:45:25 UTC</time>'

    assert when(_AT) == told
    assert ">2026-11-30 09:45:25 UTC<" in when(_AT.astimezone(timezone(timedelta(hours=5, minutes=45))))
    assert 'data-shown="clock">09:45:25.123 UTC</time>' in clock(_AT)


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("no time", "no time"),
        ("<b>", "&lt;b&gt;"),
        (
            "tried <i> on 2026-11-30 09:45 UTC.",
            'tried &lt;i&gt; on <time datetime="2026-11-30T09:45:00+00:00" data-shown="minute">2026-11-30 09:45 UTC</time>.',
        ),
        ("at 2026-11-30 09:45:25 UTC", 'at <time datetime="2026-11-30T09:45:25+00:00" data-shown="second">2026-11-30 09:45:25 UTC</time>'),
        ("at 2026-99-30 09:45 UTC", "at 2026-99-30 09:45 UTC"),
        ("2026-11-30 09:45", "2026-11-30 09:45"),
    ],
)
def test_a_sentence_keeps_its_words_and_its_times_become_elements(sentence: str, shown: str) -> None:
    assert timed(sentence) == shown


@pytest.mark.parametrize("template", [path.name for path in sorted((HERE / "templates").glob("*.html"))])
def test_templates_leave_the_form_and_the_zone_of_times_to_the_filters(template: str) -> None:
    text = (HERE / "templates" / template).read_text("utf-8")

    assert [word for word in ("<time", "strftime", "isoformat", "| when }} UTC", "When (UTC)") if word in text] == []
