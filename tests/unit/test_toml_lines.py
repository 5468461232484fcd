"""The line of every key of a TOML file, however oddly it is written."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from inference.catalog.toml_lines import find_lines

_ODD_TOML = '''\
"a b".c = 1 # [x]
d = { e = [1, { f = 2 }], "g.h" = 3 }
i = """
j = 4
[k]
""" # and
l = [
  # [m]
  1, [2,
  3], """n = "5" """"",
  { o = 6 },
]
p = 'its'  # 'quoted
[q.r]
s.t = 7
[[u]]
v = 1
[[u]]
v = """\\""""
[[u.w]]
x = 1979-05-27 07:32:00
[[u.w]]
x = 2
[u.y]
z = 8
[q]
aa = """a"""""
'''


def _paths(value: object, at: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return {at} | {path for key, one in inner for path in _paths(one, (*at, key))}


def test_every_key_of_odd_toml_has_its_line() -> None:
    lines = find_lines(_ODD_TOML)
    places = {
        ("a b", "c"): 1, ("d", "e", 1, "f"): 2, ("d", "g.h"): 2, ("i",): 3, ("l",): 7, ("l", 0): 9, ("l", 1): 9, ("l", 1, 1): 10,
        ("l", 2): 10, ("l", 3, "o"): 11, ("p",): 13, ("q", "r"): 14, ("q", "r", "s", "t"): 15, ("u", 0): 16, ("u", 0, "v"): 17, ("u", 1): 18,
        ("u", 1, "w", 0, "x"): 21, ("u", 1, "w", 1): 22, ("u", 1, "w", 1, "x"): 23, ("u", 1, "y", "z"): 25, ("q",): 26, ("q", "aa"): 27,
    }  # fmt: skip

    assert {path: lines.of(path) for path in places} == places
    assert _paths(tomllib.loads(_ODD_TOML)) - {()} == set(lines.known)


@given(st.text(alphabet="ab1.=[]{}\"'#,\n \\", max_size=60))
def test_any_valid_toml_is_scanned_to_its_end(text: str) -> None:
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return

    assert _paths(values) - {()} <= set(find_lines(text).known)
