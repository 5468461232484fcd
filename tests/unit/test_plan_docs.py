"""docs/serving.md shows what plans say today: its table, its pictures, its commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bench.plans import table
from chinwag.cli import build
from inference.plan import Plan, Question
from inference.plan.picture import svg
from tests.support.plans import FP8, NVFP4, a_plan

_DOCS = Path(__file__).parents[2] / "docs"
_TEXT = (_DOCS / "serving.md").read_text("utf-8")
_COMMANDS = [
    line for block in re.findall(r"```\n(.*?)```", _TEXT, re.DOTALL) for line in block.splitlines() if line.startswith("chinwag plan")
]
_ROOT = _DOCS.parent
#: Lines of code blocks, and words in the text.
_NAMED = re.compile(r"^(?:\.venv/bin/)?chinwag (?!&&)(?P<line>.+)$|`(?:\.venv/bin/|python -m )?chinwag (?P<words>[^`]+)`", re.MULTILINE)
_CHINWAG = [
    (path.name, " ".join((found["line"] or found["words"]).split()))
    for path in (_ROOT / "README.md", _ROOT / "CHANGELOG.md", *sorted(_DOCS.rglob("*.md")))
    for found in _NAMED.finditer(path.read_text("utf-8"))
]
_PICTURES = {
    "plan-maverick-8xh100.svg": ("llama-4-maverick", "8xH100", Question(format=FP8)),
    "plan-scout-h100.svg": ("llama-4-scout", "h100", Question(kv="fp8")),
    "plan-deepseek-8xh100.svg": ("deepseek-v3", "8xH100", Question(format=FP8)),
    "plan-deepseek-16xh100.svg": ("deepseek-v3", "16xH100", Question(prefer="throughput")),
}


def test_the_table_is_what_its_command_prints() -> None:
    shown = _TEXT.split("<!-- table: python -m bench.plans -->\n", 1)[1].split("\n<!-- end of table -->", 1)[0]

    assert shown == table()


@pytest.mark.parametrize("name", sorted(_PICTURES))
def test_a_picture_is_what_the_plan_draws(name: str) -> None:
    model, gpus, question = _PICTURES[name]

    assert f"pictures/{name}" in _TEXT
    assert (_DOCS / "pictures" / name).read_text("utf-8") == svg(a_plan(model, gpus, question))


@pytest.mark.parametrize("line", _COMMANDS)
def test_every_command_runs(line: str) -> None:
    done = CliRunner().invoke(build("plan"), shlex.split(line)[1:])

    assert done.exit_code == 0
    assert done.stdout


@pytest.mark.parametrize(("name", "line"), _CHINWAG, ids=[f"{name}-{line[:40]}" for name, line in _CHINWAG])
def test_every_command_that_the_documents_name_is_there_with_its_options(name: str, line: str) -> None:
    command = typer.main.get_command(build())
    known = {"--help"}
    for word in shlex.split(line, comments=True):
        if word == "--":
            break
        commands = getattr(command, "commands", {})
        if word.startswith("--"):
            assert word.partition("=")[0] in known | {
                flag for parameter in command.params for flag in parameter.opts + parameter.secondary_opts
            }
        elif commands:
            # `parse|send` names two.
            assert [one for one in word.split("|") if one not in commands] == []
            command = commands[word.split("|")[-1]]


def test_the_documents_name_many_commands() -> None:
    assert len(_CHINWAG) > 40
    assert {"README.md", "operations.md", "quickstart.md", "serving.md"} <= {name for name, _ in _CHINWAG}


def test_the_sentence_on_cost_is_computed() -> None:
    # Rent a day over the hosted price: 8 x $3 x 24 h / $0.72; and the load at which the machine makes that many.
    full = a_plan("llama-4-maverick", "8xH100", Question(format=FP8))
    measured = a_plan("llama-4-maverick", "8xH100", Question(format=FP8, at_once=64))
    scout = a_plan("llama-4-scout", "h100", Question(kv="fp8"))
    blackwell = a_plan("llama-4-scout", "b200", Question(kv="fp8", format=NVFP4))
    said = [
        f"below {_line(full)[1]:,.0f} replies a day",
        f"at {_line(full)[0]:.0%} of full load, and at {_line(measured)[0]:.0%} with the 64".replace("%", " %"),
        f"cost ${_price(full):.2f} to ${_price(measured):.2f} on these GPUs",
        f"the line is {round(_line(scout)[1], -3):,.0f} replies a day, {_line(scout)[0]:.0%} of full load".replace("%", " %"),
        f"from {_line(blackwell)[0]:.0%} load".replace("%", " %"),
    ]
    fp8_cache = a_plan("llama-4-maverick", "8xH100", Question(format=FP8, kv="fp8"))
    said.append(f"(${_price(fp8_cache):.2f} in the table, with the fp8 one)")
    # 60,000 replies a day hosted, against the rent of a day.
    said.append(f"{round(8 * 3 * 24 / (60 * _hosted(full)))} times cheaper than Maverick's machine")
    text = " ".join(_TEXT.split())

    assert [sentence for sentence in said if sentence not in text] == []


def test_the_prices_of_the_compared_endpoints_are_the_plans() -> None:
    scout = a_plan("llama-4-scout", "h100", Question(kv="fp8"))
    deepseek = a_plan("deepseek-v3", "8xH200")

    assert f"endpoint change gpu-1 {_options(scout)}" in _TEXT
    assert f"--url http://10.0.0.21:8000/v1 {_options(deepseek)}" in _TEXT


def _options(plan: Plan) -> str:
    assert plan.cost is not None
    price = dict(plan.cost.per_million)[0.3]
    return f"--price-in {price.tokens_in:.2f} --price-cached {price.tokens_cached:g} --price-out {price.tokens_out:.2f}"


def test_what_host_memory_adds_is_what_plans_say() -> None:
    llama = a_plan("llama-4-scout", "h100", Question(kv="fp8", offload_gib=200)).offloaded
    deepseek = a_plan("deepseek-v3", "8xH200", Question(offload_gib=200)).offloaded

    assert f"adds host memory: {llama} more of Llama 4 with fp8 KV, {deepseek} of DeepSeek" in " ".join(_TEXT.split())


def _hosted(plan: Plan) -> float:
    assert plan.cost is not None
    return next(rival.per_1000 for rival in plan.cost.rivals if rival.same_model)


def _line(plan: Plan) -> tuple[float, float]:
    """Load and replies a day at which the plan beats the cheapest hosted offer of the same model."""
    assert plan.cost is not None
    rival = next(rival for rival in plan.cost.rivals if rival.same_model)
    assert rival.break_even is not None
    assert rival.replies_a_day is not None
    return rival.break_even, rival.replies_a_day


def _price(plan: Plan) -> float:
    assert plan.cost is not None
    return dict(plan.cost.per_1000)[0.3]
