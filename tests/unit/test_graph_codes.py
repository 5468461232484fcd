"""The table of error codes: for each channel whom a code concerns, with and without a subcode, and that every row can be read."""

from __future__ import annotations

import pytest

from bots.admin.attention.reasons import explain
from bots.channels.graph_codes import MESSENGER, TABLES
from bots.channels.graph_errors import from_answer
from bots.domain import ChannelKind, Retry, Scope
from bots.errors import SendError

#: No real subcode.
_UNKNOWN = 9_999_999
_PAGES = (ChannelKind.MESSENGER, ChannelKind.INSTAGRAM)
_ALL = (ChannelKind.WHATSAPP, *_PAGES)

#: One message or person fails, the account goes on. Three people in a row may show that it is the account all the same.
_FAILS_ALONE: list[tuple[tuple[ChannelKind, ...], int, int | None]] = [
    *((_PAGES, 10, subcode) for subcode in (2018300, 2018065, 2018108, _UNKNOWN, None)),
    *((_PAGES, 200, subcode) for subcode in (1545041, 2018021, 2018028, _UNKNOWN, None)),
    *((_PAGES, 551, subcode) for subcode in (None, _UNKNOWN)),
    *((_PAGES, 100, subcode) for subcode in (2018001, 33, _UNKNOWN, None)),
    *((_PAGES, code, None) for code in (10900, 10903)),
    ((ChannelKind.INSTAGRAM,), 100, 2534014),
    ((ChannelKind.INSTAGRAM,), 100, 2534037),
    ((ChannelKind.INSTAGRAM,), 10, 2534037),
    *(((ChannelKind.WHATSAPP,), code, None) for code in (131026, 131030, 131009, 131051, 100)),
    ((ChannelKind.WHATSAPP,), 100, _UNKNOWN),
    (_ALL, 999_999, None),
    (_ALL, 999_999, _UNKNOWN),
]
#: The code proves by itself that only this message or person is meant.
_CERTAIN: list[tuple[tuple[ChannelKind, ...], int, int | None]] = [
    (_PAGES, 10, 2018278),
    ((ChannelKind.INSTAGRAM,), 10, 2534022),
    ((ChannelKind.INSTAGRAM,), 551, 1545041),
    *(((ChannelKind.WHATSAPP,), code, None) for code in (131047, 131049, 131050, 130472, 130497, 137000, 131053, 132001, 132015)),
]
#: The account is meant: it waits for an operator.
_PARKS: list[tuple[tuple[ChannelKind, ...], int, int | None]] = [
    *((_ALL, 190, subcode) for subcode in (None, 460, 463, _UNKNOWN)),
    *((_ALL, code, None) for code in (0, 3, 33, 102, 230, 299, 368, 2500)),
    *((_PAGES, code, None) for code in (2022, 10904)),
    *(((ChannelKind.WHATSAPP,), 10, subcode) for subcode in (None, _UNKNOWN)),
    *(((ChannelKind.WHATSAPP,), 200, subcode) for subcode in (None, _UNKNOWN)),
    ((ChannelKind.WHATSAPP,), 100, 33),
    *(((ChannelKind.WHATSAPP,), code, None) for code in (131005, 131031, 131037, 131042, 131045, 133010)),
]
_THROTTLES: list[tuple[ChannelKind, int, int | None, Scope]] = [
    *((channel, 4, None, Scope.APP) for channel in _ALL),
    *((channel, 613, None, Scope.APP) for channel in _ALL),
    *((channel, 613, 1893015, Scope.ACCOUNT) for channel in _PAGES),
    *((channel, 80006, None, Scope.ACCOUNT) for channel in _PAGES),
    *((ChannelKind.WHATSAPP, code, None, Scope.ACCOUNT) for code in (80007, 130429, 131048, 131064)),
    (ChannelKind.WHATSAPP, 131056, None, Scope.PERSON),
]


def _spread(rows: list[tuple[tuple[ChannelKind, ...], int, int | None]]) -> list[tuple[ChannelKind, int, int | None]]:
    return [(channel, code, subcode) for channels, code, subcode in rows for channel in channels]


def _refused(channel: ChannelKind, code: int, subcode: int | None, *, status: int = 400) -> SendError:
    body = {"error": {"code": code} | ({"error_subcode": subcode} if subcode else {})}
    return from_answer(status, {}, body, TABLES[channel])


@pytest.mark.parametrize(("channel", "code", "subcode"), _spread(_FAILS_ALONE))
@pytest.mark.parametrize("status", [400, 403])
def test_one_message_fails_alone_and_the_account_is_in_doubt(channel: ChannelKind, code: int, subcode: int | None, status: int) -> None:
    found = _refused(channel, code, subcode, status=status)

    assert (found.retry, found.is_in_doubt) == (Retry.NEVER, True)
    assert found.scope in {Scope.MESSAGE, Scope.PERSON}
    assert (found.code, found.subcode) == (code, subcode)


@pytest.mark.parametrize(("channel", "code", "subcode"), _spread(_CERTAIN))
def test_some_codes_prove_that_one_message_is_meant(channel: ChannelKind, code: int, subcode: int | None) -> None:
    found = _refused(channel, code, subcode)

    assert (found.retry, found.is_in_doubt) == (Retry.NEVER, False)


@pytest.mark.parametrize(("channel", "code", "subcode"), _spread(_PARKS))
def test_what_concerns_the_account_asks_an_operator(channel: ChannelKind, code: int, subcode: int | None) -> None:
    found = _refused(channel, code, subcode)

    assert (found.retry, found.scope) == (Retry.ASK_OPERATOR, Scope.ACCOUNT)


@pytest.mark.parametrize(("channel", "code", "subcode", "scope"), _THROTTLES)
def test_a_throttle_says_whom_it_slows_down(channel: ChannelKind, code: int, subcode: int | None, scope: Scope) -> None:
    found = _refused(channel, code, subcode)

    assert (found.retry, found.scope, found.is_in_doubt) == (Retry.LATER, scope, False)


def test_a_spam_limit_waits_long_by_itself() -> None:
    found = _refused(ChannelKind.WHATSAPP, 131048, None)

    assert found.retry_after_s is not None
    assert found.retry_after_s >= 600


@pytest.mark.parametrize("status", [401, 403, 404, 405, 407])
def test_a_refusal_without_an_error_of_the_platform_is_tried_again_and_counted(status: int) -> None:
    found = from_answer(status, {}, None, MESSENGER)

    assert (found.retry, found.scope, found.is_in_doubt, found.code) == (Retry.LATER, Scope.MESSAGE, True, None)


@pytest.mark.parametrize("channel", _ALL)
def test_every_row_is_explained_with_what_to_do_and_names_its_code(channel: ChannelKind) -> None:
    for code, row in TABLES[channel].items():
        number = f"{code[0]}/{code[1]}" if isinstance(code, tuple) else str(code)
        found = explain("send", f"code:{number}", state="failed", channel=channel)

        assert found.message == f"{row.message} (code {number})"
        assert row.message.endswith(".")
        assert found.fix.endswith(".")
        assert row.source


def test_the_same_code_is_explained_for_its_channel() -> None:
    number = explain("account", "code:100/33", channel=ChannelKind.WHATSAPP)
    person = explain("send", "code:100/33", state="failed", channel=ChannelKind.MESSENGER)

    assert ("number" in number.message, "person" in person.message) == (True, True)


@pytest.mark.parametrize("channel", _ALL)
def test_only_what_concerns_one_message_or_person_is_certain_to(channel: ChannelKind) -> None:
    certain = [row for row in TABLES[channel].values() if row.is_certain]

    assert certain
    assert all(row.scope in {Scope.MESSAGE, Scope.PERSON} for row in certain)
