"""A webhook's signature: which secret makes it valid, and what is refused."""

from __future__ import annotations

import pytest

from bots.channels.signature import challenge, sign_meta, verify_meta
from bots.errors import Forged

BODY = '{"text":"olá"}'.encode()
NAME = "x-hub-signature-256"


def signed(secret: str, body: bytes = BODY) -> dict[str, str]:
    return {NAME: sign_meta(body, secret)}


def test_the_signature_is_the_documented_one() -> None:
    expected = "sha256=88aab3ede8d3adf94d26ab90d3bafd4a2083070c3bcce9c014ee04a443847c0b"

    assert expected == sign_meta(b"hello", "secret")


def test_the_right_secret_opens() -> None:
    verify_meta(signed("s"), BODY, ("s",))


def test_the_second_secret_opens_during_a_rotation() -> None:
    verify_meta(signed("old"), BODY, ("new", "old"))


def test_a_secret_beyond_ascii_opens() -> None:
    verify_meta(signed("sécret🌻"), BODY, ("sécret🌻",))


def test_a_changed_body_is_forged() -> None:
    with pytest.raises(Forged):
        verify_meta(signed("s"), BODY + b" ", ("s",))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {NAME: ""},
        {NAME: "sha256="},
        {NAME: sign_meta(BODY, "other")},
        {NAME: sign_meta(BODY, "s")[:-1]},
        {NAME: sign_meta(BODY, "s") + "0"},
        {NAME: sign_meta(BODY, "s").removeprefix("sha256=")},
        {NAME: sign_meta(BODY, "s").replace("sha256", "sha1xx")},
        {NAME: "sha256=" + "é" * 64},
        {NAME: "sha256=" + "\udcff" * 64},
        {NAME: "sha256=" + "٣" * 64},
        {"x-hub-signature": sign_meta(BODY, "s")},
    ],
)
def test_a_wrong_or_missing_signature_is_forged(headers: dict[str, str]) -> None:
    with pytest.raises(Forged):
        verify_meta(headers, BODY, ("s",))


@pytest.mark.parametrize("secrets", [(), ("",), ("", "")])
def test_an_empty_secret_closes_the_door_even_for_its_own_signature(secrets: tuple[str, ...]) -> None:
    with pytest.raises(Forged):
        verify_meta(signed(""), BODY, secrets)


def test_the_error_holds_neither_secret_nor_signature() -> None:
    with pytest.raises(Forged) as caught:
        verify_meta({NAME: sign_meta(BODY, "other")}, BODY, ("topsecret",))

    assert sign_meta(BODY, "topsecret")[7:] not in str(caught.value)
    assert "topsecret" not in str(caught.value)


def ask(**changes: str) -> dict[str, str]:
    query = {"hub.mode": "subscribe", "hub.verify_token": "tok", "hub.challenge": "1158201444"}
    return {**query, **{f"hub.{name}": value for name, value in changes.items()}}


def test_the_handshake_is_answered_with_its_challenge() -> None:
    assert challenge(ask(), "tok") == "1158201444"


@pytest.mark.parametrize(
    ("query", "token"),
    [
        (ask(verify_token="no"), "tok"),
        (ask(mode="unsubscribe"), "tok"),
        (ask(challenge=""), "tok"),
        (ask(challenge="1" * 300), "tok"),
        (ask(challenge="a\nb"), "tok"),
        (ask(challenge="é"), "tok"),
        (ask(verify_token="\udcff"), "tok"),
        (ask(verify_token=""), ""),
        (ask(), None),
        ({}, "tok"),
    ],
)
def test_any_other_handshake_is_not_answered(query: dict[str, str], token: str | None) -> None:
    assert challenge(query, token) is None
