"""What the head of a GGUF model file says about the memory that a conversation takes. It reads the head alone, and trusts no length in it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

from inference.errors import EngineFailed

MAGIC = b"GGUF"
#: Sizes of the plain value types by their number; 8 is a string, 9 an array.
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_INTEGERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 10: "<Q", 11: "<q"}
_STRING, _ARRAY = 8, 9
#: The longest value of interest, and the most of them: the vocabulary comes after what is read here.
_LONGEST, _MOST = 64 * 1024, 512
#: Keys and values are stored as 16-bit numbers.
_NUMBER_BYTES = 2


def check_form(model: Path) -> None:
    """Raise EngineFailed unless the file looks like a GGUF model."""
    try:
        with model.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise EngineFailed(f"{model}: the model file cannot be read ({error.strerror})") from error
    if magic != MAGIC:
        raise EngineFailed(f"{model}: this is not a model file in GGUF format")


def cache_bytes(model: Path) -> int:
    """Return how many bytes of cache a token of context takes; 0 where the file does not say. Too many for a model with a sliding window."""
    try:
        with model.open("rb") as file:
            said = _head(file)
    except (OSError, struct.error, ValueError):
        return 0
    of = {key.partition(".")[2]: value for key, value in said.items()}
    layers, heads = sum(of.get("block_count", [])), max(of.get("attention.head_count", [0]))
    in_each = of.get("attention.head_count_kv") or [heads]
    cached = sum(in_each) if len(in_each) > 1 else in_each[0] * layers
    size = sum(of.get("embedding_length", [])) // heads if heads else 0
    key, value = (sum(of.get(f"attention.{name}_length", [size])) for name in ("key", "value"))
    return cached * (key + value) * _NUMBER_BYTES


def _head(file: IO[bytes]) -> dict[str, list[int]]:
    """The whole numbers, alone or in lists, that come before the vocabulary."""
    if file.read(len(MAGIC)) != MAGIC:
        return {}
    _version, _tensors, count = _unpack(file, "<IQQ")
    said: dict[str, list[int]] = {}
    for _ in range(min(count, _MOST)):
        key = _bytes(file).decode("utf-8", "replace")
        if key.startswith("tokenizer."):
            break
        (kind,) = _unpack(file, "<I")
        length = 1
        if kind == _ARRAY:
            kind, length = _unpack(file, "<IQ")
        if length > _MOST or kind not in (_STRING, *_SIZES):
            break
        if kind == _STRING:
            for _ in range(length):
                _bytes(file)
            continue
        raw = file.read(_SIZES[kind] * length)
        if kind in _INTEGERS:
            said[key] = [value for (value,) in struct.iter_unpack(_INTEGERS[kind], raw)]
    return said


def _unpack(file: IO[bytes], form: str) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _bytes(file: IO[bytes]) -> bytes:
    (length,) = _unpack(file, "<Q")
    if length > _LONGEST:
        raise ValueError("longer than anything in a head")
    return file.read(length)
