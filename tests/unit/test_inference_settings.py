"""The model's settings: every wrong one is told at once, and a key never shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.errors import BadModelSetting
from inference.settings import ModelSettings


def test_other_rooms_variables_are_left_alone() -> None:
    settings = ModelSettings.from_env({"CHINWAG_WEB_PORT": "1", "PATH": "/bin", "CHINWAG_MODEL_TOTAL_S": " 5 "})

    assert settings.total_s == 5.0


def test_all_problems_are_told_in_one_message() -> None:
    with pytest.raises(BadModelSetting) as caught:
        ModelSettings.from_env({"CHINWAG_MODEL_TOTL_S": "1", "CHINWAG_MODEL_SILENCE_S": "soon", "CHINWAG_MODEL_FIRST_TOKEN_S": "-1"})

    for variable in ("TOTL_S", "SILENCE_S", "FIRST_TOKEN_S"):
        assert f"CHINWAG_MODEL_{variable}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", "localhost:8080/v1"),
        ("URL", "ftp://host/v1"),
        ("URL", "http://user:word@host/v1"),
        ("URL", "http://host/v1?key=1"),
        ("URL", "http://host:99999/v1"),
        ("LEAVES_HOUSE", "perhaps"),
        ("TOTAL_S", "0"),
        ("TOTAL_S", "inf"),
        ("TOTAL_S", "nan"),
        ("TEMPERATURE", "2.5"),
        ("TOP_P", "0"),
        ("TOP_P", "1.5"),
        ("MAX_RESPONSE_BYTES", "1.5"),
    ],
)
def test_a_value_that_cannot_work_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(BadModelSetting, match=f"CHINWAG_MODEL_{name}"):
        ModelSettings.from_env({f"CHINWAG_MODEL_{name}": value})


def test_an_endpoint_needs_an_address() -> None:
    with pytest.raises(BadModelSetting, match="CHINWAG_MODEL_URL"):
        ModelSettings().open_endpoint()


def test_the_key_is_read_from_its_file_and_does_not_show(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-secret\n")

    endpoint = ModelSettings(url="https://models.example/v1/", key_file=str(file)).open_endpoint()

    assert (endpoint.url, endpoint.api_key) == ("https://models.example/v1", "sk-secret")
    assert "secret" not in repr(endpoint)


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo", b"\xff\xfe", None])
def test_a_file_without_exactly_one_key_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(BadModelSetting, match="KEY_FILE"):
        ModelSettings(url="http://h/v1", key_file=str(file)).open_endpoint()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://[::1]:8000/v1",
        "http://10.0.0.11:8000/v1",
        "http://192.168.1.4/v1",
        "http://169.254.7.7/v1",
        "http://[fd00::7]/v1",
        "http://[::ffff:10.0.0.7]/v1",
        "http://localhost:8000/v1",
        "http://engine:8000/v1",
        "https://gpu-1.internal/v1",
        "http://engine.chinwag.svc/v1",
    ],
)
def test_words_stay_in_the_house_on_the_way_to_a_private_address(url: str) -> None:
    assert not ModelSettings(url=url).open_endpoint().leaves_house
    assert ModelSettings(url=url, leaves_house="yes").open_endpoint().leaves_house


@pytest.mark.parametrize(
    "url",
    [
        "https://models.example/v1",
        "https://8.8.8.8/v1",
        "https://[2606:4700::1111]/v1",
        "https://[::ffff:8.8.8.8]/v1",
        "https://10.0.0.1.example.com/v1",
        "https://internal.example/v1",
    ],
)
def test_an_address_that_is_not_known_to_be_private_counts_as_outside_the_house(url: str) -> None:
    assert ModelSettings(url=url).open_endpoint().leaves_house
    assert not ModelSettings(url=url, leaves_house="no").open_endpoint().leaves_house
