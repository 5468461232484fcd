"""The models as data: one TOML file a model in `inference/models`, and in a folder of the operator's; read and checked here.

Files are read and nothing else. A wrong file is told with its line; the rows below hold what must be true of a model's numbers.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from pathlib import Path

from inference import parameters
from inference.errors import BadModelFile, UnknownModel
from inference.toml_lines import Lines
from inference.toml_rows import Flaw, Unfit, read_row

_SHIPPED = Path(__file__).parent / "models"
#: Far above any real one; a wrong path must not fill the memory.
_LARGEST_FILE = 256 * 1024
_KEY = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
#: A row whose architecture adds up to another total by more has a wrong digit somewhere.
_TOTALS_DIFFER = 0.05
_KINDS = ("open", "unpublished", "hosted")
_MODALITIES = ("text", "image", "audio", "video")


class NumberFormat(StrEnum):
    """How a model's weights are stored."""

    BF16 = "bf16"
    FP8 = "fp8"
    W4A16 = "w4a16"
    NVFP4 = "nvfp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moe:
    """Mixture of experts: which layers route, and how wide an expert is."""

    #: Layers that route; the others are dense.
    layers: int
    experts: int
    #: Experts that a token goes through, beside the shared ones.
    active: int
    shared: int
    expert_ffn: int
    #: Every how many layers one routes (Llama 4's interleave_moe_layer_step); DeepSeek's first three are dense.
    interleave: int = 1
    first_dense: int = 0

    def __post_init__(self) -> None:
        _above_zero(self, "layers", "experts", "active", "expert_ffn", "interleave")
        _must(self.active <= self.experts, "active", f"is {self.active}, more than the {self.experts} experts")

    def routes(self, layer: int) -> bool:
        """Whether a layer, counted from 0, is one of those that route."""
        return layer >= self.first_dense and (layer + 1) % self.interleave == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mla:
    """Multi-head latent attention: the ranks that it projects to (DeepSeek V3)."""

    q_rank: int
    kv_rank: int
    rope: int
    nope: int
    v: int

    def __post_init__(self) -> None:
        _above_zero(self, "q_rank", "kv_rank", "rope", "nope", "v")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAttention:
    """Layers that see only a part of the text."""

    #: chunked: the token's own chunk (Llama 4); sliding: the last tokens (Gemma 3).
    kind: str
    window: int
    local_layers: int
    global_layers: int

    def __post_init__(self) -> None:
        _among(self.kind, ("chunked", "sliding"), "kind")
        _above_zero(self, "window", "local_layers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What parameters and cache sizes are computed from."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    #: With latent attention its part without position (`mla.nope`).
    head_size: int
    #: Width of a dense layer's feed-forward part; 0 where no layer is dense.
    ffn: int
    vocabulary: int
    tied_embeddings: bool
    moe: Moe | None = None
    mla: Mla | None = None
    local: LocalAttention | None = None
    #: Parameters of the eyes (encoder and projector), in billions; 0 for a model without.
    vision_b: float = 0.0
    source: str
    #: Names of the numbers above that were not read at their origin.
    unconfirmed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _above_zero(self, "layers", "hidden", "heads", "kv_heads", "head_size", "vocabulary")
        _must(self.heads % self.kv_heads == 0, "kv_heads", f"is {self.kv_heads}, which does not divide the {self.heads} heads")
        if self.moe:
            routing = sum(self.moe.routes(layer) for layer in range(self.layers))
            _must(
                self.moe.layers == routing,
                "moe.layers",
                f"is {self.moe.layers}, but of {self.layers} layers {routing} route (interleave {self.moe.interleave}, first_dense {self.moe.first_dense})",
            )
        if self.moe is None or self.moe.layers < self.layers:
            _must(self.ffn > 0, "ffn", "is 0, and there are dense layers")
        if self.local:
            both = self.local.local_layers + self.local.global_layers
            _must(both == self.layers, "local.local_layers", f"and global_layers are {both} together, of {self.layers} layers")
        if self.mla:
            _must(self.head_size == self.mla.nope, "head_size", f"is {self.head_size}, but mla.nope is {self.mla.nope}")
        _names(self, "moe", "mla", "local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One published file set."""

    format: NumberFormat
    #: Its id on the model hub; empty where it was not published.
    repo: str = ""
    #: GB (10^9 bytes).
    size_gb: float
    #: NVIDIA's compute capability that it needs, 0 for any.
    min_capability: float = 0.0
    #: Arguments of `vllm serve` that this file set needs.
    args: tuple[str, ...] = ()
    #: Environment variables that it needs, as NAME=value.
    env: tuple[str, ...] = ()
    source: str
    unconfirmed: bool = False

    def __post_init__(self) -> None:
        _above_zero(self, "size_gb")
        _must(all("=" in one for one in self.env), "env", "wants members of the form NAME=value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """What one may do with the weights, and owes for it."""

    name: str
    url: str
    duties: tuple[str, ...] = ()
    #: False: no licence for individuals domiciled, or companies with their principal place of business, in the EU.
    in_eu: bool = True
    #: Keys of catalog models that an operator in the EU may take instead.
    instead_in_eu: tuple[str, ...] = ()
    #: Whether `serve` asks for a spoken acceptance first.
    to_accept: bool = False
    source: str

    def __post_init__(self) -> None:
        _must(self.in_eu or bool(self.instead_in_eu), "in_eu", "is false, and instead_in_eu names no model to take there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What the model's chat template can bear, and how tools are told."""

    roles_alternate: bool = False
    system_role: bool = True
    tool_call_parser: str = ""
    #: Name of the template file in vLLM's examples that knows tools; empty: the model's own does.
    chat_template: str = ""
    reasoning_parser: str = ""
    source: str
    #: Names of the fields above that were not read at their origin.
    unconfirmed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _names(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Arguments of `vllm serve` for this model, whatever the weights; the layout's own come from the plan."""

    args: tuple[str, ...] = ()
    #: Speculative decoding that is worth trying, as --speculative-config wants it; empty for none.
    speculative: str = ""
    #: Method of that speculation: eagle, eagle3 or mtp; EAGLE switches Llama 4's hybrid cache off.
    speculative_method: str = ""
    #: Number format of the KV cache that the makers recommend, as --kv-cache-dtype wants it; empty: that of the weights.
    kv_cache: str = ""
    source: str

    def __post_init__(self) -> None:
        _must(bool(self.speculative) == bool(self.speculative_method), "speculative", "and speculative_method go together")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A hosted price, in USD for a million tokens."""

    provider: str
    model: str
    tokens_in: float
    tokens_out: float
    #: None: cached tokens cost as others do.
    tokens_cached: float | None = None
    #: The day of the price.
    date: date
    retired_on: date | None = None
    #: Catalog key or the provider's name of what came after.
    successor: str = ""
    source: str
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One row of the catalog."""

    #: What commands and other rows call it; also the file's name.
    key: str
    title: str
    maker: str
    #: open: weights are published; unpublished: planned by totals alone; hosted: an API alone.
    kind: str
    #: Parameters in all and for one token, in billions, as published; 0: not published.
    total_b: float = 0.0
    active_b: float = 0.0
    #: Longest text, in tokens; 0: not published.
    context: int
    #: What it reads; it writes text.
    modalities: tuple[str, ...] = ("text",)
    #: Most images of a prompt that were tested, and the most tokens of one; 0: not known, or a model without eyes.
    images: int = 0
    image_tokens: int = 0
    languages: tuple[str, ...] = ()
    architecture: Architecture | None = None
    weights: tuple[Weights, ...] = ()
    licence: Licence | None = None
    template: Template | None = None
    serving: Serving | None = None
    offers: tuple[Offer, ...] = ()
    #: For hosted models that are switched off, and what came after.
    retired_on: date | None = None
    successor: str = ""
    source: str
    #: Names of the fields above that were not read at their origin.
    unconfirmed: tuple[str, ...] = ()
    remark: str = ""

    def __post_init__(self) -> None:
        _must(bool(_KEY.fullmatch(self.key)), "key", f'is "{self.key}": small letters and digits, joined by dots and hyphens')
        _among(self.kind, _KINDS, "kind")
        for one in self.modalities:
            _among(one, _MODALITIES, "modalities")
        _must("text" in self.modalities, "modalities", "lacks text")
        _must("image" in self.modalities or not (self.images or self.image_tokens), "modalities", "lacks image, and images are counted")
        if self.kind != "hosted":
            _above_zero(self, "total_b", "active_b")
            _must(bool(self.weights), "kind", f"is {self.kind}, and there are no [[weights]]")
        if self.kind == "open":
            _above_zero(self, "context")
            _must(self.architecture is not None, "kind", "is open, and there is no [architecture]")
            _must(self.licence is not None, "kind", "is open, and there is no [licence]")
        _must(self.active_b <= self.total_b, "active_b", f"is {self.active_b:g}, more than total_b")
        if self.architecture is not None:
            total = parameters.count(self).total / 1e9
            adds_up = abs(total - self.total_b) <= _TOTALS_DIFFER * self.total_b
            _must(adds_up, "total_b", f"is {self.total_b:g}, and [architecture] adds up to {total:.4g} billion parameters")
        _must(self.retired_on is None or bool(self.successor), "retired_on", "is given, and no successor is named")
        _names(self)

    def is_retired(self, today: date) -> bool:
        """Whether its maker has switched it off."""
        return self.retired_on is not None and self.retired_on <= today


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All models, by key."""

    models: tuple[Model, ...]

    def get(self, key: str) -> Model:
        """Return the model of that key. Raises UnknownModel, which names those that come near."""
        for model in self.models:
            if model.key == key:
                return model
        near = difflib.get_close_matches(key.lower(), [model.key for model in self.models], n=3, cutoff=0.5)
        meant = f" Near: {', '.join(near)}." if near else ""
        raise UnknownModel(f"There is no model {key!r} in the catalog.{meant} `chinwag model list` shows all.")

    def matching(self, name: str) -> Model | None:
        """Find whose weights a name means: a key, a repository of weights, a copy of one under another owner, or a path to it."""
        parts = [part for part in name.lower().split("/") if part]
        best, length = None, 0
        for model in self.models:
            bases = [weights.repo.lower().rpartition("/")[2] for weights in model.weights if weights.repo]
            fits = [len(base) for base in bases if any(part.startswith(base) for part in parts)]
            fits += [len(model.key)] if model.key in parts else []
            if max(fits, default=0) > length:
                best, length = model, max(fits)
        return best


def load(extra: Path | None = None) -> Catalog:
    """Read the shipped files, and those of the operator's folder, which replace shipped ones of the same key. Raises BadModelFile."""
    found = _folder(_SHIPPED)
    if extra is not None:
        found |= _folder(extra)
    for path, model, lines in found.values():
        for position, key in enumerate(model.licence.instead_in_eu if model.licence else ()):
            if key not in found:
                line = lines.of(("licence", "instead_in_eu", position))
                raise BadModelFile(f'{path}, line {line}: licence.instead_in_eu names "{key}", of which there is no file')
    return Catalog(models=tuple(found[key][1] for key in sorted(found)))


def _read(path: Path) -> tuple[Model, Lines]:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise BadModelFile(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > _LARGEST_FILE:
        raise BadModelFile(f"{path} is larger than {_LARGEST_FILE // 1024} KiB: no file of the catalog")
    try:
        return read_row(raw, Model)
    except Flaw as error:
        raise BadModelFile(f"{path}, {error}") from error


def _folder(folder: Path) -> dict[str, tuple[Path, Model, Lines]]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except OSError as error:
        raise BadModelFile(f"{folder} is no folder with files of models: {error.strerror}") from error
    found: dict[str, tuple[Path, Model, Lines]] = {}
    for path in paths:
        model, lines = _read(path)
        if model.key in found:
            raise BadModelFile(f'{path}, line {lines.of(("key",))}: key "{model.key}" is taken by {found[model.key][0].name}')
        found[model.key] = (path, model, lines)
    return found


def _must(fine: bool, key: str, why: str) -> None:  # noqa: FBT001 - reads as a sentence: it must be so, else this is wrong with the key
    if not fine:
        raise Unfit(key, why)


def _above_zero(row: object, *keys: str) -> None:
    for key in keys:
        _must(getattr(row, key) > 0, key, "wants a number above 0")


def _among(value: str, known: tuple[str, ...], key: str) -> None:
    _must(value in known, key, f'wants one of {", ".join(known)}, not the text "{value}"')


def _names(row: Architecture | Template | Model, *tables: str) -> None:
    """Refuse an `unconfirmed` that names no field of the row or of its tables."""
    known = {one.name for one in fields(row)}
    for table in tables:
        inner = getattr(row, table)
        known |= {f"{table}.{one.name}" for one in fields(inner)} if inner else set()
    for name in row.unconfirmed:
        _must(name in known, "unconfirmed", f'names "{name}", which is no field here')
