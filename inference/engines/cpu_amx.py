"""A vLLM plugin: on processors with AMX, each process asks Linux for leave to use it before vLLM's attention does.

Linux gives AMX's registers only to a process that has asked for them (arch_prctl, ARCH_REQ_XCOMP_PERM, since Linux 5.16), and ends any other with an
illegal instruction. vLLM 0.32's CPU attention takes its kernels for AMX, in bf16, wherever torch says that the processor has it. Whether anything has
asked by then depends on what ran before (findings/torch-amx-is-supported-before-it-is-allowed.sh); with Gemma 3 and Mistral 3 the first question ended
the engine. Where leave is refused, as in some sandboxes, torch is made to say no. Once vLLM asks by itself, this file and its entry point (group
vllm.general_plugins) can go. vLLM calls `register` in each of its processes.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

from inference.engines.cpu_experts import EngineChanged

# A child of vLLM's own logger, so that its handlers and its level apply.
_log = logging.getLogger("vllm.chinwag.cpu_amx")


def register() -> None:
    """Ask for AMX in this process; on any backend but the CPU's, and without AMX, nothing happens. Raises EngineChanged where torch is not as expected."""
    platforms: Any = importlib.import_module("vllm.platforms")
    if not platforms.current_platform.is_cpu():
        return
    cpu: Any = importlib.import_module("torch.cpu")
    try:
        has_amx, ask = cpu._is_amx_tile_supported, cpu._init_amx  # noqa: SLF001 - torch has no public name for either
    except AttributeError as error:
        raise EngineChanged(
            f"there is no torch.cpu.{error.name}", plugin="cpu_amx", until="vLLM asks for AMX", without="vLLM on processors with AMX"
        ) from error
    if not has_amx():
        return
    if ask():
        _log.info("AMX may be used, by chinwag's plugin cpu_amx.")
    else:
        cpu._is_amx_tile_supported = _is_refused  # noqa: SLF001 - vLLM asks for it by this name each time
        _log.info("AMX is there and may not be used: vLLM does without, by chinwag's plugin cpu_amx.")


def _is_refused() -> bool:
    return False
