"""`chinwag model serve` on bad input: one line, exit code 2, nothing started; and what it prints where the plan fits."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from chinwag.cli import build
from chinwag.cli.model import app
from inference.engines.reasons import option


def _serve(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["serve", *arguments])


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Folders as a person may name them."""
    for name, files in {"empty": [], "config": ["config.json"], "whole": ["config.json", "model.safetensors"]}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "say what to serve"),
        ("--model nope --gpus 8xH100", "There is no model 'nope'"),
        ("--model deepseek-v3 --gpus 9xFOO", "'9xFOO' does not name GPUs"),
        ("--model deepseek-v3 --gpus 9xH100", "whole hosts of 8"),
        ("--model deepseek-v3", "say which GPUs serve deepseek-v3"),
        ("--model mistral-small-3.1 --gpus h100 --context 1M", "reads at most 131,072 tokens"),
        ("--model mistral-small-3.1 --gpus h100 --context soon", "a context is a number of tokens"),
        ("--model mistral-small-3.1 --gpus h100 --format int3", "--format takes bf16"),
        ("--model mistral-small-3.1 --gpus h100 --kv int3", "--kv takes auto, fp8, not 'int3'"),
        ("--model mistral-small-3.1 --gpus h100 --port 0", "--port 0 is not a port"),
        ("--model llama-4-scout --gpus 8xH100", "--accept-licence"),
        ("--model llama-4-maverick --gpus 8xH100 --print", "--accept-licence"),
        ("--model deepseek-v3 --gpus 8xH100", "does not fit 8xH100: fp8 as tp8 ep8 is"),
        ("--model llama-4-behemoth --gpus 24xH200", "were not published"),
        ("--model gemini-2.0-flash --gpus 8xH100", "was switched off on 2026-06-01"),
        ("--model gpt-4o --gpus 8xH100", "its weights are not available"),
        ("--path {}/missing", "is not a folder"),
        ("--path {}/empty", "has no config.json"),
        ("--path {}/config", "has a config but no weights"),
        ("--attach ftp://x", "is not an http(s) address"),
        ("--attach http://127.0.0.1:9 --with-worker", "needs --slots"),
        ("--attach http://127.0.0.1:9 --model deepseek-v3", "give one of --attach"),
        ("--attach http://127.0.0.1:9 --print", "no command to print"),
        ("--model deepseek-v3 --gpus 16xH100 --node 2", "the plan has 2 hosts, from 0"),
        ("--model deepseek-v3 --gpus 16xH100 --node 1 --with-worker", "belongs on the first host"),
        ("--model deepseek-v3 --gpus 16xH100", "this plan is for 2 hosts: give --head"),
        ("--model deepseek-v3 --gpus 16xH100 --node 1", "this plan is for 2 hosts: give --head"),
        ("--path {}/whole -- --max-num-seqs many", "--max-num-seqs must be a number of at least 1, not 'many'"),
        ("--path {}/whole -- --ssl-certfile cert.pem", "--ssl-certfile: an engine that is started here is called over plain HTTP"),
        ("--path {}/m.gguf --model deepseek-v3", "a .gguf file is served by llama.cpp"),
        ("--path {}/m.gguf --host 0.0.0.0", "a .gguf file is served by llama.cpp"),
    ],
)
def test_what_cannot_be_served_is_one_line_that_says_what_to_do(folders: Path, arguments: str, words: str) -> None:
    done = _serve(*shlex.split(arguments.format(folders)))
    said = [line for line in done.stderr.splitlines() if not line.startswith("Note: ")]

    assert done.exit_code == 2
    assert len(said) == 1
    assert said[0].startswith("Cannot serve: ")
    assert words in said[0]
    assert done.stdout == ""


def test_a_refused_licence_names_where_it_stands_and_what_the_eu_may_take() -> None:
    (line,) = _serve("--model", "llama-4-scout", "--gpus", "8xH100").stderr.splitlines()

    assert "https://" in line
    assert "deepseek-v3" in line


def test_an_accepted_licence_and_a_fitting_plan_give_the_command() -> None:
    done = _serve("--model", "llama-4-scout", "--gpus", "8xH100", "--accept-licence", "--print")
    (command,) = done.stdout.splitlines()
    argv = shlex.split(command)

    assert done.exit_code == 0
    assert argv[:3] == ["vllm", "serve", "meta-llama/Llama-4-Scout-17B-16E-Instruct"]
    assert (option(argv, "--served-model-name"), option(argv, "--host"), option(argv, "--port")) == ("llama-4-scout", "127.0.0.1", "8000")


def test_serve_takes_every_option_of_a_plan() -> None:
    # Many replies at once: data parallelism over both hosts, which only --prefer chooses; four engines share a host's memory.
    more = ["--prefer", "throughput", "--offload-gib", "800"]
    first, _ = _serve("--model", "deepseek-v3", "--gpus", "16xH100", *more, "--print").stdout.splitlines()
    argv = shlex.split(first)

    assert (option(argv, "--data-parallel-size"), option(argv, "--kv-offloading-size")) == ("8", "200")


def test_serve_and_plan_take_the_same_words_for_the_same_questions() -> None:
    root = build()
    plan, serve = (_options(root, *path) for path in (["plan"], ["model", "serve"]))

    assert plan - serve == {"--json", "--picture", "--emit"}


def _options(app: typer.Typer, *path: str) -> set[str]:
    command = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]  # pyright: ignore[reportAttributeAccessIssue] - a group
    return {flag for parameter in command.params for flag in parameter.opts if flag.startswith("--")}


def test_two_hosts_have_two_commands_and_only_the_first_one_listens() -> None:
    first, second = (
        shlex.split(line)
        for line in _serve("--model", "deepseek-v3", "--gpus", "16xH100", "--head", "10.1.1.1", "--print").stdout.splitlines()
    )

    assert (option(first, "--headless"), option(second, "--headless")) == (None, "")
    assert (option(first, "--port"), option(second, "--port")) == ("8000", None)
    assert {option(one, "--master-addr") for one in (first, second)} == {"10.1.1.1"}


def test_a_plan_that_does_not_fit_is_tried_anyway_when_told() -> None:
    done = _serve("--model", "deepseek-v3", "--gpus", "8xH100", "--anyway", "--print")

    assert done.exit_code == 0
    assert "--tensor-parallel-size 8" in done.stdout


def test_what_the_person_adds_stands_in_the_place_of_the_plans_own(folders: Path) -> None:
    more = ["--", "--max-num-seqs", "33", "--enforce-eager"]
    planned = shlex.split(_serve("--model", "mistral-small-3.1", "--gpus", "h100", "--print", *more).stdout)
    plain = shlex.split(_serve("--path", str(folders / "whole"), "--name", "mine", "--context", "4k", "--print", *more).stdout)

    assert planned.count("--max-num-seqs") == 1
    assert option(planned, "--max-num-seqs") == "33"
    assert plain[:3] == ["vllm", "serve", str(folders / "whole")]
    assert (option(plain, "--max-model-len"), option(plain, "--served-model-name")) == ("4096", "mine")
    assert plain[-3:] == ["--max-num-seqs", "33", "--enforce-eager"]


def test_where_it_listens_and_what_it_is_called_may_stand_behind_the_hyphens_too(folders: Path) -> None:
    more = ["--", "--port", "9000", "--served_model_name", "mine"]
    argv = shlex.split(_serve("--path", str(folders / "whole"), "--print", *more).stdout)

    assert (argv.count("--port"), option(argv, "--port")) == (1, "9000")
    assert [argument for argument in argv if "name" in argument] == ["--served_model_name"]
    assert option(argv, "--served-model-name") == "mine"


def test_a_model_file_is_served_by_llama_cpp() -> None:
    argv = shlex.split(_serve("--path", "/models/small.gguf", "--context", "4k", "--print").stdout)

    assert argv[1:] == [
        *("-m", "inference.engines.llamacpp", "--model", "/models/small.gguf", "--alias", "small", "--port", "8000", "--ctx", "4096")
    ]


def test_a_plans_weights_may_lie_in_a_folder(folders: Path) -> None:
    argv = shlex.split(_serve("--model", "mistral-small-3.1", "--gpus", "h100", "--path", str(folders / "whole"), "--print").stdout)

    assert argv[2] == str(folders / "whole")
    assert option(argv, "--tensor-parallel-size") == "1"
