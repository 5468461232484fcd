"""The house rules that a machine can check: lengths of files, and what may stand in which room."""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

_ROOT = Path(__file__).parents[2]
_PRODUCT = ("bots", "chinwag", "inference", "wire", "workers")
_MOST_LINES = 400
#: Engines are imported lazily, each in its own file; convert.py is run by the engine environment's own Python.
_ENGINES = {
    "torch": {"inference/engines/cpu_experts.py", "inference/engines/torchvision_ops.py", "chinwag/local/convert.py"},
    "transformers": {"chinwag/local/convert.py"},
    "vllm": {"inference/engines/vllm.py", "inference/engines/cpu_experts.py"},
    "xllamacpp": {"inference/engines/llamacpp.py"},
}
_HTTP_CLIENTS = {"httpx", "requests", "urllib3", "aiohttp", "urllib.request", "http.client"}
#: Rooms that speak HTTP to the outside (style, section 2).
_HTTP_ROOMS = (
    "bots/channels/graph",
    "bots/channels/media",
    "inference/client/client",
    "inference/client/transport",
    "inference/embed",
    "inference/engines/",
    "wire/",
    "chinwag/",
)
_SQL = re.compile(
    r"^\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|(create|alter|drop)\s+(table|role|index|policy|function|schema)\s|with\s+\w+\s+as\s*\()",
    re.IGNORECASE | re.DOTALL,
)
#: Besides storage: the owner's commands that make roles, tenants and the embedded database, before storage can be spoken to.
_SQL_ROOMS = ("bots/storage/", "chinwag/cli/migrate.py", "chinwag/local/postgres.py")
#: Where a process begins, or a person's own shell is asked; everything else is told.
_ENVIRONMENT_ROOMS = (
    "/__main__.py",
    "workers/app.py",
    "workers/dispatch.py",
    "workers/gpu.py",
    "inference/embed_server.py",
    "chinwag/",
)
#: The places that may catch any error, one handler each, and why they may.
_BROAD_EXCEPTS = {
    "workers/app.py:_start": "Celery swallows what a signal raises, and the worker would live on without work",
    "workers/deliver.py:send": "after an error of our own it is not known whether the message left, and that is recorded",
    "workers/leased_work.py:run": "an error of our own costs one turn, item or summary a try, and the worker goes on",
    "workers/process.py:_keep_trying": "the threads that keep leases and heartbeat alive survive every error",
    "workers/turn/claimed.py:_extracted": "what is remembered never costs the answer",
    "workers/typing.py:_run": "a channel's error must not end the thread that shows all contacts' typing indicators",
}
_REGISTRIES = re.compile(r"\b(pypi|npmjs|pythonhosted|yarnpkg|crates|anaconda)\.(org|com|io)\b|registry\.npmjs|/root/|/work/")
_PROCESSES = {
    "migrate": "python -m chinwag migrate",
    "web": "python -m bots.web",
    "hooks": "python -m bots.web",
    "worker": "python -m celery -A workers.app worker --pool threads --concurrency ${CHINWAG_WORKER_SLOTS:-64} --queues ${WORKER_QUEUES:-reply.default,deliver,batch.default} --without-gossip --without-mingle --loglevel warning",
    "dispatcher": "python -m workers.dispatch",
    "gpu-worker": "python -m workers.gpu --profile default --engine ${ENGINE_ID:-one} --attach http://engine:8000 --name ${CHINWAG_MODEL_NAME:-default} --slots ${ENGINE_SLOTS:-128} --copies ${ENGINE_COPIES:-1}",
}  # fmt: skip


def _files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (_ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


_ALL = _files(*_PRODUCT, "bench", "migrations", "tests")
_OURS = _files(*_PRODUCT)
_SQL_FILES = sorted(path for folder in ("bots/storage/sql", "migrations/sql") for path in (_ROOT / folder).rglob("*.sql"))


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@functools.cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of a file's nodes: each rule looks at them."""
    return tuple(ast.walk(_tree(path)))


def _imports(path: Path) -> Iterator[str]:
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _named_imports(path: Path) -> Iterator[str]:
    """What is imported by a name in a string, as packages are that only some environments have."""
    for node in _nodes(path):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (given.value for given in node.args if isinstance(given, ast.Constant) and isinstance(given.value, str))


def _docstrings(path: Path) -> set[int]:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = (node.body[0] for node in _nodes(path) if isinstance(node, owners) and node.body)
    return {id(first.value) for first in found if isinstance(first, ast.Expr)}


def _strings(path: Path) -> Iterator[str]:
    skipped = _docstrings(path)
    for node in _nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


def _reads_environment(path: Path) -> bool:
    for node in _nodes(path):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in {"environ", "getenv", "environb"}
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
        ):
            return True
    return any(name in {"os.environ", "os.getenv"} for name in _imports(path))


def _annotates(path: Path) -> bool:
    return any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.AnnAssign)) for node in _nodes(path))


def _offenders(paths: list[Path], rooms: tuple[str, ...]) -> Iterator[Path]:
    for path in paths:
        if not any(_name(path).startswith(room) or _name(path).endswith(room) for room in rooms):
            yield path


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    everything = (*_ALL, *_SQL_FILES)
    too_long = {_name(path): lines for path in everything if (lines := len(path.read_text("utf-8").splitlines())) > _MOST_LINES}

    assert len(_SQL_FILES) > 50
    assert too_long == {}


def test_every_table_and_function_at_head_says_what_it_promises() -> None:
    made = [
        (before, line)
        for path in _SQL_FILES
        if path.is_relative_to(_ROOT / "bots")
        for before, line in itertools.pairwise(path.read_text("utf-8").splitlines())
        if re.match(r"create (function|table|unlogged table) ", line) and " partition of " not in line
    ]

    assert len(made) > 80
    assert [line for before, line in made if not before.startswith("-- ")] == []


def test_no_file_is_called_after_a_noun_that_was_not_found() -> None:
    assert [_name(path) for path in _ALL if path.stem in {"utils", "util", "helpers", "common", "misc", "manager", "base_service"}] == []


@pytest.mark.parametrize("package", sorted(_ENGINES))
def test_an_engine_is_imported_in_the_files_made_for_it(package: str) -> None:
    importers = [_name(path) for path in _OURS if any(name.split(".")[0] == package for name in (*_imports(path), *_named_imports(path)))]

    assert set(importers) <= _ENGINES[package]


def test_sql_stands_in_storage_alone() -> None:
    found = [_name(path) for path in _offenders(_OURS, _SQL_ROOMS) if any(_SQL.search(text) for text in _strings(path))]

    assert found == []


def test_http_goes_out_in_the_rooms_made_for_it() -> None:
    found = [_name(path) for path in _offenders(_OURS, _HTTP_ROOMS) if not _HTTP_CLIENTS.isdisjoint(_imports(path))]

    assert found == []


def test_the_environment_is_read_where_a_process_begins() -> None:
    assert [_name(path) for path in _offenders(_OURS, _ENVIRONMENT_ROOMS) if _reads_environment(path)] == []


def _swallows_everything(node: ast.AST) -> bool:
    """A handler of any error that does not end by raising it again."""
    if not isinstance(node, ast.ExceptHandler) or (node.body and isinstance(node.body[-1], ast.Raise)):
        return False
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(one is None or (isinstance(one, ast.Name) and one.id in {"Exception", "BaseException"}) for one in caught)


def _broad_excepts(path: Path) -> Iterator[str]:
    """Each handler that swallows any error, by the function that it stands in."""

    def within(node: ast.AST, function: str) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if _swallows_everything(node):
            yield f"{_name(path)}:{function}"
        for child in ast.iter_child_nodes(node):
            yield from within(child, function)

    yield from within(_tree(path), "")


def test_broad_excepts_stand_in_the_named_places_only() -> None:
    assert sorted(place for path in _OURS for place in _broad_excepts(path)) == sorted(_BROAD_EXCEPTS)


def test_every_module_says_what_it_owns_and_postpones_its_annotations() -> None:
    silent = [_name(path) for path in _OURS if _tree(path).body and not ast.get_docstring(_tree(path))]
    eager = [_name(path) for path in _OURS if _annotates(path) and "from __future__ import annotations" not in path.read_text("utf-8")]

    assert (silent, eager) == ([], [])


def test_no_file_names_a_registry_or_somebodys_machine() -> None:
    texts = [
        *_files(*_PRODUCT),
        *(_ROOT / "docs").rglob("*.md"),
        *_ROOT.glob("*.md"),
        *(_ROOT / name for name in ("Makefile", "pyproject.toml", "compose.yaml", "Dockerfile")),
    ]

    assert [_name(path) for path in texts if path.exists() and _REGISTRIES.search(path.read_text("utf-8"))] == []


def test_compose_starts_the_same_processes_as_everybody_else() -> None:
    services = yaml.safe_load((_ROOT / "compose.yaml").read_text("utf-8"))["services"]

    assert {name: " ".join(services[name]["command"]) for name in _PROCESSES} == _PROCESSES


def test_compose_publishes_two_doors_on_loopback_and_nothing_else() -> None:
    services = yaml.safe_load((_ROOT / "compose.yaml").read_text("utf-8"))["services"]

    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "web": ["${PUBLISH_ADMIN:-127.0.0.1:8080}:8080"],
        "hooks": ["${PUBLISH_HOOKS:-127.0.0.1:8081}:8081"],
    }


def test_every_promise_names_a_test_that_exists_or_is_planned() -> None:
    rows = [line for line in (_ROOT / "docs" / "guarantees.md").read_text("utf-8").splitlines() if re.match(r"\| (G\d+)? *\|", line)]
    missing = [name for row in rows for name in re.findall(r"`(tests/[^`]+\.py)`", row) if not (_ROOT / name).exists()]

    assert len(rows) > 10
    assert all("`tests/" in row or row.endswith("| planned |") for row in rows if row.startswith("| G"))
    assert missing == []
