"""A vLLM plugin: on vLLM's CPU backend a linear layer takes its input however it lies in memory, as it does on a GPU.

vLLM 0.32's oneDNN kernel raises "Expected a.stride(-1) == 1" where the numbers of a row are not side by side, and an error in a layer ends the
whole engine. Llama 4's vision encoder hands it such an input. Once a test of tests/engine/test_plugin.py says that the kernel takes it, this file
and its entry point (group vllm.general_plugins) can go. vLLM calls `register` in each of its processes.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable
from typing import Any

from inference.engines.cpu_experts import EngineChanged

_OPERATORS = "vllm._custom_ops"
#: The parameters of onednn_mm in vLLM 0.32.
_PARAMETERS = ("dnnl_handler", "x", "bias")
_MARK = "chinwag_cpu_linear"
# A child of vLLM's own logger, so that its handlers and its level apply.
_log = logging.getLogger("vllm.chinwag.cpu_linear")


def register() -> None:
    """Patch the CPU backend in this process; on any other backend nothing happens. Raises EngineChanged where vLLM is not as expected."""
    platforms: Any = importlib.import_module("vllm.platforms")
    if not platforms.current_platform.is_cpu():
        return
    operators: Any = importlib.import_module(_OPERATORS)
    kernel = getattr(operators, "onednn_mm", None)
    if kernel is None:
        raise _changed(f"there is no {_OPERATORS}.onednn_mm")
    if hasattr(kernel, _MARK):
        return
    found = tuple(inspect.signature(kernel).parameters)
    if found != _PARAMETERS:
        raise _changed(f"onednn_mm takes ({', '.join(found)})")
    operators.onednn_mm = side_by_side(kernel)
    _log.info("Linear layers on CPUs take any input, by chinwag's plugin cpu_linear.")


def side_by_side(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the kernel so that it gets a copy of an input whose rows it could not read. Any other input is passed on as it is."""

    def onednn_mm(dnnl_handler: Any, x: Any, bias: Any) -> Any:
        return kernel(dnnl_handler, x if x.stride(-1) == 1 else x.contiguous(), bias)

    setattr(onednn_mm, _MARK, True)
    return onednn_mm


def _changed(what: str) -> EngineChanged:
    return EngineChanged(what, plugin="cpu_linear", until="vLLM's kernel takes a transposed input", without="Llama 4's pictures on CPUs")
