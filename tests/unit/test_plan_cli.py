"""`chinwag plan` as a person or a script uses it: exit codes, one JSON object, one line for what cannot be asked."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from typer.testing import CliRunner, Result

from chinwag.cli import build

_MODELS = {
    "llama-4-scout": "8xH100",
    "llama-4-maverick": "8xH100",
    "llama-4-behemoth": "24xH200",
    "deepseek-v3": "8xH200",
    "gemma-3-27b": "1xH100",
    "mistral-small-3.1": "1xH100",
}


def _run(arguments: str) -> Result:
    return CliRunner().invoke(build("plan"), ["plan", *shlex.split(arguments)])


def _json(arguments: str) -> dict[str, object]:
    done = _run(f"{arguments} --json")

    assert done.exit_code == 0
    row = json.loads(done.stdout)
    assert isinstance(row, dict)
    return row


@pytest.mark.parametrize("model", sorted(_MODELS))
def test_every_open_model_has_a_plan_on_its_usual_gpus(model: str) -> None:
    row = _json(f"--model {model} --gpus {_MODELS[model]}")

    assert (row["fits"], row["why_not"], row["context"]) == (True, None, 32_768)
    done = _run(f"--model {model} --gpus {_MODELS[model]}")
    assert done.exit_code == 0
    assert "vllm serve" in done.stdout
    assert "fits" in done.stdout
    assert ("weights not published" in done.stdout) == (model == "llama-4-behemoth")


def test_what_does_not_fit_is_an_answer_too() -> None:
    row = _json("--model deepseek-v3 --gpus 8xH100 --format fp8")
    done = _run("--model deepseek-v3 --gpus 8xH100 --format fp8")

    assert row["fits"] is False
    assert "14.2 GB too large for each GPU" in str(row["why_not"])
    assert (row["command"], row["cost_per_1000"], row["tokens_per_s"], row["conversations"]) == (None, None, None, 0)
    assert "What would fit" in done.stdout
    assert "--gpus 16xH100" in done.stdout


def test_json_has_the_promised_keys() -> None:
    row = _json("--model llama-4-maverick --gpus 8xH100 --format fp8 --contacts 20000")

    assert row["layout"] == {"tp": 8, "dp": 1, "ep": 8, "pp": 1, "nodes": 1}
    assert (row["weights_gb_per_gpu"], row["kv_bytes_per_token"]) == (52.12, 196_608)
    cost = row["cost_per_1000"]
    assert isinstance(cost, dict)
    assert list(cost) == ["30", "60", "100"]
    assert cost["30"] > cost["60"] > cost["100"] > 0
    assert str(row["command"]).startswith("vllm serve meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8 ")
    assert row["demand"] is not None


def test_json_has_the_reply_that_was_reckoned_with() -> None:
    given = _json("--model mistral-small-3.1 --gpus h100 --tokens-in 5000 --tokens-out 200 --cached 0.5")
    cut = _json("--model mistral-small-3.1 --gpus h100 --context 2k")

    assert given["reply"] == {"tokens_in": 5000, "cached": 0.5, "tokens_out": 200}
    assert cut["reply"] == {"tokens_in": 2048 - 150, "cached": 0.75, "tokens_out": 150}


def test_a_million_tokens_have_their_price_for_an_endpoint() -> None:
    prices = _json("--model llama-4-scout --gpus h100 --kv fp8")["cost_per_million"]

    assert isinstance(prices, dict)
    assert list(prices) == ["30", "60", "100"]
    assert all(price["cached"] == 0 < price["in"] < price["out"] for price in prices.values())
    assert f"${prices['30']['in']:.3f} and ${prices['30']['out']:.2f} at 30%" in _run("--model llama-4-scout --gpus h100 --kv fp8").stdout


def test_a_command_without_more_words_shows_its_help() -> None:
    done = CliRunner().invoke(build("model"), ["model"])

    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: " in done.stderr


def test_warnings_go_to_stderr_and_leave_stdout_to_the_plan() -> None:
    done = _run("--model llama-4-behemoth --gpus 24xH200 --json")

    json.loads(done.stdout)
    assert "weights not published" in done.stderr
    assert "EU" in _run("--model llama-4-scout --gpus 8xH100 --json").stderr


def test_sixteen_gpus_are_two_hosts_with_a_command_each() -> None:
    row = _json("--model deepseek-v3 --gpus 16xH100 --prefer throughput --head 192.0.2.1")
    commands = str(row["command"]).splitlines()

    assert len(commands) == 2
    assert all("--data-parallel-address 192.0.2.1" in command for command in commands)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--model llama-5 --gpus 8xH100", "llama-5"),
        ("--model llama-4-scout --gpus 12xH100", "so 8 or 16, not 12"),
        ("--model llama-4-scout --gpus 8xTPU", "the kinds are"),
        ("--model llama-4-scout --gpus 0xH100", "1 to 64 hosts"),
        ("--model mistral-small-3.1 --gpus h100 --context 1M", "at most 131,072 tokens"),
        ("--model mistral-small-3.1 --gpus h100 --context lots", "such as 32k"),
        ("--model mistral-small-3.1 --gpus h100 --format nvfp4", "its formats are"),
        ("--model mistral-small-3.1 --gpus h100 --format int3", "--format takes bf16, fp8, w4a16, nvfp4"),
        ("--model mistral-small-3.1 --gpus h100 --kv int8", "--kv takes auto, fp8"),
        ("--model mistral-small-3.1 --gpus h100 --prefer speed", "--prefer takes latency, throughput"),
        ("--model mistral-small-3.1 --gpus h100 --emit helm", "--emit takes compose, kubernetes"),
        ("--model mistral-small-3.1 --gpus h100 --cached 1", "a cached share of at least 0"),
        ("--model mistral-small-3.1 --gpus h100 --picture plan.png", "ends in .svg"),
        ("--model mistral-small-3.1 --gpus h100 --picture /nowhere/plan.svg", "cannot write"),
        ("--model gemini-2.0-flash --gpus 8xH100", "switched off on 2026-06-01"),
        ("--model llama-4-scout --gpus 8xH100 --catalog /nowhere", "/nowhere"),
        # What the command line itself cannot read.
        ("--model mistral-small-3.1 --gpus h100 --contacts abc", "Invalid value for '--contacts'"),
        ("--model mistral-small-3.1 --gpus h100 --tp x", "Invalid value for '--tp'"),
        ("--model mistral-small-3.1 --gpus h100 --formt fp8", "No such option: --formt"),
        ("--model mistral-small-3.1", "Missing option '--gpus'"),
        (
            "--model llama-4-scout --gpus h100 --kv fp8 --tokens-in 100000",
            "a prompt of 100,000: give --context 98k or more, or shorter ones",
        ),
        ("--model mistral-small-3.1 --gpus h100 --tokens-in 200000", "a prompt of 200,000: give shorter ones"),
        ("--model mistral-small-3.1 --gpus h100 --tokens-out 40000", "a question: give --context 40k or more, or shorter ones"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_exit_code_two(arguments: str, said: str) -> None:
    done = _run(f"{arguments} --json")

    assert (done.exit_code, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_the_picture_is_written_where_it_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "plan.svg"
    done = _run(f"--model llama-4-maverick --gpus 8xH100 --picture {path}")

    assert done.exit_code == 0
    assert ET.parse(path).getroot().tag.endswith("svg")


@pytest.mark.parametrize("form", ["compose", "kubernetes"])
def test_fragments_are_all_that_is_printed(form: str) -> None:
    done = _run(f"--model deepseek-v3 --gpus 16xH100 --emit {form}")

    assert done.exit_code == 0
    assert list(yaml.safe_load_all(done.stdout))
    assert _json(f"--model deepseek-v3 --gpus 16xH100 --emit {form}")["fragment"] == done.stdout


def test_help_teaches_by_example() -> None:
    said = _run("--help").stdout

    assert "chinwag plan --model llama-4-scout --gpus h100 --kv fp8" in said
    assert "exit code 0" in said
