"""`chinwag operator` and the versions of `chinwag bot`, as commands of their own process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import forked
from tests.support.cluster import Cluster
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("commands"))) as running:
        running.settles = False
        running.start_web()
        yield running


def _chinwag(stack: Stack, *arguments: str) -> tuple[int, str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(stack.folder), **stack.env}
    return forked.said("chinwag", *arguments, env=env)


def test_operators_are_added_changed_and_disabled_by_commands(served: Stack) -> None:
    code, link = _chinwag(served, "operator", "add", "ana", "--role", "owner")
    assert (code, link.startswith(f"{served.web_url}/admin/enter?token=")) == (0, True)
    assert served.http.get(link.strip()).status_code == 200
    assert _chinwag(served, "operator", "add", "ana")[0] == 2
    assert _chinwag(served, "operator", "add", "bea", "--role", "emperor")[0] == 2

    assert _chinwag(served, "operator", "role", "ana", "viewer") == (2, "There must always be an owner.\n")
    assert _chinwag(served, "operator", "disable", "ana") == (2, "There must always be an owner.\n")
    _chinwag(served, "operator", "add", "bea")
    assert _chinwag(served, "operator", "role", "bea", "agent") == (0, "The role of bea is agent now.\n")
    assert _chinwag(served, "operator", "disable", "bea")[0] == 0
    assert _chinwag(served, "operator", "link", "bea")[0] == 2
    assert _chinwag(served, "operator", "disable", "bea", "--undo")[0] == 0
    assert "/admin/enter?token=" in _chinwag(served, "operator", "link", "bea")[1]
    assert "bea  agent  no password yet  last sign-in never" in _chinwag(served, "operator", "list")[1]
    assert _chinwag(served, "operator", "role", "nobody", "agent")[0] == 2

    actions = [
        row["action"] for row in served.rows("select action from audit where actor = 'cli' and action like 'operator.%' order by at")
    ]
    assert actions == ["operator.add", "operator.add", "operator.role", "operator.disable", "operator.enable", "operator.link"]


@pytest.mark.parametrize("missing", ["CHINWAG_WEB_DATABASE_URL", "CHINWAG_CROSSING_DATABASE_URL"])
def test_a_command_without_a_database_address_names_it_in_one_line(served: Stack, missing: str) -> None:
    env = {name: value for name, value in served.env.items() if name != missing}

    code, said = forked.said("chinwag", "operator", "list", env={"PATH": os.environ["PATH"], "HOME": str(served.folder), **env})

    assert (code, missing in said, said.count("\n")) == (2, True, 1)


def test_a_bots_versions_are_listed_compared_published_and_rolled_back_by_commands(served: Stack, tmp_path: Path) -> None:
    for words in ("You are kind.\n", "You are kind.\nAnd brief.\n"):
        (tmp_path / "persona.txt").write_text(words)
        code, said = _chinwag(served, "bot", "set", "clinic", "--persona", str(tmp_path / "persona.txt"), "--language", "pt")
        assert code == 0, said

    assert _chinwag(served, "bot", "rollback", "clinic", "1") == (0, "clinic: version 1 answers again\n")
    code, listed = _chinwag(served, "bot", "versions", "clinic")
    assert [line.split()[:2] for line in listed.splitlines()] == [["2", "draft"], ["1", "published"]]
    assert "+And brief." in _chinwag(served, "bot", "diff", "clinic")[1].splitlines()
    assert _chinwag(served, "bot", "rollback", "clinic", "2")[0] == 2
    assert _chinwag(served, "bot", "publish", "clinic") == (0, "clinic: version 2 answers from now on\n")
    assert _chinwag(served, "bot", "publish", "clinic", "9") == (2, "There is no such version.\n")
    assert '"language": "pt"' in _chinwag(served, "bot", "show", "clinic", "--json")[1]
    assert _chinwag(served, "bot", "remove", "tester")[0] == 2
    assert _chinwag(served, "bot", "remove", "clinic") == (0, "clinic is removed\n")
