"""What can be tested without starting an engine: how vLLM parses our plans, what it refuses on a CPU, and a kernel that is wrong there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference.plan import Plan, Question
from tests.engine.conftest import Inside
from tests.support.plans import FP8, NVFP4, a_plan

_PLANS = {
    "one GPU": ("llama-4-scout", "h100", Question(kv="fp8")),
    "one host": ("llama-4-maverick", "8xH100", Question(format=FP8, kv="fp8", offload_gib=200)),
    "a draft": ("llama-4-maverick", "8xH100", Question(format=FP8, speculative=True)),
    "more experts": ("deepseek-v3", "8xH200", Question(redundant_experts=32, prefer="throughput")),
    "four bits": ("deepseek-v3", "8xB200", Question(format=NVFP4)),
    "two hosts, ranks": ("deepseek-v3", "16xH100", Question(prefer="throughput")),
    "two hosts, stages": ("deepseek-v3", "16xH100", Question(prefer="latency")),
    "three hosts": ("llama-4-behemoth", "24xH200", Question()),
    "Gemma": ("gemma-3-27b", "h100", Question()),
    "Mistral": ("mistral-small-3.1", "h100", Question()),
}
_PARSED = """
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
args = make_arg_parser(FlexibleArgumentParser()).parse_args({arguments!r})
"""
_FIELDS = """
import json
print(json.dumps([args.model_tag, args.tensor_parallel_size, args.pipeline_parallel_size, args.data_parallel_size, args.enable_expert_parallel,
                  args.max_model_len, args.nnodes, args.node_rank, args.headless]))
"""
_CONFIG = """
from vllm.engine.arg_utils import AsyncEngineArgs
args.model = args.model_tag
try:
    AsyncEngineArgs.from_cli_args(args).create_engine_config()
except ValueError as error:
    print(str(error).replace("\\n", " "))
"""


@pytest.mark.parametrize("name", _PLANS)
def test_vllms_own_parser_takes_a_plans_commands_as_they_are_meant(inside: Inside, name: str) -> None:
    model, gpus, question = _PLANS[name]
    plan = a_plan(model, gpus, question)

    for host, command in enumerate(plan.commands):
        parsed = json.loads(inside(_PARSED.format(arguments=list(command.argv[2:])) + _FIELDS))
        assert parsed == _meant(plan, host)


def _meant(plan: Plan, host: int) -> list[object]:
    layout = plan.layout
    by_stages = layout.nodes > 1 and layout.dp == 1
    return [
        plan.commands[host].argv[2],
        layout.tp,
        layout.pp,
        layout.dp,
        layout.ep > 1,
        plan.context,
        layout.nodes if by_stages else 1,
        host if by_stages else 0,
        host > 0,
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ["--tensor-parallel-size", "2", "--enable-expert-parallel", "--enable-eplb"],
            "Expert parallelism load balancing is only supported on",
        ),
        (["--enable-sleep-mode"], "Sleep mode is not supported on current platform"),
    ],
    ids=["expert load balancing", "sleep mode"],
)
def test_what_needs_a_gpu_is_refused_on_a_cpu(inside: Inside, checkpoints: Path, arguments: list[str], reason: str) -> None:
    assert reason in inside(_PARSED.format(arguments=[str(checkpoints / "llama4"), *arguments]) + _CONFIG)


def test_the_cpus_rotary_kernel_turns_the_wrong_numbers_of_mlas_queries(inside: Inside) -> None:
    # Why DeepSeek is served with `custom_ops: none` on a CPU: its queries have three dimensions. Once this fails, that can go.
    code = """
import torch
from vllm.config import VllmConfig, set_current_vllm_config
from vllm.model_executor.layers.rotary_embedding.base import RotaryEmbedding
torch.manual_seed(1)
with set_current_vllm_config(VllmConfig()):
    rope = RotaryEmbedding(64, 64, 128, 10000.0, False, torch.float32)
tokens, heads = 5, 4
positions, queries, key = torch.arange(tokens), torch.randn(tokens, heads, 192), torch.randn(tokens, 1, 64)
tail = queries[..., 128:]
right = rope.forward_native(positions, tail.clone(), key.clone())[0].reshape(tokens, -1)
whole = rope.forward_cpu(positions, tail.reshape(tokens, -1).clone(), key.reshape(tokens, -1).clone())[0]
view = rope.forward_cpu(positions, queries.clone()[..., 128:], key.clone())[0].reshape(tokens, -1)
print(torch.allclose(right, whole, atol=1e-4), torch.allclose(right, view, atol=1e-1))
"""

    assert inside(code) == "True False"
