"""Addresses take their passwords from files, and what is wrong with a file is said without showing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bots.errors import BadSetting
from bots.settings import Settings

_ADDRESS = "postgresql+psycopg://chinwag_web@postgres/chinwag"


def _settings(path: Path, *, address: str = _ADDRESS) -> Settings:
    return Settings.from_env({"CHINWAG_WEB_DATABASE_URL": address, "CHINWAG_WEB_DATABASE_PASSWORD_FILE": str(path)})


def test_a_password_is_read_from_its_file_without_its_newline(tmp_path: Path) -> None:
    (tmp_path / "web").write_text("hunter2\n")

    assert _settings(tmp_path / "web").web_database_url == "postgresql+psycopg://chinwag_web:hunter2@postgres/chinwag"


def test_any_character_of_a_password_survives_the_address(tmp_path: Path) -> None:
    (tmp_path / "web").write_text("a/b:c@d #?%é")

    assert _settings(tmp_path / "web").web_database_url.endswith(":a%2Fb%3Ac%40d%20%23%3F%25%C3%A9@postgres/chinwag")


@pytest.mark.parametrize(
    ("address", "wanted"),
    [("redis://redis:6379/0", "redis://:p@redis:6379/0"), ("redis+socket:///run/redis.sock", "redis+socket://:p@/run/redis.sock")],
)
def test_redis_needs_no_user(tmp_path: Path, address: str, wanted: str) -> None:
    (tmp_path / "redis").write_text("p")
    settings = Settings.from_env({"CHINWAG_REDIS_URL": address, "CHINWAG_REDIS_PASSWORD_FILE": str(tmp_path / "redis")})

    assert settings.redis_url == wanted


def test_a_password_in_both_places_stops_the_start_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "web").write_text("hunter2")
    with pytest.raises(BadSetting) as caught:
        _settings(tmp_path / "web", address="postgresql+psycopg://chinwag_web:hunter3@postgres/chinwag")

    assert "CHINWAG_WEB_DATABASE_PASSWORD_FILE" in str(caught.value)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two\nlines", b"\xff\xfe", b"x" * 5000])
def test_a_file_without_exactly_one_password_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "web").write_bytes(content)
    with pytest.raises(BadSetting, match="CHINWAG_WEB_DATABASE_PASSWORD_FILE"):
        _settings(tmp_path / "web")


def test_a_file_is_not_opened_where_its_address_is_not_given() -> None:
    assert Settings.from_env({"CHINWAG_WEB_DATABASE_PASSWORD_FILE": "/nowhere"}).web_database_url == ""
