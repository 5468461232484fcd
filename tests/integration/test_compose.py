"""compose.yaml: valid by its schema, closed where it should be, and every service's own command started from it in its order."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from sqlalchemy import create_engine, pool

from bots.crypto import Keyring
from bots.domain import ChannelKind
from bots.settings import Settings
from bots.storage import accounts, personas, tenants
from chinwag.local.postgres import binaries
from chinwag.local.redis import binary as redis_server
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.compose import Compose, Machine
from tests.support.fakes import Model, Platform
from tests.support.processes import ROOT, Process, Processes, until
from tests.support.proxy import FaultProxy
from tests.support.stack import a_free_port

#: Not in this image: as much of it as the health check uses.
_REDIS_CLI = "import os, sys, redis; redis.Redis(port=int(sys.argv[2]), password=os.environ['REDISCLI_AUTH']).ping() and print('PONG')"
_EXAMPLE = dict(line.split("=", 1) for line in (ROOT / ".env.example").read_text("utf-8").splitlines() if line and line[0] != "#")
_OURS = ("migrate", "web", "hooks", "worker", "dispatcher", "gpu-worker")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def compose() -> Compose:
    """The file as it reads with the example's values."""
    return Compose(_EXAMPLE)


def test_the_file_follows_the_compose_schema() -> None:
    arguments = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_password_stands_in_the_file_or_in_any_environment(compose: Compose) -> None:
    environments = {name: compose.environment(name) for name in compose.services}
    shown = [
        (service, name)
        for service, values in environments.items()
        for name, value in values.items()
        if ("PASSWORD" in name and not value.startswith("/run/secrets/")) or re.search(r"//[^/@]*:[^/@]+@", value)
    ]

    assert shown == []


@pytest.mark.parametrize("service", _OURS)
def test_a_service_reads_no_secret_that_it_is_not_given(compose: Compose, service: str) -> None:
    wanted = {value.removeprefix("/run/secrets/") for value in compose.environment(service).values() if value.startswith("/run/secrets/")}

    assert wanted == set(compose.services[service]["secrets"]) <= set(compose.secrets)


@pytest.mark.parametrize("service", [*_OURS, "redis", "engine"])
def test_a_service_runs_without_rights_on_a_root_that_it_cannot_write(compose: Compose, service: str) -> None:
    found = compose.services[service]

    assert (found["read_only"], found["cap_drop"], found["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])


def test_every_service_that_stays_says_whether_it_is_well(compose: Compose) -> None:
    assert [name for name, service in compose.services.items() if "healthcheck" not in service] == ["migrate"]


def test_postgres_logs_no_words_of_people(compose: Compose) -> None:
    assert {"log_min_error_statement=panic", "log_parameter_max_length_on_error=0"} <= set(compose.services["postgres"]["command"])


def test_postgres_and_redis_are_reached_from_inside_alone(compose: Compose) -> None:
    doors = {name: (service["networks"], "ports" in service) for name, service in compose.services.items() if name in {"postgres", "redis"}}

    assert compose.raw["networks"]["inside"]["internal"] is True
    assert doors == {"postgres": (["inside"], False), "redis": (["inside"], False)}


def test_prometheus_asks_every_service_that_stays_for_its_figures(compose: Compose) -> None:
    (job,) = (
        job for job in yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text("utf-8"))["scrape_configs"] if job["job_name"] == "chinwag"
    )
    named = [target for group in job["static_configs"] for target in group["targets"]]
    named += [f"{name}:{group['port']}" for group in job["dns_sd_configs"] for name in group["names"]]
    serving = {
        name: compose.environment(name)["CHINWAG_METRICS_PORT"]
        for name in _OURS
        if compose.services[name].get("restart") == "unless-stopped"
    }

    assert sorted(named) == sorted(f"{name}:{port}" for name, port in serving.items())


def test_what_the_dockerfile_copies_is_there_and_let_in() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    let_in = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}

    assert all((ROOT / name).exists() for name in names)
    assert names == let_in


def test_both_images_are_made_from_hashes_and_only_the_engines_has_torch() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    packages = {name: (ROOT / name).read_text("utf-8") for name in ("requirements.lock", "requirements-engine.lock")}

    assert dockerfile.count("pip install") == dockerfile.count("--require-hashes --only-binary :all:") == 2
    assert {name: bool(re.search(r"^torch==", text, re.MULTILINE)) for name, text in packages.items()} == {
        "requirements.lock": False,
        "requirements-engine.lock": True,
    }
    assert all(line.rstrip("\\ ").split("==")[1] for text in packages.values() for line in text.splitlines() if line[0].isalpha())


@dataclass
class _Running:
    """The file's services, running here."""

    machine: Machine
    platform: Platform
    model: Model
    processes: dict[str, Process]
    hooks: str
    web: str


@pytest.fixture(scope="module")
def running(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Running]:
    """All services but the engine, started from the file in its order. Postgres's place is taken by the embedded one."""
    folder = tmp_path_factory.mktemp("compose")
    database = f"compose_{a_free_port()}"
    with ExitStack() as stack:
        with cluster.engine("postgres").connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"create database {database}")
        stack.callback(cluster.drop, database)
        postgres = stack.enter_context(FaultProxy(cluster.socket))
        fakes = Processes(folder)
        stack.callback(fakes.end_all)
        at = fakes.start("platform", ["chinwag", "fake-platform", "--port", "0", "--state", str(folder / "platform")], {}).wait_listening()
        platform = stack.enter_context(closing(Platform(at)))
        model = stack.enter_context(closing(Model(fakes.start("model", ["inference.scripted", "--port", "0"], {}).wait_listening())))
        compose = Compose(
            _EXAMPLE
            | {
                "SECRETS": str(folder / "secrets"),
                "CHINWAG_MODEL_URL": f"{model.url}/v1",
                "CHINWAG_MODEL_NAME": "scripted",
                "CHINWAG_GRAPH_URL": platform.url,
                "CHINWAG_DEBOUNCE_S": "0.1",
                "CHINWAG_WORKER_SLOTS": "8",
                "CHINWAG_WORKER_POOL": "8",
            }
        )
        _make_secrets(compose, cluster)
        (folder / "data").mkdir()
        ports = {("", "6379"): a_free_port(), ("", "8010"): a_free_port(), ("web", "8080"): a_free_port(), ("hooks", "8081"): a_free_port()}
        machine = Machine(
            compose,
            folder,
            places={
                "/run/secrets/": f"{folder}/secrets/",
                "dir /data": f"dir {folder}/data",
                "0.0.0.0": "127.0.0.1",
                "@postgres/chinwag": f"@127.0.0.1:{postgres.port}/{database}?sslmode=disable&gssencmode=disable",
                "//redis:": "//127.0.0.1:",
                "//embedder:": "//127.0.0.1:",
                "http://engine:8000": model.url,
            },
            ports=ports
            | {("engine", "8000"): httpx.URL(model.url).port or 0}
            | {(service, "9100"): a_free_port() for service in ("web", "hooks", "worker", "dispatcher", "gpu-worker")},
        )
        stack.callback(machine.processes.end_all)
        machine.program("redis-server", f'"{redis_server()}" "$@"')
        machine.program("redis-cli", f'\'{sys.executable}\' -c "{_REDIS_CLI}" "$@"')
        machine.program("pg_isready", f"'{_pg_isready()}' \"$@\" --host '{cluster.postgres.sockets}'")
        processes: dict[str, Process] = {}
        for service in compose.in_order():
            for other, how in compose.services[service].get("depends_on", {}).items():
                machine.wait_for(other, how["condition"], processes.get(other))
            if service != "postgres":
                processes[service] = machine.start(service)
        for service in ("web", "hooks", "worker", "dispatcher"):
            machine.wait_for(service, "service_healthy", processes[service])
        yield _Running(
            machine=machine,
            platform=platform,
            model=model,
            processes=processes,
            hooks=f"http://127.0.0.1:{ports['hooks', '8081']}",
            web=f"http://127.0.0.1:{ports['web', '8080']}",
        )


def _pg_isready() -> str:
    own = binaries() / "pg_isready"
    return str(own) if own.exists() else shutil.which("pg_isready") or pytest.fail("there is no pg_isready")


def _make_secrets(compose: Compose, cluster: Cluster) -> None:
    """Write the files that the file names, as docs/quickstart.md does."""
    known = cluster.passwords | {"owner": cluster.postgres.owner_password, "redis": "canary-password-redis", "keys": cluster.key}
    for name, secret in compose.secrets.items():
        path = Path(secret["file"])
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(known[name] + "\n", encoding="utf-8")


def _seat(running: _Running, hook: str) -> None:
    """Connect an account, as the set-up pages do, and let its platform know where the webhooks go."""
    settings = Settings.from_env(running.machine.environment("web"))
    engine = create_engine(settings.web_database_url, poolclass=pool.NullPool)
    with engine.begin() as connection:
        tenant = tenants.default(connection)
        bot = personas.put(connection, tenant=tenant, name="tester", persona="You answer briefly.")
        accounts.add(
            connection,
            Keyring.from_settings(settings),
            tenant=tenant,
            bot=bot.id,
            channel=ChannelKind.WHATSAPP,
            name="test",
            external_id=build.PHONE_NUMBER_ID,
            app_secret=build.APP_SECRET,
            verify_token=build.VERIFY_TOKEN,
            access_token=build.ACCESS_TOKEN,
        )
    running.platform.serve(phone_number_id=build.PHONE_NUMBER_ID, url=hook, app_secret=build.APP_SECRET, access_token=build.ACCESS_TOKEN)


def test_every_service_but_the_engine_which_needs_a_gpu_starts_in_order_and_a_signed_webhook_is_answered(running: _Running) -> None:
    hook = f"{running.hooks}/webhooks/whatsapp/test"
    _seat(running, hook)
    person = build.a_person()
    body = build.a_webhook(messages=[build.a_text(person, "hello")], people=[person])
    taken = httpx.post(hook, content=body, headers=build.sign(body), trust_env=False)
    until(lambda: running.platform.texts_to(person.number), timeout_s=20, what="an answer at the platform")

    assert taken.status_code == 200
    assert [name for name, process in running.processes.items() if not process.alive()] == ["migrate"]


def test_the_engines_own_worker_attaches_to_it_and_consumes_once_a_token_came(running: _Running) -> None:
    running.model.script(mode="error500")
    worker = running.machine.start("gpu-worker")
    refused = len(running.model.log())
    until(lambda: len(running.model.log()) > refused, timeout_s=20, what="a token was asked for")
    before = running.machine.is_healthy("gpu-worker")
    running.model.reset()
    running.machine.wait_for("gpu-worker", "service_healthy", worker)
    code = worker.stop(20)

    assert not before
    assert code == 0


def test_the_engines_health_is_a_token_and_not_its_page(running: _Running) -> None:
    well = running.machine.is_healthy("engine")
    running.model.script(mode="error500")
    page = httpx.get(f"{running.model.url}/health", trust_env=False).status_code
    ill = running.machine.is_healthy("engine")
    running.model.reset()

    assert (well, page, ill) == (True, 200, False)


@pytest.mark.parametrize(
    "path", ["/admin", "/admin/sign-in", "/openapi.json", "/metrics", "/chat", "/static/admin.css", "/api/v1/accounts"]
)
def test_the_open_door_serves_no_page_for_operators(running: _Running, path: str) -> None:
    assert httpx.get(running.hooks + path, trust_env=False).status_code == 404


def test_the_inner_door_serves_the_admin_pages(running: _Running) -> None:
    assert httpx.get(f"{running.web}/admin/sign-in", trust_env=False).status_code == 200


@pytest.mark.parametrize("service", ["postgres", "redis", "web", "hooks", "worker", "dispatcher"])
def test_a_services_own_health_check_finds_it_well(running: _Running, service: str) -> None:
    assert running.machine.is_healthy(service)


def test_a_command_in_the_web_reads_its_passwords_from_files(running: _Running) -> None:
    running.machine.run("web", "-m", "chinwag", "bot", "list")
