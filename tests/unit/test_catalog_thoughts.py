"""The catalog says in which form a model writes its thoughts, under every name that the model has on servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.catalog import Catalog, load
from inference.errors import BadModelFile

_ROW = """
key = "ada-9"
title = "Ada 9"
maker = "Ada"
kind = "hosted"
context = 1000
source = "a test"

[template]
thoughts = "brackets"
source = "a test"

[[offers]]
provider = "Ada"
model = "ada/Ada-9-Chat"
tokens_in = 1
tokens_out = 1
date = 2026-11-01
source = "a test"
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    (tmp_path / "ada-9.toml").write_text(_ROW, "utf-8")
    return load(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "ada-9",
        "ADA-9",
        "somebody/ada-9",
        "ada-9-FP8",
        "ada-9-GGUF-Q4_K_M",
        "ada-9:free",
        "Ada-9-Chat",
        "other/ada-9-chat-AWQ",
        "ada-9-chat:latest",
    ],
)
def test_every_name_of_a_model_leads_to_its_form(catalog: Catalog, name: str) -> None:
    assert catalog.thoughts(name) == "brackets"


@pytest.mark.parametrize("name", ["", "ada", "ada-9-base", "ada-90", "default", "llama-4-scout", "ada-9-chat-thinking", "/", "gpt-4o"])
def test_other_names_lead_to_none(catalog: Catalog, name: str) -> None:
    assert catalog.thoughts(name) == ""


def test_a_form_that_there_is_not_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "ada-9.toml").write_text(_ROW.replace('"brackets"', '"loud"'), "utf-8")
    with pytest.raises(BadModelFile, match=r"line 10: template.thoughts must be one of .*opened-think.*, not the text \"loud\""):
        load(tmp_path)
