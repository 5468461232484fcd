"""Reads the catalog: one TOML file a model in `inference/models`, and in a folder of the operator's.

It reads files and does nothing else. An error names the file and the line.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from inference.catalog.model import Model
from inference.catalog.toml_lines import Lines
from inference.catalog.toml_rows import InvalidToml, read_row
from inference.errors import BadModelFile, UnknownModel

_SHIPPED = Path(__file__).parents[1] / "models"
#: What servers and providers append to a model's name.
_STORED = re.compile(
    r"(?:[-_.:](?:fp8|fp4|nvfp4|mxfp4|bf16|int[48]|w4a16|w8a8|awq|gptq|gguf|[iq]\d\w*|\d+bit|dynamic|free|turbo|fast|tput|latest))+\Z"
)
#: Far larger than any real file, so that a wrong path cannot fill the memory.
_LARGEST_FILE = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All models, by key."""

    models: tuple[Model, ...]

    def get(self, key: str) -> Model:
        """Return the model of that key. Raises UnknownModel, which names similar keys."""
        for model in self.models:
            if model.key == key:
                return model
        near = difflib.get_close_matches(key.lower(), [model.key for model in self.models], n=3, cutoff=0.5)
        similar = f" Similar: {', '.join(near)}." if near else ""
        raise UnknownModel(f"There is no model {key!r} in the catalog.{similar} `chinwag model list` shows all.")

    def matching(self, name: str) -> Model | None:
        """Find the model whose weights a name means: a key, a repository, a copy of one under another owner, or a path to it."""
        parts = [part for part in name.lower().split("/") if part]
        best, length = None, 0
        for model in self.models:
            bases = [weights.repo.lower().rpartition("/")[2] for weights in model.weights if weights.repo]
            fits = [len(base) for base in bases if any(part.startswith(base) for part in parts)]
            fits += [len(model.key)] if model.key in parts else []
            if max(fits, default=0) > length:
                best, length = model, max(fits)
        return best

    def thoughts(self, name: str) -> str:
        """Return the form in which the model of this name, on a server of one's own or hosted, writes its thoughts; empty where that is not known."""
        plain = _plain(name)
        offered = (model for model in self.models if any(_plain(offer.model) == plain for offer in model.offers))
        keyed = (model for model in self.models if model.key == plain)
        found = next(offered, None) or next(keyed, None) or self.matching(name)
        return found.template.thoughts if found and found.template else ""


def _plain(name: str) -> str:
    """A model's name without its owner, and without what says how its weights are stored or for whom it is served."""
    return _STORED.sub("", name.lower().rpartition("/")[2])


def load(extra: Path | None = None) -> Catalog:
    """Read the shipped files and the operator's, which replace shipped ones of the same key. Raises BadModelFile."""
    found = _folder(_SHIPPED)
    if extra is not None:
        found |= _folder(extra)
    for path, model, lines in found.values():
        for position, key in enumerate(model.licence.instead_in_eu if model.licence else ()):
            if key not in found:
                line = lines.of(("licence", "instead_in_eu", position))
                raise BadModelFile(f'{path}, line {line}: licence.instead_in_eu names "{key}", for which there is no file')
    return Catalog(models=tuple(found[key][1] for key in sorted(found)))


def _read(path: Path) -> tuple[Model, Lines]:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise BadModelFile(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > _LARGEST_FILE:
        raise BadModelFile(f"{path} is larger than {_LARGEST_FILE // 1024} KiB, so it cannot be a model file")
    try:
        return read_row(raw, Model)
    except InvalidToml as error:
        raise BadModelFile(f"{path}, {error}") from error


def _folder(folder: Path) -> dict[str, tuple[Path, Model, Lines]]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except OSError as error:
        raise BadModelFile(f"{folder} is not a folder of model files: {error.strerror}") from error
    found: dict[str, tuple[Path, Model, Lines]] = {}
    for path in paths:
        model, lines = _read(path)
        if model.key in found:
            raise BadModelFile(f'{path}, line {lines.of(("key",))}: key "{model.key}" is already used by {found[model.key][0].name}')
        found[model.key] = (path, model, lines)
    return found
