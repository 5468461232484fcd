"""Lists of models, as servers really send them: one row's oddness spoils no other, and a context is found under each of its names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.probe.cards import Listed, Listing, models


def _read(page: Any) -> Listing | None:
    return models(json.dumps(page).encode())


@pytest.mark.parametrize(
    "page",
    [
        [{"id": "ferry", "context_length": 8192}],
        {"data": [{"id": "ferry", "context_length": 8192}]},
        {"models": [{"name": "ferry", "context_length": 8192}]},
        {"object": "list", "data": [], "models": [{"model": "ferry", "context_length": 8192}]},
        {"result": [{"name": "ferry", "context_length": 8192}], "success": True},
        {"data": {"ferry": {"context_length": 8192}}},
        {"data": {"models": [{"id": "ferry", "context_length": 8192}]}},
        {"data": [None, 7, [], {}, {"id": None}, {"id": 3}, {"id": "ferry", "context_length": 8192, "meta": 1, "aliases": "x"}]},
    ],
)
def test_a_list_is_found_in_each_form(page: Any) -> None:
    listing = _read(page)

    assert listing is not None
    assert listing.find("ferry") == Listed(name="ferry", context=8192)


@pytest.mark.parametrize(
    ("fields", "context"),
    [
        ({"max_model_len": 32768}, 32768),
        ({"context_length": "131072"}, 131072),
        ({"context_length": "131,072"}, 131072),
        ({"context_length": 131072.0}, 131072),
        ({"context_window": 8192}, 8192),
        ({"max_context_length": 32768}, 32768),
        ({"max_context_length": 131072, "loaded_context_length": 4096}, 4096),
        ({"max_context_length": 131072, "loaded_context_length": 0}, 131072),
        ({"inputTokenLimit": 1048576, "outputTokenLimit": 65536}, 1048576),
        ({"max_input_tokens": 200000, "max_tokens": 64000}, 200000),
        ({"meta": {"n_ctx": 2048, "n_ctx_train": 8192}}, 2048),
        ({"meta": {"n_ctx_train": 8192}}, 0),
        ({"limits": {"max_input_tokens": 128000}}, 128000),
        ({"limit": {"context": 128000, "output": 4096}}, 128000),
        ({"capabilities": {"limits": {"max_context_window_tokens": 128000, "max_prompt_tokens": 64000}}}, 64000),
        ({"context_length": 262144, "top_provider": {"context_length": 131072, "max_completion_tokens": 9}}, 131072),
        ({"metadata": {"context_length": 40960}}, 40960),
        ({"parameters": {"max_seq_len": 4096}}, 4096),
        ({"context_length": "128K"}, 128000),
        ({"context_length": "long", "max_model_len": None, "context_window": -1, "n_ctx": True}, 0),
        ({"context_length": 1e300}, 0),
    ],
)
def test_a_context_is_read_under_each_of_its_names_and_the_smallest_counts(fields: dict[str, Any], context: int) -> None:
    listing = _read({"data": [{"id": "ferry", **fields}]})

    assert listing is not None
    assert [card.context for card in listing.models] == [context]


def test_an_adapter_has_the_context_of_its_model() -> None:
    rows = [
        {"id": "base", "max_model_len": 4096, "owned_by": "vllm"},
        {"id": "mine", "parent": "base", "max_model_len": None, "owned_by": "vllm"},
    ]
    listing = _read({"data": rows})

    assert listing is not None
    assert listing.find("mine") == Listed(name="mine", context=4096, server="vllm")


@pytest.mark.parametrize(
    ("listed", "asked", "found"),
    [
        ({"name": "models/ferry"}, "ferry", True),
        ({"name": "models/ferry"}, "models/ferry", True),
        ({"id": "Maker/Ferry"}, "maker/ferry", True),
        ({"id": "ferry:latest"}, "ferry", True),
        ({"id": "ferry-0107", "aliases": ["ferry", 3]}, "ferry", True),
        ({"id": "ferry-2"}, "ferry", False),
        ({"id": "maker/ferry"}, "ferry", False),
    ],
)
def test_a_model_is_found_under_its_other_names(listed: dict[str, Any], asked: str, found: bool) -> None:
    listing = _read([listed])

    assert listing is not None
    assert (listing.find(asked) is not None) == found
    assert listing.close_to(asked)


def test_an_exact_name_comes_before_one_in_other_letters() -> None:
    listing = _read([{"id": "FERRY", "context_length": 1}, {"id": "ferry", "context_length": 2}])

    assert listing is not None
    assert listing.find("ferry") == Listed(name="ferry", context=2)


@pytest.mark.parametrize("more", [{"has_more": True}, {"nextPageToken": "x"}, {"next": "/v1/models?page=2"}])
def test_a_first_page_is_known_as_such(more: dict[str, Any]) -> None:
    listing = _read({"data": [{"id": "a"}], **more})

    assert listing is not None
    assert (listing.has_more, listing.names()) == (True, "a, ...")


def test_many_models_are_named_in_part_and_searched_whole() -> None:
    listing = _read([f"maker/model-{n}" for n in range(3000)])

    assert listing is not None
    assert listing.names().endswith("model-9, ...")
    assert listing.close_to("model-2999x") == "maker/model-2999"
    assert listing.close_to("quite something else") == ""


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error":"no"}', b"7", b'"x"', b"[" * 100_000, b"\xff", b'{"data":3}'])
def test_what_is_no_list_is_none(body: bytes) -> None:
    assert models(body) is None


def test_a_list_without_models_is_one() -> None:
    assert models(b'{"data":[]}') == models(b"[]") == Listing()
