"""What a model writes besides its answer reaches nobody: not a person, not a watching page, not a batch's file, not the notes. A scripted server plays it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bots.storage import endpoints
from bots.storage.database import unit
from bots.storage.endpoints import Form
from inference.errors import InferenceError
from inference.router import Router
from inference.settings import ModelSettings
from inference.types import Message, Traits
from tests.support.batches import lines, results, submit
from tests.support.cluster import Cluster
from tests.support.model_player import event, playing
from tests.support.model_servers import Scripted, scripted
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message, open_storage
from workers.batch import batch_one
from workers.deps import Deps, build
from workers.model_routes import profile_key
from workers.summarise import summarise_one
from workers.turn.reply import reply_one

_BATCHES = "batch.default"
_CALL = '{"name": "ferry_times", "parameters": {"pier": "north"}}'
_HI = (Message(role="user", content="When does the ferry leave?"),)


@dataclass(frozen=True)
class _Place:
    storage: StorageFixture
    server: Scripted
    deps: Deps

    def answer(self) -> str:
        """What a person reads who asks something."""
        self.storage.let_in(a_message("When does the ferry leave?"))
        assert reply_one(self.deps, QUEUE)
        return self.storage.rows("select body from outbox order by seq desc limit 1")[0].body


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted(tmp_path_factory.mktemp("scripted"), "--port", "0") as running:
        yield running


@pytest.fixture
def place(cluster: Cluster, server: Scripted) -> Iterator[_Place]:
    database = cluster.database()
    storage = open_storage(cluster, database)
    addresses = {"CHINWAG_MODEL_URL": f"{server.url}/v1", "CHINWAG_GRAPH_URL": "http://127.0.0.1:9"}
    deps = build(cluster.addresses(database) | addresses, queues=[QUEUE, _BATCHES])
    yield _Place(storage, server, deps)
    for engine in (deps.worker, deps.crossing, storage.web, storage.worker, storage.crossing):
        engine.dispose()
    cluster.drop(database)


def test_a_person_reads_no_thoughts_and_no_call(place: _Place) -> None:
    place.server.script(answer="They ask for times.\n</think>\n\nThe ferry leaves at seven.")
    assert place.answer() == "The ferry leaves at seven."

    place.server.script(answer=f"One moment.\n<tool_call>{_CALL}</tool_call>")
    assert place.answer() == "One moment."


def test_an_answer_that_is_a_call_is_asked_for_again_and_then_given_up(place: _Place) -> None:
    place.server.script(answer=_CALL)
    text = place.answer()
    calls = place.storage.rows("select outcome from model_calls")

    assert "ferry_times" not in text
    assert [call.outcome for call in calls] == ["garbage", "garbage"]


def test_a_batchs_file_and_the_notes_have_none(place: _Place) -> None:
    place.server.script(answer="<thinking>They ask.</thinking>\nThe ferry leaves at seven.")
    submitted = submit(place.storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(1))
    assert submitted.batch is not None
    assert batch_one(place.deps, _BATCHES)
    place.storage.let_in(a_message("figs"))
    place.storage.answered(asked="figs", answer="yes")
    place.storage.do("update conversations set summarise_at = now(), summarise_to = 1")
    assert summarise_one(place.deps, _BATCHES)
    (notes,) = place.storage.rows("select summary from conversations")

    assert "They ask" not in str(results(place.storage.web, submitted.batch))
    assert "leaves at seven" in str(results(place.storage.web, submitted.batch))
    assert str(notes.summary).endswith(": The ferry leaves at seven.")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("", "<think>They ask for times.</think>The ferry leaves at seven."),
        ("think", "<think>They ask for times.</think>The ferry leaves at seven."),
        ("opened-think", "They ask for times.\n</think>\n\nThe ferry leaves at seven."),
        ("harmony", "analysisThey ask for times.assistantfinalThe ferry leaves at seven."),
        ("", f"The ferry leaves at seven.\n{_CALL}"),
    ],
)
def test_a_page_sees_only_the_answer_grow(server: Scripted, form: str, text: str) -> None:
    server.script(answer=text, word_s=0.01)
    router = Router(server.endpoint(traits=Traits(thoughts=form)), ModelSettings(url=f"{server.url}/v1"))
    seen: list[str] = []
    router.chat("p", _HI, affinity=None, may_leave=True, max_tokens=64, on_text=seen.append)

    assert seen
    assert all("The ferry leaves at seven.".startswith(part.strip()) for part in seen)


def test_what_the_catalog_says_of_a_model_holds_until_a_probe_has_learned_more(place: _Place) -> None:
    tenant = place.storage.account.tenant_id
    with unit(place.storage.web) as connection:
        form = Form(
            name="v4",
            url=f"{place.server.url}/v1",
            model="deepseek/DeepSeek-V4-Flash-FP8",
            leaves_house=False,
            price_in=None,
            price_out=None,
        )
        row = endpoints.add(connection, place.storage.keyring, tenant=tenant, form=form)
        endpoints.set_profile(connection, tenant, "default", [(1, row.id)])
    place.deps.routes.refresh()
    assert _form(place) == "think"

    with unit(place.storage.web) as connection:
        connection.exec_driver_sql("""update endpoints set traits = '{"thoughts": "opened-think"}'""")
    place.deps.routes.refresh()
    assert _form(place) == "opened-think"


def _form(place: _Place) -> str:
    endpoint = place.deps.router.first(profile_key(place.storage.account.tenant_id, "default"), may_leave=True)
    assert endpoint is not None
    return endpoint.traits.thoughts


def test_the_environments_endpoint_has_the_catalogs_form_too(server: Scripted) -> None:
    home = server.endpoint(traits=Traits(thoughts="think"))
    router = Router(home, ModelSettings(url=f"{server.url}/v1"))
    router.learn(Traits(context=4096))
    assert router.default_endpoint.traits == Traits(context=4096, thoughts="think")

    router.learn(Traits(context=4096, thoughts="brackets"))
    assert router.default_endpoint.traits.thoughts == "brackets"


def test_an_error_is_an_error_whatever_is_hidden(server: Scripted) -> None:
    server.script(mode="error500")
    router = Router(server.endpoint(), ModelSettings(url=f"{server.url}/v1"))
    with pytest.raises(InferenceError):
        router.chat("p", _HI, affinity=None, may_leave=True, max_tokens=64, on_text=print)


@pytest.mark.parametrize(
    "end", ["</think>", "</THINK>", "</thinking>", "</reasoning>", "[/THINK]", "<|end_of_thought|>", "\u25c1/think\u25b7"]
)
def test_thoughts_that_only_their_end_betrays_are_hidden_from_the_second_answer_on(end: str) -> None:
    words = ["They", " ask for times.", f"\n{end}\n\n", "The ferry", " leaves at seven."]
    frames = [event({"content": word}) for word in words]
    with playing([{"name": "opened", "frames": [*frames, "@stop", "@usage", "@done"], "pause": 0.01}]) as server:
        settings = ModelSettings(url=server.url("opened"), name="ferry")
        router = Router(settings.open_endpoint(), settings)
        seen: list[list[str]] = [[], []]
        for texts in seen:
            router.chat("p", _HI, affinity=None, may_leave=True, max_tokens=64, on_text=texts.append)

    assert [texts[-1] for texts in seen] == ["The ferry leaves at seven."] * 2
    assert "They" in seen[0][0]
    assert not any("They" in text for text in seen[1])
