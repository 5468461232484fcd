"""Runs pieces of code in the engine environment's Python, each in a child forked off one process that has imported vLLM already.

Run by that Python: reads one JSON string of code a line, answers each with one JSON line, `[whether it ended well, what it printed]`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback

import vllm.entrypoints.launchers.cli_args
import vllm.model_executor.layers.fused_moe.experts.cpu_moe
import vllm.utils.argparse_utils  # noqa: F401 - imported for those that are forked off


def _answer(code: str) -> tuple[bool, str]:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(code, {"__name__": "inside"})
    except BaseException:  # noqa: BLE001 - shown by the test
        return False, traceback.format_exc()
    return True, printed.getvalue()


def _forked(code: str) -> str:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        with os.fdopen(write, "w", encoding="utf-8") as pipe:
            pipe.write(json.dumps(_answer(code)))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return said or json.dumps((False, f"it ended with {status}"))


for line in sys.stdin:
    print(_forked(json.loads(line)), flush=True)
