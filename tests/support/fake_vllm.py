"""Plays `vllm serve`: prints what vLLM prints while it loads, then becomes the scripted model server, on the port that it was given.

How it goes is chosen by the model's name: `tiny` serves; `slow` loads until the file beside it appears; `broken`, `gone` and `gpuless` end as
vLLM ends; `base` serves and answers no chat. FAKE_VLLM_ONCE names a file: where it is there, the next start fails by a crash and removes it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from inference.engines.reasons import model_of, option

_LOADING = """(APIServer pid=1) INFO 11-27 03:52:13 [model.py:733] Resolved architecture: LlamaForCausalLM
(Worker pid=3) INFO 11-27 03:52:46 [cpu_model_runner.py:68] Starting to load model tiny...
Loading safetensors checkpoint shards:   0% Completed | 0/2 [00:00<?, ?it/s]\r"""
_LOADED = """Loading safetensors checkpoint shards: 100% Completed | 2/2 [00:00<00:00,  1.10it/s]\r
(Worker pid=3) INFO 11-27 03:52:47 [default_loader.py:501] Loading weights took 0.93 seconds
(EngineCore pid=2) INFO 11-27 03:52:48 [kv_cache_utils.py:2327] GPU KV cache size: 46,592 tokens, Maximum concurrency for 8,192 tokens per request: 5.69x
INFO:     Application startup complete.
"""
_BROKEN = """(Worker pid=3) ERROR 11-27 03:49:48 [multiproc_executor.py:953] Traceback (most recent call last):
(Worker pid=3) ERROR 11-27 03:49:48 [multiproc_executor.py:953] safetensors._safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata, file not fully covered
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}
"""
_WORDS = {
    "broken": _BROKEN,
    "gone": "RuntimeError: Cannot find any model weights with `gone`\n",
    "gpuless": "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG`\n",
}


def main() -> None:
    """Load, and serve or fail."""
    arguments = sys.argv[1:]
    model = model_of(arguments) or ""
    once = os.environ.get("FAKE_VLLM_ONCE", "")
    if once and Path(once).exists():
        Path(once).unlink()
        os.kill(os.getpid(), signal.SIGSEGV)
    sys.stderr.write(_LOADING)
    sys.stderr.flush()
    if model in _WORDS:
        sys.stderr.write(_WORDS[model])
        sys.exit(1)
    if model.startswith("slow"):
        # A real load takes minutes; here the test says when it is over.
        while not Path(os.environ["FAKE_VLLM_GO"]).exists():
            time.sleep(0.02)
    sys.stderr.write(_LOADED)
    sys.stderr.flush()
    name = option(arguments, "--served-model-name") or model
    played = [
        "--model",
        name,
        "--flavour",
        "vllm",
        "--slots",
        option(arguments, "--max-num-seqs") or "0",
        "--key",
        option(arguments, "--api-key") or "",
    ]
    # vLLM answers 400 to a chat without a template; here no prompt is short enough.
    played += ["--context", "1"] if model == "base" else []
    where = ["--host", option(arguments, "--host") or "127.0.0.1", "--port", option(arguments, "--port") or "0"]
    os.execv(sys.executable, [sys.executable, "-m", "inference.scripted", *where, *played])


if __name__ == "__main__":
    main()
