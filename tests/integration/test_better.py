"""A better model behind the one that answers: fetched from a hub, started, put first while people write; and what goes wrong on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest

from bots.crypto import Keyring
from bots.settings import Settings
from bots.storage import endpoints, tenants
from bots.storage.endpoints import EndpointRow, Form
from chinwag.local import models
from chinwag.local.better import Better
from chinwag.local.models import ChatModel, ModelFile
from chinwag.local.own_endpoints import FIRST, SMALL, OwnEndpoints, Served
from chinwag.local.processes import start
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from chinwag.local.supervisor import Part, Supervisor
from inference.engines.asking import Asking
from inference.engines.llamacpp import command_of
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.hub import BYTES, NAME, Hub, running_hub
from tests.support.model_servers import tiny_model
from tests.support.stack import Stack, a_free_port

_KNOWN = {"context": 512, "json_schema": True}


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Iterator[Stack]:
    """A service whose own model is the scripted one."""
    with Stack(cluster, tmp_path, settings={"CHINWAG_DEBOUNCE_S": "0", "CHINWAG_ANSWER_TOKENS": "16"}) as running:
        running.settles = False
        yield running


@dataclass
class _Machine:
    """The better model's part of a local stack, beside a service."""

    stack: Stack
    folder: Path
    out: StringIO = field(default_factory=StringIO)

    def __post_init__(self) -> None:
        self.report = Report(self.out)
        self.supervisor = Supervisor(self.report)
        self.endpoints = OwnEndpoints(Settings.from_env(self.stack.env))
        self.first = Served(url=f"{self.stack.model.url}/v1", model="scripted", traits=_KNOWN)

    def better(self, hub: Hub, *, serve: Callable[[ChatModel], tuple[Part, Served]] | None = None) -> Better:
        """Begin to fetch the hub's file, and settle the endpoints as a start does."""
        settings = LocalSettings(model=NAME, cache=self.folder / "cache", hub_url=hub.url)
        return self.start(models.wanted(settings), serve=serve)

    def start(self, file: ModelFile, *, serve: Callable[[ChatModel], tuple[Part, Served]] | None = None) -> Better:
        """The same with any file."""
        self.endpoints.settle(self.first)
        made = Better(
            file,
            first=self.first,
            serve=serve or self._serve,
            endpoints=self.endpoints,
            supervisor=self.supervisor,
            report=self.report,
        )
        made.begin()
        return made

    def tick_until(self, better: Better, done: Callable[[], object], *, within_s: float = 60) -> None:
        """Go on as `make run` does."""
        end = time.monotonic() + within_s
        while not done():
            assert time.monotonic() < end, self.out.getvalue()
            self.supervisor.tick()
            better.tick()
            time.sleep(0.05)

    def profile(self) -> list[EndpointRow]:
        """The endpoints of the profile `default`, in order."""
        with self.stack.engine("web").connect() as connection:
            return [row for _, row in endpoints.profiles(connection, tenants.default(connection)).get("default", ())]

    def arrange(self, *names: str) -> None:
        """Arrange the profile as an operator does, with a hosted endpoint of that name."""
        keyring = Keyring.from_settings(Settings.from_env(self.stack.env))
        with self.stack.engine("web").begin() as connection:
            tenant = tenants.default(connection)
            for name in names:
                if endpoints.get(connection, tenant=tenant, name=name) is None:
                    endpoints.add(connection, keyring, tenant=tenant, form=Form(name=name, url="https://models.example/v1", model="big"))
            rows = [endpoints.get(connection, tenant=tenant, name=name) for name in names]
            endpoints.set_profile(connection, tenant, "default", [(n, row.id) for n, row in enumerate(rows) if row is not None])

    def remove(self, name: str) -> None:
        """Remove an endpoint as an operator does."""
        with self.stack.engine("web").begin() as connection:
            endpoints.remove(connection, tenant=tenants.default(connection), name=name)

    def _serve(self, model: ChatModel) -> tuple[Part, Served]:
        port = a_free_port()
        asking = Asking(f"http://127.0.0.1:{port}")
        command = command_of(model.path, alias="better", port=port, more=["--ctx", "512"])
        part = Part(
            name="Better model",
            start=lambda: start(command, name="Better model", log=self.folder / "better.log"),
            ready=lambda: asking.health() == 200,
        )
        return self.supervisor.launch(part), Served(url=f"http://127.0.0.1:{port}/v1", model="better", traits=_KNOWN)


@pytest.fixture
def machine(service: Stack, tmp_path: Path) -> Iterator[_Machine]:
    made = _Machine(service, tmp_path)
    yield made
    made.supervisor.stop()


def _answered_by(stack: Stack, person: build.Person, words: str) -> str:
    """Say something, and return the model whose answer the person got."""
    before = stack.one("select count(*) from model_calls where outcome = 'ok'")
    stack.say(person, words)
    stack.wait_settled(60)
    calls = stack.rows("select model from model_calls where outcome = 'ok' order by created_at")
    assert len(calls) == before + 1
    return calls[-1]["model"]


def test_the_better_model_takes_over_without_a_restart_and_the_first_answers_while_it_is_gone(machine: _Machine) -> None:
    stack, person = machine.stack, build.a_person()
    stack.start_web()
    stack.start_dispatcher()
    with running_hub(tiny_model().path.read_bytes()) as hub:
        hub.go_on.clear()
        better = machine.better(hub)
        stack.start_worker()
        machine.tick_until(better, lambda: better.percent >= 49)
        meanwhile, words = _answered_by(stack, person, "Hello"), better.words
        hub.go_on.set()
        machine.tick_until(better, lambda: better.is_first)
    # A worker reads the profiles again every two seconds.
    afterwards = ""
    end = time.monotonic() + 30
    while afterwards != "better" and time.monotonic() < end:
        afterwards = _answered_by(stack, person, "And now?")
    (part,) = machine.supervisor.parts
    assert part.child is not None
    part.child.process.kill()
    part.child.process.wait()
    gone = _answered_by(stack, person, "Still there?")
    machine.tick_until(better, lambda: part.restarts == 1 and part.ready())

    assert (meanwhile, afterwards, gone) == ("scripted", "better", "scripted")
    assert words.startswith("A better one is being fetched (")
    assert [(row.name, row.model, dict(row.traits)) for row in machine.profile()] == [
        (FIRST, "better", _KNOWN),
        (SMALL, "scripted", _KNOWN),
    ]
    assert [row.probe_at for row in machine.profile()] == [None, None]
    assert "better answers from now on, and scripted where it cannot." in machine.out.getvalue()
    assert better.words == ""


def test_a_fetch_that_fails_leaves_the_first_model_alone_says_so_once_and_is_resumed_by_the_next_start(machine: _Machine) -> None:
    with running_hub(tiny_model().path.read_bytes()) as hub:
        hub.fails_after = 1_000_000
        better = machine.better(hub)
        machine.tick_until(better, lambda: "goes on answering" in machine.out.getvalue())
        lines = machine.out.getvalue().splitlines()
        hub.fails_after = None
        again = machine.better(hub)
        machine.tick_until(again, lambda: again.is_first)

    assert [line for line in lines if "could not be fetched" in line] == [lines[-1]]
    assert lines[-1].startswith("scripted goes on answering: ")
    assert not better.words
    # The first start tried thrice, each time from where it was.
    assert hub.gets[-1] == f"bytes={3_000_000}-"


def test_a_better_model_that_does_not_start_is_given_up_and_the_profile_stays(machine: _Machine) -> None:
    with running_hub(BYTES) as hub:
        better = machine.better(hub)
        machine.tick_until(better, lambda: "does not start" in machine.out.getvalue())

    assert not better.is_first
    assert not machine.supervisor.parts
    assert [row.model for row in machine.profile()] == ["scripted"]


def test_whatever_keeps_the_better_engine_from_starting_leaves_the_first_model_alone(machine: _Machine) -> None:
    def fails(_model: ChatModel) -> tuple[Part, Served]:
        raise OSError(11, "Resource temporarily unavailable")

    with running_hub(BYTES) as hub:
        better = machine.better(hub, serve=fails)
        machine.tick_until(better, lambda: "goes on answering" in machine.out.getvalue())

    assert machine.out.getvalue().splitlines()[-1] == "scripted goes on answering: [Errno 11] Resource temporarily unavailable"
    assert [row.model for row in machine.profile()] == ["scripted"]


def test_an_engine_that_cannot_be_entered_does_not_go_on_running(machine: _Machine) -> None:
    with running_hub(tiny_model().path.read_bytes()) as hub:
        hub.go_on.clear()
        better = machine.better(hub)
        machine.remove(FIRST)
        machine.arrange(FIRST)
        hub.go_on.set()
        machine.tick_until(better, lambda: "goes on answering" in machine.out.getvalue())

    assert not machine.supervisor.parts
    assert [(row.name, row.model) for row in machine.profile()] == [(FIRST, "big")]


def test_an_unforeseen_error_of_the_fetch_is_one_line(machine: _Machine) -> None:
    def breaks(_part: Path, _advance: Callable[[int], None]) -> None:
        raise ValueError("an address that no library takes")

    file = ModelFile(name="better", path=machine.folder / "cache" / "better.gguf", size=10, sha256="0" * 64, sources=(breaks,))
    better = machine.start(file)
    machine.tick_until(better, lambda: "goes on answering" in machine.out.getvalue())

    assert machine.out.getvalue().splitlines()[-1] == "scripted goes on answering: an address that no library takes"


def test_a_profile_that_an_operator_has_arranged_is_left_alone(machine: _Machine) -> None:
    machine.arrange("hosted")
    entered = machine.endpoints.settle(machine.first)
    answers = machine.endpoints.put_first(Served(url="http://127.0.0.1:9/v1", model="better"), machine.first)

    assert (entered, answers) == (False, False)
    assert [row.name for row in machine.profile()] == ["hosted"]


def test_an_operators_order_with_our_endpoint_in_it_leads_to_the_engine_of_each_start(machine: _Machine) -> None:
    machine.endpoints.settle(machine.first)
    machine.arrange(FIRST, "hosted")
    other = Served(url="http://127.0.0.1:9/v1", model="other", traits=_KNOWN)
    entered = machine.endpoints.settle(other)
    restarted = [(row.name, row.model) for row in machine.profile()]
    answers = machine.endpoints.put_first(Served(url="http://127.0.0.1:10/v1", model="better", traits=_KNOWN), other)

    assert (entered, restarted) == (True, [(FIRST, "other"), ("hosted", "big")])
    assert (answers, [(row.name, row.model) for row in machine.profile()]) == (True, [(FIRST, "better"), ("hosted", "big")])


def test_a_price_that_an_operator_entered_outlives_a_restart(machine: _Machine) -> None:
    machine.endpoints.settle(machine.first)
    with machine.stack.engine("web").begin() as connection:
        form = Form(name=FIRST, url=machine.first.url, model="scripted", leaves_house=False, price_in=0.1, price_out=0.2)
        endpoints.change(connection, tenant=tenants.default(connection), name=FIRST, form=form)
    machine.endpoints.put_first(Served(url="http://127.0.0.1:9/v1", model="better", traits=_KNOWN), machine.first)
    machine.endpoints.settle(machine.first)

    assert [(row.name, row.model, row.price_in, row.price_out) for row in machine.profile()] == [(FIRST, "scripted", 0.1, 0.2)]
    assert machine.stack.one("select count(*) from endpoints") == 1


def test_a_start_with_a_model_elsewhere_leaves_nothing_of_the_last_run(machine: _Machine) -> None:
    machine.endpoints.settle(machine.first)
    machine.endpoints.put_first(Served(url="http://127.0.0.1:9/v1", model="better", traits=_KNOWN), machine.first)
    machine.endpoints.settle(None)

    assert machine.profile() == []
    assert machine.stack.one("select count(*) from endpoints") == 0


def test_a_server_elsewhere_that_has_our_endpoints_name_is_an_operators(machine: _Machine) -> None:
    machine.arrange(FIRST)

    assert not machine.endpoints.settle(machine.first)
    assert [(row.name, row.model) for row in machine.profile()] == [(FIRST, "big")]


def test_a_model_of_the_persons_own_is_probed(machine: _Machine) -> None:
    assert not machine.endpoints.settle(Served(url="http://127.0.0.1:9/v1", model="mine"))
    assert machine.profile() == []


def test_a_terminals_last_line_shows_the_progress_and_lines_go_above_it() -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    terminal, plain = Terminal(), StringIO()
    for out in (terminal, plain):
        report = Report(out)
        report.status("43 %")
        report.line("Web ended")
        report.status("")

    assert plain.getvalue() == "Web ended\n"
    assert terminal.getvalue() == "\r\x1b[K43 %\r\x1b[KWeb ended\n\r\x1b[K43 %\r\x1b[K"
