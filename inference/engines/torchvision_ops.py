"""Makes torchvision importable with a CPU-only torch: image processors need its Python transforms, but not its compiled operators.

The package index has torchvision for Linux only as a CUDA build, whose operators cannot be loaded with a torch without CUDA. Its import then
fails on the first operator that it looks up. This module declares the two that are looked up. The engine environment imports it at start (by
a line in its chinwag-engine.pth). It acts at the first import of torchvision, and only where the compiled operators do not load.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

_SCHEMAS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class _BeforeTorchvision:
    """A finder that finds nothing, but acts when it is asked for torchvision."""

    def __init__(self) -> None:
        # The library must live as long as its operators.
        self.declared: Any = None
        self._asked = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Declare the operators before torchvision's own code runs; leave the search to the next finder."""
        if name == "torchvision" and not self._asked:
            self._asked = True
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            if spec is not None and spec.origin is not None:
                self.declared = _declare(Path(spec.origin).parent)
        return None


def _declare(folder: Path) -> Any:
    """Return the library of declared operators, or None where torchvision's own can be loaded."""
    torch: Any = importlib.import_module("torch")
    for compiled in folder.glob("_C*.so"):
        try:
            torch.ops.load_library(str(compiled))
        except OSError:
            continue
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in _SCHEMAS:
        library.define(name + _SCHEMA)
    return library


sys.meta_path.insert(0, _BeforeTorchvision())
