"""A contact's time zone comes from their number; days and times are told in each language."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
import phonenumbers.timezone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots import time_zones
from bots.storage.claims import Handle
from bots.time_zones import zone_of
from workers.turn import clock

_FOLDER = Path(clock.__file__).parent
_WORDS = tomllib.loads((_FOLDER / "clock.toml").read_text("utf-8"))
_ZONES = tomllib.loads(Path(time_zones.__file__).with_suffix(".toml").read_text("utf-8"))


def a_phone(number: str) -> list[Handle]:
    return [Handle(kind="bsuid", value="XX.1"), Handle(kind="phone", value=number)]


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("351912345678", "Europe/Lisbon"),
        ("+34612345678", "Europe/Madrid"),
        ("491701234567", "Europe/Berlin"),
        ("+447700900123", "Europe/London"),
        ("919812345678", "Asia/Kolkata"),
        ("+212612345678", "Africa/Casablanca"),
        ("+905321234567", "Europe/Istanbul"),
        # Several zones, told by the area code.
        ("+14155550100", "America/Los_Angeles"),
        ("+12125550100", "America/New_York"),
        ("+5592912345678", "America/Manaus"),
        ("+526561234567", "America/Ciudad_Juarez"),
        # Several zones, and the number tells none.
        ("+61892345678", "Australia/Adelaide"),
        ("+61412345678", "Australia/Sydney"),
        ("+79161234567", "Europe/Moscow"),
        ("+18005550199", "America/New_York"),
        ("+77011234567", "Asia/Almaty"),
        ("15557654321", "America/New_York"),
    ],
)
def test_a_number_has_the_zone_of_its_area_or_of_most_people_in_its_country(number: str, zone: str) -> None:
    assert zone_of(a_phone(number)) == ZoneInfo(zone)


@pytest.mark.parametrize("number", ["", "12", "nobody", "+881612345678", "0", "+" * 50])
def test_without_a_number_that_has_a_country_the_bots_zone_counts_then_the_installations_then_utc(number: str) -> None:
    assert zone_of(a_phone(number), "Asia/Tokyo", "Europe/Rome") == ZoneInfo("Asia/Tokyo")
    assert zone_of(a_phone(number), None, "Europe/Rome") == ZoneInfo("Europe/Rome")
    assert zone_of(a_phone(number), "Nowhere/Town", "../../etc/passwd") == ZoneInfo("UTC")
    assert zone_of([]) == ZoneInfo("UTC")


def test_every_country_with_numbers_has_a_zone_that_exists() -> None:
    zones = _ZONES["one"] | _ZONES["several"]

    assert set(zones.values()) <= available_timezones()
    assert set(phonenumbers.SUPPORTED_REGIONS) - set(zones) <= {"AC", "TA", "XK"}, "islands and a country without a code of their own"


@given(st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)), st.from_regex(r"[0-9]{4,12}", fullmatch=True))
def test_a_number_of_a_country_with_one_zone_has_that_zone_as_the_library_reads_it(code: int, rest: str) -> None:
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(f"+{code}{rest}"))
    except phonenumbers.NumberParseException:
        region = None
    expected = _ZONES["one"].get(region)

    if expected is not None:
        assert zone_of(a_phone(f"{code}{rest}"), "Asia/Tokyo") == ZoneInfo(expected)


@given(st.from_regex(r"1[2-9][0-9]{2}[2-9][0-9]{6}", fullmatch=True))
def test_a_number_in_north_america_has_a_zone_that_the_library_names_for_all_of_its_digits(number: str) -> None:
    parsed = phonenumbers.parse(f"+{number}")
    region = phonenumbers.region_code_for_number(parsed) or "US"
    named = phonenumbers.timezone.time_zones_for_number(parsed)

    usual = _ZONES["one"].get(region) or _ZONES["several"][region]
    assert str(zone_of(a_phone(number), "Asia/Tokyo")) in (usual, *([] if region in _ZONES["one"] else named))


@given(st.text())
def test_any_text_as_a_number_has_a_zone(text: str) -> None:
    assert str(zone_of(a_phone(text)))


@pytest.mark.parametrize("language", _WORDS)
def test_every_language_has_all_months_and_days_of_the_week(language: str) -> None:
    words = _WORDS[language]

    assert (len(set(words["months"])), len(set(words["weekdays"]))) == (12, 7)
    assert all(f"{{{name}}}" in words["now"] for name in ("weekday", "day", "month", "year", "time", "zone"))
    assert all(f"{{{name}}}" in words["date"] for name in ("day", "month", "year"))


@pytest.mark.parametrize(
    ("language", "now", "day"),
    [
        ("en", "It is Monday, 30 November 2026, 09:05 (Europe/Lisbon).", "1 February 2027"),
        ("es", "Es lunes, 30 de noviembre de 2026, 09:05 (Europe/Lisbon).", "1 de febrero de 2027"),
        ("de", "Heute ist Montag, der 30. November 2026, 09:05 Uhr (Europe/Lisbon).", "1. Februar 2027"),
        ("tr", "Bugün 30 Kasım 2026 Pazartesi, saat 09:05 (Europe/Lisbon).", "1 Şubat 2027"),
        ("ar", "اليوم الاثنين، 30 نوفمبر 2026، الساعة 09:05 (Europe/Lisbon).", "1 فبراير 2027"),
        ("nl", "It is Monday, 30 November 2026, 09:05 (Europe/Lisbon).", "1 February 2027"),
    ],
)
def test_a_time_and_a_day_are_told_as_the_language_writes_them(language: str, now: str, day: str) -> None:
    at = datetime(2026, 11, 30, 9, 5, tzinfo=ZoneInfo("Europe/Lisbon"))

    assert (clock.now_texts(at, language=language)[1], clock.day_text(date(2027, 2, 1), language=language)) == (now, day)


def test_the_day_is_that_of_the_contact() -> None:
    late = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)

    _, told = clock.now_texts(late.astimezone(zone_of(a_phone("919812345678"))), language="en")

    assert told == "It is Tuesday, 1 December 2026, 05:00 (Asia/Kolkata)."
