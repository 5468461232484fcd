"""Commands, fragments and pictures say what the plan says."""

from __future__ import annotations

import json
import re
import shlex
from xml.etree import ElementTree as ET

import pytest
import yaml
from typer.testing import CliRunner

from bots.admin.endpoints.presets import presets
from chinwag.cli.model import app
from inference.engines.reasons import option
from inference.plan import Forced, Plan, Question
from inference.plan.assignment import assignments
from inference.plan.fragments import compose, emit, kubernetes
from inference.plan.picture import svg
from tests.support.plans import CATALOG, FP8, NVFP4, a_plan


def _options(plan: Plan, host: int = 0) -> dict[str, str]:
    """Read a command's options back from its line for a shell."""
    words = [word for word in shlex.split(plan.commands[host].text) if "=" not in word or word.startswith("{")]
    assert words[:2] == ["vllm", "serve"]
    found: dict[str, str] = {}
    for word, following in zip(words[3:], [*words[4:], "--"], strict=True):
        if word.startswith("--"):
            assert word not in found
            found[word] = "" if following.startswith("--") else following
    return found


def test_one_host_gets_one_command_with_the_layout_and_what_memory_was_reckoned_with() -> None:
    plan = a_plan("llama-4-maverick", "8xH100", Question(format=FP8, kv="fp8", offload_gib=200, speculative=True))
    options = _options(plan)

    assert shlex.split(plan.commands[0].text)[2] == "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8"
    expected = {
        "--tensor-parallel-size": "8",
        "--enable-expert-parallel": "",
        "--max-model-len": "32768",
        "--max-num-batched-tokens": "8192",
        "--gpu-memory-utilization": "0.92",
        "--kv-cache-dtype": "fp8",
        "--kv-offloading-size": "200",
        "--kv-offloading-backend": "native",
        "--scheduling-policy": "priority",
        "--enable-prompt-tokens-details": "",
        "--limit-mm-per-prompt": '{"image": 5}',
    }
    assert expected == {name: options[name] for name in expected}
    assert json.loads(options["--speculative-config"])["method"] == "eagle3"
    assert "--data-parallel-size" not in options


@pytest.mark.parametrize("model", [model.key for model in CATALOG.models if model.kind == "open"])
def test_an_engine_is_called_by_its_key_in_requests_presets_and_probes(model: str) -> None:
    # One name, whichever file set is served: else an endpoint made from the catalog asks its own engine for a model that it does not know.
    plan = a_plan(model, "8xH200")
    preset = next(one for one in presets(CATALOG) if one.key == f"own:{model}")
    deployment, _ = yaml.safe_load_all(kubernetes(plan))
    probe = deployment["spec"]["template"]["spec"]["containers"][0]["startupProbe"]["exec"]["command"][2]
    arguments = ["serve", "--model", model, "--gpus", "8xH200", "--accept-licence", "--print"]
    served = shlex.split(CliRunner().invoke(app, arguments).stdout.splitlines()[0])

    assert _options(plan)["--served-model-name"] == preset.model == model
    assert f'"model": "{model}"' in probe
    assert served.count("--served-model-name") == 1
    assert option(served, "--served-model-name") == model


@pytest.mark.parametrize(
    ("model", "parser"), [("llama-4-scout", None), ("deepseek-v3", None), ("gemma-3-27b", None), ("mistral-small-3.1", "mistral")]
)
def test_tool_calls_are_switched_on_only_with_a_template_that_knows_tools(model: str, parser: str | None) -> None:
    plan = a_plan(model, "8xH200")
    options = _options(plan)

    assert any("Tool calls are off" in one for one in plan.assumptions) == (parser is None)
    assert (options.get("--tool-call-parser"), "--enable-auto-tool-choice" in options) == (parser, parser is not None)


def test_a_dense_model_on_one_gpu_has_nothing_about_experts() -> None:
    options = _options(a_plan("mistral-small-3.1", "h100"))

    assert {"--enable-expert-parallel", "--kv-cache-dtype", "--speculative-config"}.isdisjoint(options)
    assert (options["--tokenizer-mode"], options["--load-format"]) == ("mistral", "mistral")


def test_redundant_experts_switch_eplb_on() -> None:
    options = _options(a_plan("deepseek-v3", "8xH200", Question(redundant_experts=32)))

    assert "--enable-eplb" in options
    assert json.loads(options["--eplb-config"]) == {"num_redundant_experts": 32}


def test_what_a_file_set_needs_from_the_environment_stands_before_its_command() -> None:
    plan = a_plan("deepseek-v3", "4xB200", Question(format=NVFP4))

    assert plan.commands[0].text.startswith("VLLM_USE_FLASHINFER_MOE_FP4=1 vllm serve nvidia/DeepSeek-V3-FP4 ")


def test_stages_over_hosts_find_each_other_by_rank_and_address() -> None:
    plan = a_plan("deepseek-v3", "16xH100", Question(forced=Forced(tp=8, pp=2), head="192.0.2.7"))
    head, follower = _options(plan, 0), _options(plan, 1)

    assert (head["--nnodes"], head["--node-rank"], head["--master-addr"], head["--pipeline-parallel-size"]) == ("2", "0", "192.0.2.7", "2")
    assert "--headless" not in head
    assert (follower["--node-rank"], follower["--headless"]) == ("1", "")


def test_data_parallel_hosts_are_a_head_and_headless_followers() -> None:
    plan = a_plan("deepseek-v3", "16xH100", Question(forced=Forced(dp=16)))
    head, follower = _options(plan, 0), _options(plan, 1)

    assert tuple(
        head[f"--{name}"] for name in ("data-parallel-size", "data-parallel-size-local", "api-server-count", "data-parallel-rpc-port")
    ) == ("16", "8", "8", "13345")
    assert tuple(
        follower[f"--{name}"] for name in ("data-parallel-size", "data-parallel-size-local", "data-parallel-start-rank", "headless")
    ) == ("16", "8", "8", "")
    assert "--api-server-count" not in follower


def test_host_memory_is_shared_by_the_engines_of_a_host() -> None:
    options = _options(a_plan("deepseek-v3", "8xH200", Question(forced=Forced(dp=8), offload_gib=800)))

    assert options["--kv-offloading-size"] == "100"


def test_an_engine_over_several_hosts_asks_each_of_them_for_no_more_than_it_has() -> None:
    # vLLM makes the whole buffer on every host, and refuses to start where it has no room.
    plan = a_plan("deepseek-v3", "16xH100", Question(forced=Forced(tp=8, pp=2), offload_gib=200))
    one_host = a_plan("deepseek-v3", "8xH200", Question(forced=Forced(tp=8), offload_gib=200))

    assert _options(plan)["--kv-offloading-size"] == "200"
    # Eight copies of the latent lie there, and without stages one.
    assert plan.offloaded is not None
    assert one_host.offloaded is not None
    assert one_host.offloaded // 8 - plan.offloaded in {0, 1, 2, 3}


def test_what_does_not_fit_has_no_command_and_no_fragment() -> None:
    plan = a_plan("deepseek-v3", "8xH100")

    assert plan.command is None
    assert {None} == {yaml.safe_load(emit(plan, form)) for form in ("compose", "kubernetes")}
    assert "Does not fit" in compose(plan)


@pytest.mark.parametrize("gpus", ["8xH200", "16xH100"])
def test_compose_starts_exactly_the_plans_commands(gpus: str) -> None:
    plan = a_plan("deepseek-v3", gpus, Question(prefer="throughput"))
    services = yaml.safe_load(compose(plan))["services"]

    assert [list(command.argv[2:]) for command in plan.commands] == [service["command"] for service in services.values()]
    reserved = [service["deploy"]["resources"]["reservations"]["devices"][0]["count"] for service in services.values()]
    assert [8] * len(plan.commands) == reserved


@pytest.mark.parametrize("gpus", ["8xH200", "16xH100"])
def test_a_stopping_container_has_the_time_that_the_engine_takes(gpus: str) -> None:
    plan = a_plan("deepseek-v3", gpus)
    drain = int(_options(plan)["--shutdown-timeout"])
    waits = [int(service["stop_grace_period"].removesuffix("s")) for service in yaml.safe_load(compose(plan))["services"].values()]
    waits += [int(found) for found in re.findall(r"terminationGracePeriodSeconds: (\d+)", kubernetes(plan))]

    assert len(waits) == 2 * len(plan.commands)
    assert [wait for wait in waits if wait <= drain] == []


def test_engines_over_hosts_may_lock_memory_and_say_that_they_ask_for_no_key() -> None:
    said = compose(a_plan("deepseek-v3", "16xH100"))

    assert {service["ulimits"]["memlock"] for service in yaml.safe_load(said)["services"].values()} == {-1}
    assert "asks for no key" in said
    assert "ulimits" not in compose(a_plan("deepseek-v3", "8xH200"))


def test_each_host_of_several_has_a_compose_profile_of_its_own() -> None:
    services = yaml.safe_load(compose(a_plan("deepseek-v3", "16xH100")))["services"]

    assert [service["profiles"] for service in services.values()] == [["host-0"], ["host-1"]]


def test_one_host_on_kubernetes_is_a_deployment_behind_a_service() -> None:
    plan = a_plan("mistral-small-3.1", "h100")
    deployment, service = yaml.safe_load_all(kubernetes(plan))
    pod = deployment["spec"]["template"]

    (container,) = pod["spec"]["containers"]
    assert (deployment["kind"], service["kind"]) == ("Deployment", "Service")
    assert list(plan.commands[0].argv) == container["command"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 1}
    # A second pod beside the first would wait for its GPUs for ever.
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert service["spec"]["selector"] == pod["metadata"]["labels"]
    compile(container["startupProbe"]["exec"]["command"][2], "probe", "exec")


def test_stages_on_kubernetes_are_a_group_that_knows_its_ranks_itself() -> None:
    plan = a_plan("deepseek-v3", "16xH100", Question(forced=Forced(tp=8, pp=2)))
    group, service = yaml.safe_load_all(kubernetes(plan))
    template = group["spec"]["leaderWorkerTemplate"]
    leader, worker = (template[f"{role}Template"]["spec"]["containers"][0]["command"] for role in ("leader", "worker"))

    assert (group["kind"], template["size"]) == ("LeaderWorkerSet", 2)
    for command in (leader, worker):
        assert command[command.index("--node-rank") + 1] == "$(LWS_WORKER_INDEX)"
        assert command[command.index("--master-addr") + 1] == "$(LWS_LEADER_ADDRESS)"
    assert ("--headless" in leader, "--headless" in worker) == (False, True)
    assert service["spec"]["selector"]["role"] == template["leaderTemplate"]["metadata"]["labels"]["role"]


def test_data_parallel_workers_on_kubernetes_work_out_their_first_rank() -> None:
    plan = a_plan("deepseek-v3", "24xH200", Question(forced=Forced(dp=24)))
    group, _ = yaml.safe_load_all(kubernetes(plan))
    template = group["spec"]["leaderWorkerTemplate"]
    leader, worker = (template[f"{role}Template"]["spec"]["containers"][0]["command"] for role in ("leader", "worker"))

    assert "--api-server-count" in leader
    assert worker[:2] == ["sh", "-c"]
    assert worker[2].endswith("--data-parallel-start-rank $((LWS_WORKER_INDEX * 8))")
    assert "--data-parallel-start-rank" not in worker[3:]


def test_seats_spread_all_experts_once() -> None:
    for question in (Question(forced=Forced(dp=16)), Question(forced=Forced(tp=8, dp=2)), Question(forced=Forced(tp=2, dp=8))):
        ranges = sorted(gpu.experts for gpu in assignments(a_plan("deepseek-v3", "16xH100", question)) if gpu.experts)

        assert [(16 * rank, 16 * rank + 15) for rank in range(16)] == ranges


def test_stages_hold_the_same_experts_of_other_layers() -> None:
    found = assignments(a_plan("deepseek-v3", "16xH100", Question(forced=Forced(tp=8, pp=2))))

    assert [gpu.experts for gpu in found[:8]] == [gpu.experts for gpu in found[8:]]
    assert [0] * 8 + [1] * 8 == [gpu.stage for gpu in found] == [gpu.host for gpu in found]


@pytest.mark.parametrize(
    ("model", "gpus"), [("llama-4-maverick", "8xH100"), ("deepseek-v3", "8xH100"), ("llama-4-behemoth", "64xH100"), ("gemma-3-27b", "h100")]
)
def test_the_picture_is_well_formed_and_says_what_the_plan_says(model: str, gpus: str) -> None:
    plan = a_plan(model, gpus)
    drawn = ET.fromstring(svg(plan))
    said = " ".join(drawn.itertext())

    assert plan.model.title in said
    assert ("Fits:" in said, "Does not fit:" in said) == (plan.fits, not plan.fits)
    assert f"{plan.memory.weights / 1e9:.1f} GB of weights" in said
