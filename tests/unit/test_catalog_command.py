"""`chinwag model list` and `show`, and what doctor says about a licence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from chinwag.cli import build
from chinwag.cli.doctor import licence_line
from inference.catalog import load

_OWN = """\
key = "own"
title = "Our [bold]own[/bold]"
maker = "Ada"
kind = "hosted"
context = 8192
source = "a test"
"""


def _run(*arguments: str, columns: int = 80, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(
        build("model"), ["model", *arguments], env={"COLUMNS": str(columns), "CHINWAG_MODEL_CATALOG": ""} | (env or {})
    )


def _words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.toml").write_text(_OWN, "utf-8")
    return tmp_path


@pytest.mark.parametrize("columns", [80, 140])
def test_the_list_shows_every_model_within_the_width(columns: int) -> None:
    done = _run("list", columns=columns)

    assert done.exit_code == 0
    assert max(len(line) for line in done.output.splitlines()) <= columns
    for model in load().models:
        assert f"\n{model.key} " in done.output
        assert model.title in done.output


def test_the_list_marks_the_eu_and_what_has_ended() -> None:
    rows = re.split(r"\n *\n", _run("list", columns=140).output)
    row = {lines.split()[0]: _words(lines) for lines in rows if lines.strip()}

    assert "109B 10M bf16 217 Llama 4 Community License (2025-04-05) Llama 4 Scout 17B active" in row["llama-4-scout"]
    assert "not in the EU" in row["llama-4-scout"]
    assert "not in the EU" not in row["mistral-small-3.1"]
    assert "ended 2026-06-01, now" in row["gemini-2.0-flash"]
    assert "gemini-3.5-flash-lite" in row["gemini-2.0-flash"]
    assert "weights not published" in row["llama-4-behemoth"]


def test_the_list_as_json_is_one_array_of_all() -> None:
    assert [row["key"] for row in json.loads(_run("list", "--json").stdout)] == [model.key for model in load().models]


@pytest.mark.parametrize("columns", [80, 140])
def test_a_card_says_the_eu_clause_in_full_with_permitted_models(columns: int) -> None:
    done = _run("show", "llama-4-scout", columns=columns)

    assert max(len(line) for line in done.output.splitlines()) <= columns
    assert (
        "Not in the EU: The Llama 4 Community License (2025-04-05) gives no rights in Llama 4 Scout to individuals domiciled, or companies with "
        "their principal place of business, in the EU. Permitted there: deepseek-v3, mistral-small-3.1, gemma-3-27b."
    ) in _words(done.output)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("llama-4-scout", "layers 48: 12 global, 36 see only their own chunk of 8,192 tokens"),
        ("llama-4-scout", "experts 16 in 48 layers, width 8,192; 1 active and 1 shared for each token"),
        ("llama-4-scout", """arguments --max-num-batched-tokens 8192 --limit-mm-per-prompt '{"image": 5}'"""),
        ("llama-4-scout", "Amazon Bedrock 0.17 in, 0.66 out (2026-11-01)"),
        ("llama-4-maverick", "feed-forward 16,384 in 24 dense layers"),
        ("llama-4-maverick", "experts 128 in 24 layers (one in 2)"),
        ("deepseek-v3", "latent (MLA), 128 heads; ranks q 1536, kv 512; rope 64, nope 128, v 128"),
        ("deepseek-v3", "experts 256 in 58 layers (after 3 dense ones), width 2,048; 8 active and 1 shared for each token"),
        ("deepseek-v3", "environment VLLM_USE_FLASHINFER_MOE_FP4=1"),
        ("deepseek-v3", "in the EU granted"),
        ("gemma-3-27b", "layers 62: 10 global, 52 see only the last 1,024 tokens"),
        ("gemma-3-27b", "unconfirmed tool_call_parser"),
        ("mistral-small-3.1", "unconfirmed layers, hidden, heads, kv_heads, head_size, ffn"),
        ("llama-4-behemoth", "llama-4-behemoth, by Meta, weights not published"),
        ("gemini-2.0-flash", "Retired since 2026-06-01, successor gemini-3.5-flash-lite."),
    ],
)
def test_a_card_says_what_the_file_does(key: str, said: str) -> None:
    assert said in _words(_run("show", key, columns=200).output)


def test_a_card_has_the_source_of_every_part() -> None:
    card = _words(_run("show", "llama-4-maverick").output)
    model = load().get("llama-4-maverick")
    parts = [model, model.architecture, *model.weights, model.licence, model.template, model.serving, *model.offers]

    assert [part.source for part in parts if part and _words(part.source) not in card] == []


def test_a_card_as_json_is_the_whole_row_and_the_notice() -> None:
    shown = json.loads(_run("show", "gemini-2.0-flash", "--json").stdout)
    licensed = json.loads(_run("show", "llama-4-scout", "--json").stdout)

    assert (shown["retired_on"], shown["successor"], shown["licence_notice"]) == ("2026-06-01", "gemini-3.5-flash-lite", "")
    assert (licensed["architecture"]["moe"]["experts"], licensed["weights"][2]["format"]) == (16, "w4a16")
    assert "Permitted there: deepseek-v3" in licensed["licence_notice"]


def test_an_unknown_model_is_one_line_and_exit_code_2() -> None:
    done = _run("show", "llama-4-scuot")

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("There is no model 'llama-4-scuot' in the catalog. Similar: llama-4-scout")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("by_variable", [True, False])
def test_the_operators_folder_is_read(folder: Path, by_variable: bool) -> None:
    given = {"CHINWAG_MODEL_CATALOG": str(folder)} if by_variable else {}
    done = _run("show", "own", *([] if by_variable else ["--catalog", str(folder)]), env=given)

    assert done.exit_code == 0
    # What an operator writes is shown as written.
    assert "Our [bold]own[/bold]" in done.output


def test_a_wrong_file_of_the_operators_stops_every_command(folder: Path) -> None:
    (folder / "own.toml").write_text(_OWN.replace("8192", '"long"'), "utf-8")
    told = f'{folder}/own.toml, line 5: context must be a whole number, not the text "long"\n'

    for arguments in (("list",), ("show", "gpt-4o")):
        done = _run(*arguments, "--catalog", str(folder))
        assert (done.exit_code, done.stdout, done.stderr) == (2, "", told)


@pytest.mark.parametrize(
    "env",
    [
        {"MODEL_NAME": "meta-llama/Llama-4-Scout-17B-16E-Instruct"},
        {"CHINWAG_MODEL_NAME": "llama-4-scout"},
        {"MODEL": "hf:someone/Llama-4-Scout-17B-16E-Instruct-GGUF/q4.gguf"},
    ],
)
def test_doctor_tells_where_a_configured_model_has_no_licence(env: dict[str, str]) -> None:
    assert "in the EU. Permitted there: deepseek-v3, mistral-small-3.1, gemma-3-27b." in licence_line(env)


@pytest.mark.parametrize("env", [{}, {"MODEL_NAME": "deepseek-ai/DeepSeek-V3-0324"}, {"CHINWAG_MODEL_NAME": "default", "MODEL": "tiny"}])
def test_doctor_is_silent_where_nothing_must_be_said(env: dict[str, str]) -> None:
    assert licence_line(env) == ""
