"""`chinwag account` against a running service: the wizard's checks, words and functions, for each channel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import forked
from tests.support.cluster import Cluster
from tests.support.stack import Stack
from tests.support.wizard import a_form


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("commands"))) as running:
        running.settles = False
        running.register_number(app_id="100200300400777")
        running.start_web()
        yield running


def _run(stack: Stack, *arguments: str) -> tuple[int, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("CHINWAG_")} | stack.env
    return forked.said("chinwag", "account", *arguments, env=env)


def _ids(kind: str, form: dict[str, str]) -> list[str]:
    ids = ["--app-id", form["app_id"]]
    if kind == "whatsapp":
        return [*ids, "--phone-number-id", form["external_id"], "--waba-id", form["parent_id"]]
    if kind == "messenger":
        return [*ids, "--channel", "messenger", "--page-id", form["external_id"]]
    ids += ["--channel", "instagram"]
    return [*ids, "--page-id", form["parent_id"]] if kind == "instagram" else [*ids, "--login-type", "login"]


def _files(folder: Path, form: dict[str, str]) -> list[str]:
    found: list[str] = []
    for name in ("app_secret", "access_token"):
        (folder / name).write_text(form[name] + "\n")
        found += [f"--{name.replace('_', '-')}-file", str(folder / name)]
    return found


@pytest.mark.parametrize("kind", ["whatsapp", "messenger", "instagram", "instagram_login"])
def test_an_account_of_each_channel_is_connected_checked_and_erased(served: Stack, tmp_path: Path, kind: str) -> None:
    form, channel = a_form(served, kind), ["--channel", kind.removesuffix("_login")]
    name = kind.replace("_", "-")

    code, said = _run(served, "add", name, "--bot", "tester", *_ids(kind, form), *_files(tmp_path, form))

    assert code == 0, said
    assert form["access_token"] not in said
    assert ("Verify token:" in said) == (kind == "instagram_login")
    code, said = _run(served, "check", name, *channel)
    assert code == 0, said
    assert "the platform" in said.lower()
    assert _run(served, "health", name, *channel)[0] == 0
    assert name in _run(served, "list")[1]
    assert _run(served, "pause", name, *channel) == (0, f"{name}: paused\n")
    assert _run(served, "remove", name, *channel, "--yes")[0] == 0
    assert _run(served, "check", name, *channel)[0] == 2


def test_a_wrong_value_ends_the_command_with_the_words_of_the_wizard(served: Stack, tmp_path: Path) -> None:
    form = a_form(served, "whatsapp")
    phone = served.platform.world()["whatsapp"]["display_phone_number"]

    code, said = _run(served, "add", "wrong", "--bot", "tester", *_ids("whatsapp", form | {"external_id": phone}), *_files(tmp_path, form))

    assert code == 2
    assert f"The id of this number is {form['external_id']}" in said
    assert served.one("select count(*) from accounts where name = 'wrong'") == 0


def test_a_new_secret_that_is_not_checked_replaces_the_old_one_and_is_in_the_audit(served: Stack, tmp_path: Path) -> None:
    form = a_form(served, "messenger")
    code, said = _run(served, "add", "turned", "--bot", "tester", *_ids("messenger", form), *_files(tmp_path, form))
    assert code == 0, said
    (tmp_path / "new").write_text("f" * 32)

    checked = _run(served, "rotate", "turned", "--channel", "messenger", "--app-secret-file", str(tmp_path / "new"))
    unchecked = _run(served, "rotate", "turned", "--channel", "messenger", "--app-secret-file", str(tmp_path / "new"), "--unchecked")

    assert (checked[0], "does not belong to app" in checked[1]) == (2, True)
    assert unchecked == (0, "turned: rotated\n")
    assert served.one("select app_secret_before is not null from accounts where name = 'turned'")
    details = [row["detail"] for row in served.rows("select detail from audit where action = 'account.rotate'")]
    assert details == [{"secrets": ["app_secret"]}]
    assert _run(served, "remove", "turned", "--channel", "messenger", "--yes")[0] == 0
