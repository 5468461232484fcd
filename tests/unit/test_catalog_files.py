"""The shipped rows of the catalog: complete, consistent with themselves, and each with its source."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date
from pathlib import Path

import pytest

import inference
from inference.catalog import Architecture, LocalAttention, Mla, Model, Moe, NumberFormat, licence_notice, load

_FILES = sorted((Path(inference.__file__).parent / "models").glob("*.toml"))
_MODELS = load().models
_OPEN = [model for model in _MODELS if model.kind == "open"]
_HOSTED = [model for model in _MODELS if model.kind == "hosted"]


def _keys(models: list[Model]) -> list[str]:
    return [model.key for model in models]


@pytest.mark.parametrize("path", _FILES, ids=[path.stem for path in _FILES])
def test_a_shipped_file_reads_and_is_called_by_its_key(path: Path) -> None:
    assert path.stem in _keys(list(_MODELS))


def test_every_model_that_must_have_a_row_has_one() -> None:
    wanted = {"llama-4-scout", "llama-4-maverick", "llama-4-behemoth", "deepseek-v3", "gemma-3-27b", "mistral-small-3.1"}
    wanted |= {"gpt-4o", "gemini-2.0-flash", "gemini-2.0-flash-lite"}

    assert wanted <= set(_keys(list(_MODELS)))


def _tables(row: object, name: str) -> Iterator[tuple[str, object]]:
    """The row and every table in it that has a source of its own."""
    yield name, row
    for one in fields(row):  # pyright: ignore[reportArgumentType] - a dataclass
        value = getattr(row, one.name)
        for inner in value if isinstance(value, tuple) else (value,):
            if is_dataclass(inner) and not isinstance(inner, (Moe, Mla, LocalAttention)):
                yield from _tables(inner, f"{name}.{one.name}")


_SOURCED = [table for model in _MODELS for table in _tables(model, model.key)]


@pytest.mark.parametrize(("name", "table"), _SOURCED, ids=[name for name, _ in _SOURCED])
def test_every_table_names_its_source(name: str, table: object) -> None:
    source = table.source  # pyright: ignore[reportAttributeAccessIssue] - a table with numbers has one

    assert len(source.split()) >= 2 or "." in source
    assert not re.search(r"serving\.md|facts\.md|/work|TODO", source)


#: Numbers of the published configurations: layers, of them routing, of them global; width of all heads together, of the KV heads.
_SHAPES = {
    "llama-4-scout": (48, 48, 12, 5120, 1024),
    "llama-4-maverick": (48, 24, 12, 5120, 1024),
    "deepseek-v3": (61, 58, 61, 16_384, 16_384),
    "gemma-3-27b": (62, 0, 10, 4096, 2048),
    "mistral-small-3.1": (40, 0, 40, 4096, 1024),
}


def _shape(own: Architecture) -> tuple[int, int, int, int, int]:
    routing = own.moe.layers if own.moe else 0
    everywhere = own.local.global_layers if own.local else own.layers
    return own.layers, routing, everywhere, own.heads * own.head_size, own.kv_heads * own.head_size


@pytest.mark.parametrize("model", _OPEN, ids=_keys(_OPEN))
def test_an_architecture_has_the_published_shape(model: Model) -> None:
    assert model.architecture is not None
    assert _shape(model.architecture) == _SHAPES[model.key]


@pytest.mark.parametrize("model", _OPEN, ids=_keys(_OPEN))
def test_an_architectures_numbers_agree_with_each_other(model: Model) -> None:
    own = model.architecture
    assert own is not None

    assert own.heads % own.kv_heads == 0
    if own.moe:
        # Counted layer by layer, as the engines build them.
        built = [(layer + 1) % own.moe.interleave == 0 for layer in range(own.moe.first_dense, own.layers)]
        assert own.moe.layers == sum(built)
        assert (own.ffn > 0) == (own.moe.layers < own.layers)
    if own.local:
        assert own.local.local_layers + own.local.global_layers == own.layers
        every = 4 if own.local.kind == "chunked" else 6
        assert own.local.global_layers == own.layers // every
    if own.mla:
        assert own.head_size == own.mla.nope == own.mla.v


@pytest.mark.parametrize("model", _OPEN, ids=_keys(_OPEN))
def test_weights_weigh_what_their_parameters_do(model: Model) -> None:
    bytes_each = {NumberFormat.BF16: 2.0, NumberFormat.FP8: 1.0, NumberFormat.W4A16: 0.515625, NumberFormat.NVFP4: 0.5625}
    for weights in model.weights:
        # Embeddings, and often more, stay in bf16.
        least = model.total_b * bytes_each[weights.format] * 0.99

        assert least <= weights.size_gb <= least * 1.25, weights.format


@pytest.mark.parametrize("model", _OPEN, ids=_keys(_OPEN))
def test_a_model_has_one_file_set_a_format_and_the_published_ones_have_names(model: Model) -> None:
    formats = [weights.format for weights in model.weights]
    unnamed = [weights.format for weights in model.weights if not weights.repo]

    assert len(formats) == len(set(formats))
    assert unnamed == ([NumberFormat.BF16] if model.key == "deepseek-v3" else [])


@pytest.mark.parametrize("model", _OPEN, ids=_keys(_OPEN))
def test_an_open_model_says_how_it_is_served(model: Model) -> None:
    assert model.licence is not None
    assert model.licence.duties
    assert model.template is not None
    assert model.template.tool_call_parser
    assert model.serving is not None
    if model.serving.speculative:
        assert json.loads(model.serving.speculative)["method"] == model.serving.speculative_method
    for arguments in (model.serving.args, *(weights.args for weights in model.weights)):
        # A flag and its value by turns, and the values that are JSON are JSON.
        assert all(flag.startswith("--") for flag in arguments[::2])
        assert all(json.loads(value) for value in arguments[1::2] if value.startswith("{"))


@pytest.mark.parametrize("model", _OPEN, ids=_keys(_OPEN))
def test_nothing_that_the_plan_decides_stands_among_the_arguments(model: Model) -> None:
    decided = {
        "--tensor-parallel-size",
        "--data-parallel-size",
        "--max-model-len",
        "--kv-cache-dtype",
        "--served-model-name",
        "--tool-call-parser",
    }
    arguments = [*(model.serving.args if model.serving else ()), *(one for weights in model.weights for one in weights.args)]

    assert decided & set(arguments) == set()


@pytest.mark.parametrize("key", ["llama-4-scout", "llama-4-maverick"])
def test_llama_4_is_not_for_the_eu_and_names_what_is(key: str) -> None:
    catalog = load()
    licence = catalog.get(key).licence
    assert licence is not None

    assert (licence.in_eu, licence.to_accept) == (False, True)
    assert licence.instead_in_eu == ("deepseek-v3", "mistral-small-3.1", "gemma-3-27b")
    assert [licence_notice(catalog.get(other)) for other in licence.instead_in_eu] == ["", "", ""]


def test_behemoth_has_totals_and_no_more() -> None:
    model = load().get("llama-4-behemoth")

    assert (model.kind, model.architecture, model.total_b, model.active_b) == ("unpublished", None, 2000, 288)
    assert [(weights.format.value, weights.size_gb, weights.repo) for weights in model.weights] == [
        ("bf16", 4000, ""),
        ("fp8", 2000, ""),
        ("nvfp4", 1130, ""),
    ]


@pytest.mark.parametrize("model", _HOSTED, ids=_keys(_HOSTED))
def test_a_hosted_model_has_a_dated_price(model: Model) -> None:
    assert model.offers
    for offer in model.offers:
        assert date(2026, 11, 1) <= offer.date
        assert 0 < offer.tokens_in < offer.tokens_out
        assert offer.tokens_cached is None or offer.tokens_cached < offer.tokens_in


@pytest.mark.parametrize(
    ("key", "on", "successor"),
    [
        ("gpt-4o", date(2027, 1, 14), "gpt-6-luna"),
        ("gemini-2.0-flash", date(2026, 6, 1), "gemini-3.5-flash-lite"),
        ("gemini-2.0-flash-lite", date(2026, 6, 1), "gemini-3.1-flash-lite"),
    ],
)
def test_what_ends_has_its_day_and_its_successor(key: str, on: date, successor: str) -> None:
    model = load().get(key)

    assert (model.retired_on, model.successor) == (on, successor)
    assert {(offer.retired_on, offer.successor) for offer in model.offers} == {(on, successor)}


def test_a_successor_in_the_catalog_outlives_what_it_follows() -> None:
    known = {model.key: model for model in _MODELS}
    followed = [(model, known[model.successor]) for model in _MODELS if model.successor in known]

    assert followed
    assert all(after.retired_on is None or (model.retired_on or date.max) < after.retired_on for model, after in followed)
