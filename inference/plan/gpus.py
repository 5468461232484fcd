"""The kinds of GPU, which are data in gpus.toml, and how texts like `8xH100` are read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from inference.catalog import NumberFormat
from inference.plan.errors import CannotPlan

PER_HOST = 8
#: More hosts than this are more likely a typing error than a plan.
_MOST_HOSTS = 64
_FORM = re.compile(r"((?P<first>[0-9]{1,6})\s*[x*×]\s*)?((?P<second>[0-9]{1,6})\s*[x*×]\s*)?(?P<kind>[a-z][a-z0-9-]*)")
_FILE = Path(__file__).with_name("gpus.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One kind of GPU."""

    key: str
    title: str
    #: What the driver reports, in 10^9 bytes.
    memory_gb: float
    #: Bandwidth of its memory, in GB/s.
    bandwidth_gbps: float
    #: Dense arithmetic by number format, in TFLOPS.
    tflops: Mapping[NumberFormat, float]
    #: NVIDIA's compute capability.
    capability: float
    nvlink: bool
    #: Bandwidth to the other GPUs of the host, in one direction, in GB/s.
    link_gbps: float
    #: Rent for one GPU and hour, in USD, on the day below.
    dollars: float
    priced_on: date
    source: str
    price_source: str
    #: Names of numbers that were not read at their origin.
    unconfirmed: tuple[str, ...] = ()

    def rate(self, form: NumberFormat) -> float:
        """FLOPS with weights of this format. Those for which the GPU has no units, as 4-bit integers, are computed in bf16."""
        return self.tflops.get(form, self.tflops[NumberFormat.BF16]) * 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """A number of equal GPUs on equal hosts."""

    kind: Gpu
    hosts: int
    per_host: int

    @property
    def count(self) -> int:
        """The number of GPUs on all hosts."""
        return self.hosts * self.per_host

    @property
    def text(self) -> str:
        """In the form that `read_gpus` reads: 8xH100, 16xH100, 2x4xH100."""
        number = f"{self.count}" if self.hosts == 1 or self.per_host == PER_HOST else f"{self.hosts}x{self.per_host}"
        return f"{number}x{self.kind.key.upper()}"


@cache
def kinds() -> Mapping[str, Gpu]:
    """Return the kinds by key."""
    rows: dict[str, Any] = tomllib.loads(_FILE.read_text("utf-8"))
    return {key: _kind(key, row) for key, row in rows.items()}


def _kind(key: str, row: dict[str, Any]) -> Gpu:
    tflops = {NumberFormat(name): float(value) for name, value in row.pop("tflops").items()}
    return Gpu(key=key, tflops=tflops, unconfirmed=tuple(row.pop("unconfirmed", ())), **row)


def read_gpus(text: str) -> Gpus:
    """Read `h100`, `8xH100`, `16xH100` (two hosts of 8) or `2x8xH100`. Raise CannotPlan for anything else, with the forms that are read."""
    found = _FORM.fullmatch(text.strip().lower())
    kind = kinds().get(found["kind"]) if found else None
    if found is None or kind is None:
        raise CannotPlan(f"{text!r} does not name GPUs: write 8xH100, h100 or 2x8xH100; the kinds are {', '.join(kinds())}")
    return _hosts(text, kind, [int(number) for number in (found["first"], found["second"]) if number])


def _hosts(text: str, kind: Gpu, numbers: list[int]) -> Gpus:
    if len(numbers) == 2:
        hosts, per_host = numbers
    else:
        (count,) = numbers or [1]
        if count > PER_HOST and count % PER_HOST:
            near = count // PER_HOST * PER_HOST
            raise CannotPlan(
                f"{text!r}: more than {PER_HOST} GPUs must be whole hosts of {PER_HOST}, so {near} or {near + PER_HOST}, not {count}"
            )
        hosts, per_host = (count // PER_HOST, PER_HOST) if count > PER_HOST else (1, count)
    if not (1 <= hosts <= _MOST_HOSTS and 1 <= per_host <= PER_HOST):
        raise CannotPlan(f"{text!r}: a plan has 1 to {_MOST_HOSTS} hosts with 1 to {PER_HOST} GPUs each")
    return Gpus(kind=kind, hosts=hosts, per_host=per_host)
