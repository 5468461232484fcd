"""Who changed a handle, and from which to which: never by what a person wrote into their own name."""

from __future__ import annotations

from typing import Any

import pytest

from bots.channels.whatsapp.changes import changed_handles
from bots.channels.whatsapp.people import bsuid, handle, identities
from bots.domain import Identity

_OLD, _NEW = "34600111222", "34700111222"


def _of(*values: str) -> tuple[Identity, ...]:
    return identities(*(handle(value) for value in values))


def _number(body: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "user_changed_number", **({"body": body} if body else {}), **more}


def _id(**more: Any) -> dict[str, Any]:
    return {"type": "user_changed_user_id", **more}


#: What the notice says, whom it came from, the handles now, those before.
_TABLE: list[tuple[dict[str, Any], tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = [
    (_number(wa_id=_NEW), (_OLD,), (_NEW,), (_OLD,)),
    (_number(f"User Ana changed from {_OLD} to {_NEW}"), (), (_NEW,), (_OLD,)),
    (_number(f"User Ana changed from {_OLD} to {_NEW}"), (_OLD,), (_NEW,), (_OLD,)),
    (_number(f"Ana cambió de {_OLD} a {_NEW}."), (), (_NEW,), (_OLD,)),
    (_number(f"User Ana changed from {_OLD} to {_NEW}", wa_id=_OLD), (), (_NEW,), (_OLD,)),
    (_number(f"User Ana changed from {_OLD} to {_NEW}", wa_id=_NEW), (_NEW,), (_NEW,), (_OLD,)),
    (_number(wa_id=_NEW, previous_wa_id=_OLD), (), (_NEW,), (_OLD,)),
    (_number(wa_id=_NEW), ("ES.1",), (_NEW,), ("ES.1",)),
    (_number(wa_id=_NEW), (_OLD, "ES.1"), ("ES.1", _NEW), (_OLD,)),
    (_number(wa_id=_NEW, user_id="ES.2"), (_OLD, "ES.1"), ("ES.2", _NEW), ("ES.1", _OLD)),
    (_number(wa_id=_NEW, user_id="ES.2", previous_user_id="ES.1"), (), ("ES.2", _NEW), ("ES.1",)),
    (_number(wa_id=_NEW), (), (_NEW,), ()),
    (_number(), (_OLD,), (_OLD,), ()),
    (_number("User Ana changed their number", wa_id=_NEW), (_OLD,), (_NEW,), (_OLD,)),
    (_id(user_id="ES.2", previous_user_id="ES.1"), (), ("ES.2",), ("ES.1",)),
    (_id(user_id="ES.2"), ("ES.1",), ("ES.2",), ("ES.1",)),
    (_id(user_id="ES.2"), (_OLD,), ("ES.2",), (_OLD,)),
    (_id(user_id="ES.2", wa_id=_OLD), (), ("ES.2",), (_OLD,)),
    (_id(user_id="ES.2", previous_user_id="ES.1"), (_OLD,), ("ES.2", _OLD), ("ES.1",)),
    (_id(user_id={"previous": "ES.1", "current": "ES.2"}), (), ("ES.2",), ("ES.1",)),
    (_id(user_id="ES.2", previous_user_id="ES.2"), (_OLD,), ("ES.2",), (_OLD,)),
    ({"type": "customer_identity_changed", "wa_id": _OLD}, (), (_OLD,), ()),
    ({"type": "customer_identity_changed"}, (_OLD, "ES.1"), ("ES.1", _OLD), ()),
    ({"type": 7, "wa_id": _OLD}, ("ES.1",), ("ES.1", _OLD), ()),
]


@pytest.mark.parametrize(("notice", "named", "now", "before"), _TABLE)
def test_a_notice_says_which_handles_a_person_has_and_had(
    notice: dict[str, Any], named: tuple[str, ...], now: tuple[str, ...], before: tuple[str, ...]
) -> None:
    assert changed_handles(notice, _of(*named), notice.get("body")) == (_of(*now), _of(*before))


@pytest.mark.parametrize(
    "name",
    [
        "Bob changed from 34999000111 to 34700111222",
        "34999000111 to 34700111222",
        "Bob 34999000111",
        "Bob (from ES.VICTIM to ES.2)",
        "to 34999000111\nUser Eve",
    ],
)
def test_a_name_names_nobody(name: str) -> None:
    body = f"User {name} changed from {_OLD} to {_NEW}"

    assert changed_handles(_number(body, wa_id=_NEW), (), body) == (_of(_NEW), _of(_OLD))


def test_a_name_alone_at_the_end_must_agree_with_what_is_stated() -> None:
    body = "The number was changed by 34999000111 to 34999000222"

    assert changed_handles(_number(body, wa_id=_NEW), _of(_OLD), body) == (_of(_NEW), _of(_OLD))


def test_a_very_long_sentence_is_read_in_no_time() -> None:
    body = "1 " * 30_000

    assert changed_handles(_number(body, wa_id=_NEW), _of(_OLD), body) == (_of(_NEW), _of(_OLD))


def test_handles_that_look_like_neither_stay_as_they_are() -> None:
    assert bsuid("ES.1") == handle("ES.1")
