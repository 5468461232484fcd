"""What the benches read of processes."""

from __future__ import annotations

import pytest

from bench import processes


def _line(pid: int, name: str, parent: int, ticks: tuple[int, int, int, int]) -> str:
    return f"{pid} ({name}) S {parent} 1 1 0 -1 4194560 100 200 0 0 {' '.join(map(str, ticks))} 20 0 3 0 1234 5678 90"


def test_a_process_is_read_with_the_children_it_has_waited_for() -> None:
    assert processes.stat(_line(42, "python3.11", 7, (100, 20, 3, 4))) == processes.Stat(42, 7, 120, 127)


@pytest.mark.parametrize("name", ["tmux: server", "a) S 1 (b", "((sd-pam))", "Web Content"])
def test_a_name_with_blanks_and_brackets_moves_no_field(name: str) -> None:
    assert processes.stat(_line(42, name, 7, (1, 2, 3, 4))) == processes.Stat(42, 7, 3, 10)


@pytest.mark.parametrize(
    ("rollup", "kb"),
    [
        (
            "00400000-7ffe000 ---p 00000000 00:00 0  [rollup]\nRss:  9000 kB\nPss:      4321 kB\nPss_Dirty:  4000 kB\nSwapPss:   7 kB\n",
            4321,
        ),
        ("", 0),
        ("Rss: 10 kB\nPss_Anon: 5 kB\n", 0),
    ],
)
def test_memory_is_the_proportional_one(rollup: str, kb: int) -> None:
    assert processes.pss_kb(rollup) == kb


def test_a_tree_is_everybody_below_and_nobody_beside() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 13: 10, 20: 1, 21: 20}

    assert set(processes.descendants([10], parents)) == {10, 11, 12, 13}
    assert set(processes.descendants([10, 21], parents)) == {10, 11, 12, 13, 21}
    assert processes.descendants([99], parents) == []


def test_two_roots_of_which_one_is_below_the_other_count_once() -> None:
    assert sorted(processes.descendants([10, 12], {1: 0, 10: 1, 11: 10, 12: 11})) == [10, 11, 12]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("/usr/bin/python -m celery -A workers.app worker --pool threads", "worker"),
        ("/usr/bin/python -m bots.web", "web"),
        ("postgres: /tmp/a: b/postgres: chinwag_crossing chinwag [local] idle", "Postgres: crossing"),
        ("postgres: /tmp/x/postgres: chinwag_crossing chinwag [local] idle", "Postgres: crossing"),
        ("postgres: /tmp/x/postgres: io worker 0", "Postgres: io"),
        ("/x/pginstall18/bin/postgres -D /tmp/data", "Postgres"),
        ("/x/nothing-known --flag", "nothing-known"),
    ],
)
def test_each_process_of_ours_belongs_to_a_part(line: str, part: str) -> None:
    assert processes.part_of(line) == part


def test_quiet_is_next_to_nothing_twice() -> None:
    read = iter([0.0, 0.5, 0.5001, 1.2, 1.2, 1.2001, 9.0])
    processes.wait_quiet(lambda: next(read), look_s=0.01)

    assert list(read) == [9.0]


def test_who_is_never_quiet_is_waited_for_no_longer_than_told() -> None:
    read = iter(range(1000))
    processes.wait_quiet(lambda: float(next(read)), at_most_s=0.0)

    assert next(read) == 1
