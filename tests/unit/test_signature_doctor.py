"""Why a webhook was refused, explained; the check itself is not weakened by it."""

from __future__ import annotations

import json
import time

import pytest

from bots.channels.signature import sign_meta, verify_meta
from bots.channels.signature_doctor import diagnose, diagnose_handshake
from bots.errors import Forged

SECRET = "the-secret"
#: As the platform writes it: escaped letters and slashes, compact.
SENT = rb'{"object":"page","entry":[{"id":"1","messaging":[{"message":{"mid":"m_1","text":"caf\u00e9 https:\/\/x.test 1+1"}}]}]}'
HEADERS = {"x-hub-signature-256": sign_meta(SENT, SECRET)}
READ = json.loads(SENT)


def written(**how: object) -> bytes:
    return json.dumps(READ, **how).encode()  # pyright: ignore[reportArgumentType] - options of json.dumps


REENCODED = {
    "letters_unescaped": SENT.replace(rb"\u00e9", "é".encode()),
    "slashes_unescaped": SENT.replace(rb"\/", b"/"),
    "both_unescaped": written(ensure_ascii=False, separators=(",", ":")),
    "spaced": written(),
    "spaced_and_unescaped": written(ensure_ascii=False),
    "indented": written(indent=2),
    "newline_added": SENT + b"\n",
    "byte_order_mark": b"\xef\xbb\xbf" + SENT,
}


@pytest.mark.parametrize("name", REENCODED)
def test_a_body_that_was_written_anew_is_told_and_stays_refused(name: str) -> None:
    body = REENCODED[name]

    assert diagnose(HEADERS, body, (SECRET,), {}).code == "reencoded"
    with pytest.raises(Forged):
        verify_meta(HEADERS, body, (SECRET,))


def test_a_trailing_newline_that_was_removed_is_told() -> None:
    headers = {"x-hub-signature-256": sign_meta(SENT + b"\n", SECRET)}

    assert diagnose(headers, SENT, (SECRET,), {}).code == "reencoded"


@pytest.mark.parametrize(
    "sent",
    [
        SENT,
        SENT.replace(b"1+1", b"1+1 is two"),
        SENT.replace(b'"m_1"', b'"wamid.a+b+c/d+e+f="').replace(b"1+1", b"1 + 1 is two, said Ana Maria da Silva"),
        SENT.replace(b'"m_1"', b'"wamid.a+b+c/d+e+f="').replace(b"1+1", b"nothing more"),
    ],
)
def test_a_plus_that_became_a_space_is_told_also_among_other_spaces(sent: bytes) -> None:
    headers = {"x-hub-signature-256": sign_meta(sent, SECRET)}
    assert b"+" in sent

    assert diagnose(headers, sent.replace(b"+", b" "), (SECRET,), {}).code == "plus_as_space"


def test_a_body_that_was_printed_prettily_before_it_was_sent_is_told() -> None:
    sent = json.dumps(json.loads(SENT), indent=2).encode()
    headers = {"x-hub-signature-256": sign_meta(sent, SECRET)}

    assert diagnose(headers, SENT, (SECRET,), {}).code == "reencoded"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "header_missing"),
        ({"x-hub-signature": "sha1=" + "0" * 40}, "header_malformed"),
        ({"x-hub-signature-256": "sha1=" + "0" * 40}, "header_malformed"),
        ({"x-hub-signature-256": "sha256=xyz"}, "header_malformed"),
        ({"x-hub-signature-256": "sha256=" + "0" * 64}, "wrong_secret"),
    ],
)
def test_what_is_wrong_with_the_header_is_told(headers: dict[str, str], code: str) -> None:
    assert diagnose(headers, SENT, (SECRET,), {}).code == code


def test_the_secret_of_another_account_is_told_by_its_name_and_not_shown() -> None:
    found = diagnose(HEADERS, SENT, ("wrong",), {"messenger/one": "no", "messenger/other": SECRET})

    assert found.code == "other_app"
    assert "messenger/other" in found.message
    assert SECRET not in str(found)


def test_an_account_without_a_secret_is_told() -> None:
    assert diagnose(HEADERS, SENT, ("",), {}).code == "no_secret"


def test_a_large_body_is_not_searched() -> None:
    large = SENT + b" " * 70_000

    assert diagnose(HEADERS, large, (SECRET,), {}).code == "wrong_secret"


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"[" * 50_000, b'"' + b" " * 5000, b"1" * 5000, b'{"a":"\\ud800"}'])
def test_any_body_gets_a_word(body: bytes) -> None:
    assert diagnose({"x-hub-signature-256": "sha256=" + "0" * 64}, body, (SECRET,), {}).code == "wrong_secret"


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b"[" * 900 + b"]" * 900] * 34) + b"]",
        b"[" + b",".join([b"[" * 19 + b"]" * 19] * 1600) + b"]",
        b"[" * 900 + b"1" + b"]" * 900 + b" " * 60_000,
        b"[" + b'{"a":1},' * 8000 + b"1]",
        b"[" * 19 + b"1," * 30_000 + b"1" + b"]" * 19,
        b" " * 64_000,
        b'"wamid.' + b" " * 60_000 + b'"',
    ],
    ids=["deep_often", "flat_often", "deep_and_blank", "objects", "numbers", "blanks", "plus_signs"],
)
def test_whoever_sends_forged_bodies_gets_little_work_done(body: bytes) -> None:
    assert len(body) <= 64 * 1024
    best = 9.0
    for _ in range(6):
        began = time.thread_time()
        diagnose({"x-hub-signature-256": "sha256=" + "0" * 64}, body, ("first", "second"), {str(n): "other" for n in range(256)})
        best = min(best, time.thread_time() - began)

    assert best < 0.5


@pytest.mark.parametrize(
    ("token", "given", "code"),
    [("a+b", "a b", "plus_as_space"), ("ab", "no", "verify_token"), ("ab", None, "verify_token"), (None, "ab", "verify_token")],
)
def test_why_a_handshake_was_refused_is_told(token: str | None, given: str | None, code: str) -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1"} | ({"hub.verify_token": given} if given else {})

    assert diagnose_handshake(query, token).code == code
