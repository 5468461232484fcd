"""What an answer of the Graph API, an exception, or a code proves about a send; by table, without sockets."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from bots.channels.graph import GraphClient
from bots.channels.graph_codes import GRAPH, INSTAGRAM, MESSENGER, WHATSAPP
from bots.channels.graph_errors import from_answer, from_exception, read_json, retry_after
from bots.domain import Outcome, Retry
from bots.errors import (
    AccessLost,
    AccountThrottled,
    AppThrottled,
    BadSetting,
    NotSent,
    PairThrottled,
    Rejected,
    SendError,
    SendUnknown,
    TransientRejection,
    Unclear,
    WindowClosed,
)

EXCEPTIONS = {
    httpx.ConnectError: NotSent,
    httpx.ConnectTimeout: NotSent,
    httpx.PoolTimeout: NotSent,
    httpx.LocalProtocolError: NotSent,
    httpx.UnsupportedProtocol: NotSent,
    httpx.ReadError: SendUnknown,
    httpx.ReadTimeout: SendUnknown,
    httpx.WriteError: SendUnknown,
    httpx.WriteTimeout: SendUnknown,
    httpx.CloseError: SendUnknown,
    httpx.RemoteProtocolError: SendUnknown,
}

#: HTTP status, error code (None: no Graph error in the body), what it proves.
ANSWERS: list[tuple[int, int | None, type[SendError]]] = [
    (401, 190, AccessLost),
    (400, 190, AccessLost),
    (500, 190, AccessLost),
    (401, 0, AccessLost),
    (403, 10, AccessLost),
    (403, 200, AccessLost),
    (403, 299, AccessLost),
    (403, 131005, AccessLost),
    (403, 368, AccessLost),
    (403, 131031, AccessLost),
    (400, 131042, AccessLost),
    (400, 133010, AccessLost),
    (400, 33, AccessLost),
    (400, 4, AppThrottled),
    (400, 80007, AccountThrottled),
    (400, 130429, AccountThrottled),
    (429, 130429, AccountThrottled),
    (503, 130429, AccountThrottled),
    (400, 131048, AccountThrottled),
    (400, 131056, PairThrottled),
    (429, 131056, PairThrottled),
    (400, 131047, WindowClosed),
    (400, 131026, Rejected),
    (400, 131049, Rejected),
    (403, 130497, Rejected),
    (400, 100, Rejected),
    (400, 131009, Rejected),
    (400, 131051, Rejected),
    (400, 131062, Rejected),
    (404, 132001, Rejected),
    (400, 999999, Rejected),
    (429, 999999, AccountThrottled),
    (401, 999999, AccessLost),
    (503, 2, TransientRejection),
    (500, 131016, TransientRejection),
    (500, 131057, TransientRejection),
    (400, 131000, TransientRejection),
    (500, 131000, SendUnknown),
    (500, 1, SendUnknown),
    (500, 999999, SendUnknown),
    (500, None, SendUnknown),
    (502, None, SendUnknown),
    (504, None, SendUnknown),
    (429, None, AccountThrottled),
    (401, None, Unclear),
    (403, None, Unclear),
    (404, None, Unclear),
    (405, None, Unclear),
    (400, None, Rejected),
    (413, None, Rejected),
    (408, None, SendUnknown),
    (302, None, SendUnknown),
    (307, 190, SendUnknown),
]


@pytest.mark.parametrize(("raised", "expected"), list(EXCEPTIONS.items()))
def test_an_exception_proves_whether_a_byte_can_have_left(raised: type[httpx.TransportError], expected: type[SendError]) -> None:
    found = from_exception(raised("words that are not passed on"))

    assert type(found) is expected
    assert "words" not in str(found)


@pytest.mark.parametrize(("status", "code", "expected"), ANSWERS)
def test_an_answer_is_decided_by_its_code_then_by_its_status(status: int, code: int | None, expected: type[SendError]) -> None:
    body = None if code is None else {"error": {"message": "their words", "code": code, "fbtrace_id": "Ax1"}}

    found = from_answer(status, {}, body, WHATSAPP)

    assert type(found) is expected
    assert (found.http_status, found.code, found.trace_id) == (status, code, None if code is None else "Ax1")
    assert "their words" not in str(found)


def test_the_classes_say_what_to_do() -> None:
    told = {kind: (kind.outcome, kind.retry) for kind in (NotSent, SendUnknown, PairThrottled, Rejected, AccessLost)}

    assert told == {
        NotSent: (Outcome.NOT_SENT, Retry.LATER),
        SendUnknown: (Outcome.UNKNOWN, Retry.LATER),
        PairThrottled: (Outcome.REJECTED, Retry.LATER),
        Rejected: (Outcome.REJECTED, Retry.NEVER),
        AccessLost: (Outcome.REJECTED, Retry.ASK_OPERATOR),
    }


@pytest.mark.parametrize(
    "error", ["x", 5, [], {}, {"code": None}, {"code": "x"}, {"code": True}, {"code": -1}, {"code": 10**30}, {"code": [190]}, {"code": 1.5}]
)
def test_an_error_object_of_another_shape_is_no_code(error: object) -> None:
    found = from_answer(500, {}, {"error": error}, GRAPH)

    assert (type(found), found.code) == (SendUnknown, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("99999999", 72 * 3600.0),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("Tue, 99 Nov 2026 11:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(text: str, expected: float | None) -> None:
    assert expected == retry_after({"retry-after": text}, now=datetime(2026, 11, 24, 12, 0, tzinfo=UTC))


def test_retry_after_is_told_with_the_error_and_a_documented_wait_stands_in_for_it() -> None:
    told = from_answer(429, httpx.Headers({"Retry-After": "9"}), {"error": {"code": 130429}}, WHATSAPP)
    documented = from_answer(400, {}, {"error": {"code": 131057}}, WHATSAPP)
    neither = from_answer(400, {}, {"error": {"code": 131056}}, WHATSAPP)

    assert (told.retry_after_s, documented.retry_after_s, neither.retry_after_s) == (9.0, 60.0, None)


@pytest.mark.parametrize("body", [None, b"", b"<html>", b"[]", b"5", b"\xff", b"[" * 100_000, b'{"a":'])
def test_a_body_that_is_no_json_object_is_none(body: bytes | None) -> None:
    assert read_json(body) is None


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "tokén", "a\x00"])
def test_a_token_that_cannot_be_sent_asks_the_operator_and_is_not_shown(token: str) -> None:
    client = GraphClient(base_url="https://graph.invalid", version="v25.0", deadline_s=1.0)

    with pytest.raises(AccessLost) as caught:
        client.send("7", {}, token=token)

    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("address", ["", "graph.example", "ftp://graph.example", "https://"])
def test_an_address_that_is_none_stops_the_start(address: str) -> None:
    with pytest.raises(BadSetting):
        GraphClient(base_url=address, version="v25.0", deadline_s=1.0)


PAGES: list[tuple[int, int, int | None, type[SendError], type[SendError]]] = [
    # HTTP status, code, subcode; what it proves on Messenger, and on Instagram.
    (400, 10, 2018278, WindowClosed, WindowClosed),
    (400, 10, 2534022, Rejected, WindowClosed),
    (400, 551, 1545041, Rejected, WindowClosed),
    (400, 551, None, Rejected, Rejected),
    (400, 10, 2018065, WindowClosed, WindowClosed),
    (400, 100, None, Rejected, Rejected),
    (400, 100, 2018001, Rejected, Rejected),
    (400, 100, 33, Rejected, Rejected),
    (403, 200, 2018028, Rejected, Rejected),
    (403, 230, None, AccessLost, AccessLost),
    (401, 190, 463, AccessLost, AccessLost),
    (400, 368, None, AccessLost, AccessLost),
    (400, 613, 1893015, AccountThrottled, AccountThrottled),
    (400, 4, None, AppThrottled, AppThrottled),
    (400, 1200, None, TransientRejection, TransientRejection),
    (400, 2, None, TransientRejection, TransientRejection),
    (400, 10900, None, Rejected, Rejected),
    (400, 10904, None, AccessLost, AccessLost),
    (500, 1, None, SendUnknown, SendUnknown),
]


@pytest.mark.parametrize(("status", "code", "subcode", "messenger", "instagram"), PAGES)
def test_messenger_and_instagram_have_codes_of_their_own(
    status: int, code: int, subcode: int | None, messenger: type[SendError], instagram: type[SendError]
) -> None:
    body = {"error": {"code": code} | ({"error_subcode": subcode} if subcode else {})}

    assert type(from_answer(status, {}, body, MESSENGER)) is messenger
    assert type(from_answer(status, {}, body, INSTAGRAM)) is instagram


@pytest.mark.parametrize("odd", [None, "x", -1, 10**30, [], {}, True])
def test_a_subcode_of_a_wrong_type_costs_only_itself(odd: object) -> None:
    assert type(from_answer(400, {}, {"error": {"code": 551, "error_subcode": odd}}, MESSENGER)) is Rejected
