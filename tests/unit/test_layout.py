"""The rules of this repository that a machine can check: lengths of files, names, and what may be used in which files."""

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
    "torch": {
        "inference/engines/cpu_amx.py",
        "inference/engines/cpu_experts.py",
        "inference/engines/torchvision_ops.py",
        "chinwag/local/convert.py",
    },
    "transformers": {"chinwag/local/convert.py"},
    "vllm": {
        "inference/engines/vllm.py",
        "inference/engines/cpu_amx.py",
        "inference/engines/cpu_experts.py",
        "inference/engines/cpu_linear.py",
    },
    "xllamacpp": {"inference/engines/llamacpp.py"},
}
_HTTP_CLIENTS = {"httpx", "requests", "urllib3", "aiohttp", "urllib.request", "http.client"}
#: The files and folders that may call other services over HTTP.
_HTTP_PLACES = (
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
#: Besides storage: the commands that create roles, tenants and the embedded database, before storage can be used.
_SQL_PLACES = ("bots/storage/", "chinwag/cli/migrate.py", "chinwag/local/postgres.py")
#: Where a process starts, and commands that a person runs in a shell. Everything else gets its settings as arguments.
_ENVIRONMENT_PLACES = (
    "/__main__.py",
    "workers/app.py",
    "workers/dispatch.py",
    "workers/gpu.py",
    "inference/embed_server.py",
    "chinwag/",
)
#: The places that may catch any error, one handler each, and why they may.
_BROAD_EXCEPTS = {
    "bots/extract/edits.py:stated": "extracting memories must never prevent an answer",
    "bots/storage/together.py:_lead": "whoever was in a transaction that failed raises its error in a thread of their own",
    "chinwag/local/forks.py:_run_part": "a fork ends where its part ends, and says why: it must not go on in the code of its parent",
    "chinwag/local/better.py:_fetch": "whatever stops the fetch of a better model, one line says so and the first one goes on answering",
    "workers/app.py:_start": "Celery swallows what a signal raises, and the worker would go on running without work",
    "workers/deliver.py:send": "after an error of our own it is not known whether the message left, and that is recorded",
    "chinwag/local/voice.py:_prepare": "whatever stops the fetch of what hears voice messages, one line says so and everything else goes on",
    "workers/leased_work.py:run": "an error of our own costs one turn, item or summary one try, and the worker goes on",
    "workers/process.py:_keep_trying": "the threads that keep leases and heartbeat alive survive every error",
    "wire/listener.py:_receive": "what a reader raises is raised again in the thread that waits for it; the listener reads on for the others",
    "workers/typing.py:_run": "a channel's error must not end the thread that shows all contacts' typing indicators",
}
#: Class names that once meant several things each.
_HOMONYMS = {"Desk", "Unfit", "Seat", "Standing", "Room", "Kept", "Door", "Doors"}
#: Class names that several packages use, each in its own sense, and why that confuses nobody: hardly any module imports two of them.
_SHARED_CLASS_NAMES = {
    "Account": "ours, and the same account on the practice platform's side",
    "Answer": "of the Graph API, of an operator over our API, and of a model",
    "Asking": "how a comparison asks its turns, and an engine that is asked over HTTP",
    "Channel": "the protocol that every platform implements, and the command line's choice of one",
    "Child": "a child process: of the local stack, and of an engine's worker",
    "Command": "typed by a contact, and the arguments of `vllm serve`",
    "Cost": "of a conversation, and of a thousand replies in a plan",
    "Deps": "the dependencies of use cases, and of a worker process",
    "Endpoint": "as the API shows it, and as the model client calls it",
    "Entry": "of the audit trail, of a conversation's page, and of the scripted model's log",
    "Exchange": "a question and its answer: exported, and over the scripted model's HTTP",
    "Figures": "of the home page, and of an endpoint in a comparison",
    "Layout": "of a model over GPUs, and of a prompt",
    "Offer": "an account to connect, and a hosted model with its price",
    "Page": "of a list, and of Facebook",
    "Part": "of an answer, of the local stack, and of a message to the scripted model",
    "Pictures": "of the practice platform, and of a turn",
    "Progress": "of an engine's start, and of a streamed answer",
    "Reason": "why something needs attention, and why an engine ended",
    "Reply": "of the set-up API, and of a model",
    "Said": "a message to the chat page, and a completion that the probe got",
    "Script": "what the practice platform and the scripted model do on demand",
    "Step": "of a turn, and of an engine's start",
    "Taken": "a trial's message that was stored, and one that the practice platform accepted",
    "Told": "the facts in a contact's message, and the part of the history in a prompt",
    "Usage": "of a month, and of one model call",
    "Webhooks": "received by the service, and sent by the practice platform",
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
    """What is imported by a name in a string: packages that only some environments have."""
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


def _offenders(paths: list[Path], places: tuple[str, ...]) -> Iterator[Path]:
    for path in paths:
        if not any(_name(path).startswith(place) or _name(path).endswith(place) for place in places):
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


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [_name(path) for path in _ALL if path.stem in {"utils", "util", "helpers", "common", "misc", "manager", "base_service"}] == []


def _classes(path: Path) -> Iterator[str]:
    yield from (node.name for node in _nodes(path) if isinstance(node, ast.ClassDef))


def test_no_class_has_a_name_that_once_meant_several_things() -> None:
    found = [f"{_name(path)}: {name}" for path in _ALL for name in _classes(path) if name in _HOMONYMS]

    assert found == [], "choose a word that says what it is: docs/glossary.md lists those in use"


def test_a_class_name_of_two_packages_is_listed_with_a_reason() -> None:
    packages: dict[str, set[str]] = {}
    for path in _OURS:
        for name in _classes(path):
            packages.setdefault(name, set()).add(_name(path).split("/")[0])
    shared = {name for name, where in packages.items() if len(where) > 1 and not name.startswith("_")}

    assert shared == set(_SHARED_CLASS_NAMES), "choose another name (docs/glossary.md lists the words in use), or list it with its reason"


@pytest.mark.parametrize("package", sorted(_ENGINES))
def test_an_engine_is_imported_in_the_files_made_for_it(package: str) -> None:
    importers = [_name(path) for path in _OURS if any(name.split(".")[0] == package for name in (*_imports(path), *_named_imports(path)))]

    assert set(importers) <= _ENGINES[package]


def test_sql_stands_in_storage_alone() -> None:
    found = [_name(path) for path in _offenders(_OURS, _SQL_PLACES) if any(_SQL.search(text) for text in _strings(path))]

    assert found == []


def test_http_clients_are_imported_in_the_named_places_only() -> None:
    found = [_name(path) for path in _offenders(_OURS, _HTTP_PLACES) if not _HTTP_CLIENTS.isdisjoint(_imports(path))]

    assert found == []


def test_the_environment_is_read_where_a_process_begins() -> None:
    assert [_name(path) for path in _offenders(_OURS, _ENVIRONMENT_PLACES) if _reads_environment(path)] == []


def _swallows_everything(node: ast.AST) -> bool:
    """A handler of any error that does not end by raising it again."""
    if not isinstance(node, ast.ExceptHandler) or (node.body and isinstance(node.body[-1], ast.Raise)):
        return False
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(one is None or (isinstance(one, ast.Name) and one.id in {"Exception", "BaseException"}) for one in caught)


def _broad_excepts(path: Path) -> Iterator[str]:
    """Each handler that swallows any error, by the function that contains it."""

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


def test_compose_publishes_two_ports_on_loopback_and_nothing_else() -> None:
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
