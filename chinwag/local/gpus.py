"""The NVIDIA GPUs of this machine, and the largest model of the catalog that fits them. Nothing is started or fetched."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from inference.catalog import Model, load
from inference.errors import CatalogError
from inference.plan import CannotPlan, Plan, make_plan
from inference.plan.gpus import PER_HOST, kinds

_DRIVER = Path("/proc/driver/nvidia/gpus")
_ASK_S = 10.0
_MEMORY = re.compile(r"\b(\d+) ?gb\b")
#: The memory's rounded size in a GPU's name against the exact one: "80 GB" is 85. Below this share it is a smaller GPU of the same name.
_LEAST_MEMORY = 0.85


def names(driver: Path = _DRIVER) -> list[str]:
    """The driver's names for the GPUs of this machine; none without a driver."""
    found: list[str] = []
    for information in sorted(driver.glob("*/information")):
        try:
            lines = information.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            continue
        found += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return found or _by_smi()


def _by_smi() -> list[str]:
    """The same by nvidia-smi, for containers that hide the driver's folder."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],  # noqa: S607 - its folder depends on the driver's installation
            capture_output=True,
            text=True,
            timeout=_ASK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def as_text(gpus: Iterable[str]) -> str | None:
    """The most frequent kind as a plan's option, such as 8xH100; None when the GPU table has no such kind."""
    counted = Counter(kind for name in gpus if (kind := _kind(name)))
    if not counted:
        return None
    kind, count = counted.most_common(1)[0]
    return f"{min(count, PER_HOST)}x{kind.upper()}"


def offer(gpus: list[str], models: Iterable[Model] | None = None) -> str:
    """One line: the largest catalog model that fits these GPUs, and the command that serves it; empty without GPUs."""
    if not gpus:
        return ""
    text = as_text(gpus)
    if text is None:
        return f"This machine has {len(gpus)} x {gpus[0]}, which the GPU table does not know: chinwag model serve --path FOLDER serves a checkpoint."
    try:
        plan = largest(text, load().models if models is None else models)
    except CatalogError as error:
        return f"This machine has {text}; the catalog cannot be read: {error}"
    if plan is None:
        return f"This machine has {text}: no model of the catalog fits it (chinwag plan says why)."
    accept = " --accept-licence" if plan.model.licence and plan.model.licence.to_accept else ""
    eu = "" if plan.model.licence is None or plan.model.licence.in_eu else f"; in the EU take {', '.join(plan.model.licence.instead_in_eu)}"
    return (
        f"This machine has {text}: {plan.model.title} fits it ({plan.weights.format}, {plan.weights.size_gb:.0f} GB to fetch once{eu}): "
        f"chinwag model serve --model {plan.model.key} --gpus {text}{accept} --with-worker"
    )


def largest(text: str, models: Iterable[Model]) -> Plan | None:
    """The plan of the largest model with published weights that fits; None if none does."""
    today = datetime.now(UTC).date()
    for model in sorted(models, key=lambda model: model.total_b, reverse=True):
        if model.kind != "open":
            continue
        try:
            plan = make_plan(model, text, today=today)
        except CannotPlan:
            continue
        if plan.fits and plan.weights.repo:
            return plan
    return None


def _kind(name: str) -> str | None:
    words = f" {name.lower().replace('-', ' ')} "
    found = next((kind for key, kind in kinds().items() if f" {key.replace('-', ' ')} " in words), None)
    memory = _MEMORY.search(words)
    if found is None or (memory and int(memory[1]) < _LEAST_MEMORY * found.memory_gb):
        return None
    return found.key
