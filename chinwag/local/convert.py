"""Converts a GGUF model to a folder of safetensors, which vLLM can serve on a CPU; it cannot read GGUF itself.

Run by the engine environment's Python, from anywhere: `.venv-engine/bin/python chinwag/local/convert.py MODEL.gguf FOLDER`. The folder then
holds config.json, model.safetensors (bf16, dequantized) and the tokenizer with its chat template, and is what `vllm serve FOLDER` takes. It is
written next to its final place and renamed at the end, so that a folder of that name is always complete; if it exists already nothing is done.
SmolLM2-135M takes 16 s and 269 MB, Qwen2.5-0.5B 41 s and 1.26 GB. Exit code 2 and one line when it cannot be done.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

_MAGIC = b"GGUF"
_USAGE = "usage: .venv-engine/bin/python chinwag/local/convert.py MODEL.gguf FOLDER"


def main(arguments: list[str]) -> int:
    """Convert the file and print the result in one line."""
    if len(arguments) != 2:
        return _fail(_USAGE)
    source, folder = Path(arguments[0]).expanduser().resolve(), Path(arguments[1]).expanduser().resolve()
    if (folder / "config.json").is_file():
        _say(f"Converted     already there ({folder})")
        return 0
    problem = _problem(source, folder)
    if problem:
        return _fail(problem)
    _say(f"Converted     {source.name} to {folder}")
    return 0


def _problem(source: Path, folder: Path) -> str:
    """Convert, and return why that failed, or nothing."""
    if folder.exists():
        return f"{folder} exists and is not a converted model: give another folder or remove it"
    try:
        with source.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        return f"{source} cannot be read ({error.strerror})"
    if magic != _MAGIC:
        return f"{source} is not a GGUF model file"
    try:
        _write(source, folder)
    except ImportError as error:
        missing = error.name or str(error).splitlines()[0]
        return f"{missing} is not installed here: run this with .venv-engine/bin/python (`make install-engine` creates it)"
    # The libraries raise errors of many classes for a file with unusual content.
    except (OSError, ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        return f"{source.name} could not be converted: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    return ""


def _write(source: Path, folder: Path) -> None:
    """Load the model dequantized, and write it next to its final place; it is renamed last."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    transformers.utils.logging.disable_progress_bar()
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    where, name = str(source.parent), source.name
    model = transformers.AutoModelForCausalLM.from_pretrained(
        where, gguf_file=name, dtype=torch.bfloat16, quantization_config=transformers.GgufConfig(dequantize=True)
    )
    model.save_pretrained(str(part))
    transformers.AutoTokenizer.from_pretrained(where, gguf_file=name).save_pretrained(str(part))
    part.rename(folder)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _fail(line: str) -> int:
    sys.stderr.write(f"Cannot convert: {line}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
