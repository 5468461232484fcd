"""The catalog's reader: a wrong file is told with its line and the reason, the operator's files replace shipped ones, keys are found."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from inference.catalog import Catalog, Model, NumberFormat, licence_notice, load
from inference.errors import BadModelFile, UnknownModel

_WHOLE = """\
# A model of a test's.
key = "tiny-moe"
title = "Tiny"
maker = "Ada's shop"
kind = "open"
total_b = 1
active_b = 0.5
context = 4096
source = "a test"

[architecture]
layers = 4
hidden = 2048
heads = 16
kv_heads = 4
head_size = 128
ffn = 4096
vocabulary = 50000
tied_embeddings = true
source = "a test"

[architecture.moe]  # routes in every second layer
layers = 2
experts = 8
active = 2
shared = 0
expert_ffn = 8192
interleave = 2

[architecture.local]
kind = "sliding"
window = 16
local_layers = 3
global_layers = 1

[[weights]]
format = "bf16"
size_gb = 2
source = "a test"

[[weights]]
format = "fp8"
repo = "ada/Tiny-MoE-FP8"
size_gb = 1
source = "a test"

[licence]
name = "MIT"
url = "https://example.org/mit"
duties = [
    "Name Ada.",
    "Be kind.",
]
source = "a test"

[[offers]]
provider = "Ada"
model = "tiny"
tokens_in = 0.1
tokens_out = 1
date = 2026-11-01
source = "a test"
"""


def _written(folder: Path, text: str, name: str = "tiny.toml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def _read(path: Path) -> Model:
    return load(path.parent).get("tiny-moe")


def _refused(path: Path) -> str:
    with pytest.raises(BadModelFile) as caught:
        load(path.parent)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_file_is_read_as_it_says(tmp_path: Path) -> None:
    model = _read(_written(tmp_path, _WHOLE))

    assert (model.key, model.total_b, model.active_b, model.context) == ("tiny-moe", 1.0, 0.5, 4096)
    assert [weights.format for weights in model.weights] == [NumberFormat.BF16, NumberFormat.FP8]
    assert model.licence is not None
    assert model.licence.duties == ("Name Ada.", "Be kind.")
    assert (model.offers[0].date, model.offers[0].tokens_cached) == (date(2026, 11, 1), None)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_files_of_other_editors_are_read_too(tmp_path: Path, ending: str, start: str) -> None:
    path = tmp_path / "tiny.toml"
    path.write_bytes((start + _WHOLE).replace("\n", ending).encode())

    assert _read(path).key == "tiny-moe"


#: What is replaced by what, and what is said; the line that is to be told ends with the comment "#!".
_WRONG = [
    ("layers = 4", "layers 4 #!", "is not TOML: expected '=' after a key in a key/value pair in column 8"),
    ('title = "Tiny"', 'title = "Tiny #!', "is not TOML: illegal character"),
    ("hidden = 2048", "hidden = 2048\nhidden = 65 #!", "is not TOML: cannot overwrite a value"),
    ("layers = 4", "layres = 4 #!", "architecture.layres is not a key of [architecture]; did you mean layers?"),
    ('maker = "Ada\'s shop"', 'maker = "Ada"\ncolour = "red" #!', "colour is not a key of the file"),
    ("[licence]", "[license] #!", "license is not a key of the file; did you mean licence?"),
    ("[architecture.local]", "[architecture.locals] #!", "architecture.locals is not a key of [architecture]; did you mean local?"),
    ('repo = "ada/Tiny-MoE-FP8"', 'repos = "ada" #!', "weights 2.repos is not a key of [weights 2]; did you mean repo?"),
    ("[architecture]\nlayers = 4\nhidden = 2048", "[architecture] #!", "[architecture] lacks layers and hidden"),
    ('[[weights]]\nformat = "fp8"', "[[weights]] #!", "[weights 2] lacks format"),
    ('# A model of a test\'s.\nkey = "tiny-moe"\ntitle = "Tiny"', '#! A model\nkey = "tiny-moe"', "the file lacks title"),
    ("layers = 4", 'layers = "four" #!', 'architecture.layers must be a whole number, not the text "four"'),
    ("layers = 4", "layers = 4.0 #!", "architecture.layers must be a whole number, not 4.0"),
    ("layers = 4", "layers = true #!", "architecture.layers must be a whole number, not true"),
    ("tied_embeddings = true", "tied_embeddings = 1 #!", "architecture.tied_embeddings must be true or false, not 1"),
    ("date = 2026-11-01", 'date = "2026-11" #!', 'offers 1.date must be a date like 2026-11-01, not the text "2026-11"'),
    ("date = 2026-11-01", "date = 2026-11-01 10:00:00 #!", "offers 1.date must be a date like 2026-11-01, not a time"),
    ('maker = "Ada\'s shop"', "maker = 5 #!", "maker must be text, not 5"),
    ('maker = "Ada\'s shop"', 'maker = " " #!', "maker is empty"),
    ('maker = "Ada\'s shop"', 'maker = "a\\u001b[2Jb" #!', "maker must be text on one line, without control characters"),
    ('    "Be kind.",', "    7, #!", "licence.duties 2 must be text, not 7"),
    ('    "Be kind.",', '    "", #!', "licence.duties 2 is empty"),
    ("[licence]", "[[licence]] #!", "licence must be a table, not a list"),
    ('[[weights]]\nformat = "bf16"\nsize_gb = 2\nsource = "a test"\n\n[[weights]]', "[weights] #!", "weights must be tables in double brackets"),
    ('format = "fp8"', 'format = "fp9" #!', 'weights 2.format must be one of bf16, fp8, w4a16, nvfp4, not the text "fp9"'),
    ('kind = "open"', 'kind = "free" #!', 'kind must be one of open, unpublished, hosted, not the text "free"'),
    ('kind = "sliding"', 'kind = "round" #!', "architecture.local.kind must be one of chunked, sliding"),
    ("layers = 4", "layers = -4 #!", "architecture.layers must be a number from 0 to 1e+12, not -4"),
    ("layers = 4", "layers = 0 #!", "architecture.layers must be above 0"),
    ("size_gb = 1\n", "size_gb = nan #!\n", "weights 2.size_gb must be a number from 0 to 1e+12, not nan"),
    ("size_gb = 1\n", "size_gb = inf #!\n", "weights 2.size_gb must be a number from 0"),
    ("size_gb = 1\n", f"size_gb = 1{'0' * 500} #!\n", "weights 2.size_gb must be a number from 0"),
    ("size_gb = 1\n", "size_gb = 0 #!\n", "weights 2.size_gb must be above 0"),
    ("size_gb = 1\n", f"size_gb = {'9' * 5000} #!\n", "has a number with thousands of digits"),
    ("kv_heads = 4", "kv_heads = 3 #!", "architecture.kv_heads is 3, which does not divide the 16 heads"),
    ("[architecture.moe]  # routes in every second layer\nlayers = 2", "[architecture.moe]\nlayers = 4 #!", "architecture.moe.layers is 4, but of 4 layers 2 route"),
    ("active = 2", "active = 9 #!", "architecture.moe.active is 9, more than the 8 experts"),
    ("\nffn = 4096", "\nffn = 0 #!", "architecture.ffn is 0, but there are dense layers"),
    ("local_layers = 3", "local_layers = 2 #!", "architecture.local.local_layers and global_layers add up to 3, not to the 4 layers"),
    ("tied_embeddings = true", 'tied_embeddings = true\nunconfirmed = ["layer"] #!', 'architecture.unconfirmed names "layer", which is not a field here'),
    ('source = "a test"\n\n[architecture]', 'source = "a test"\nimages = 3\nmodalities = ["text"] #!\n\n[architecture]', "modalities lacks image"),
    ('source = "a test"\n\n[architecture]', 'source = "a test"\nmodalities = ["text", "smell"] #!\n\n[architecture]', "modalities must be one of text, image"),
    ('key = "tiny-moe"', 'key = "Tiny MoE" #!', "key must be lower-case letters and digits"),
    ("active_b = 0.5", "active_b = 2 #!", "active_b is 2, more than total_b"),
    ("total_b = 1", "total_b = 10 #!", "total_b is 10, but [architecture] adds up to 1 billion parameters"),
    ("total_b = 1", "total_b = 1.06 #!", "total_b is 1.06, but [architecture] adds up to 1 billion parameters"),
    ("context = 4096", "context = 0 #!", "context must be above 0"),
    ("context = 4096", "context = 4096\nretired_on = 2026-01-01 #!", "retired_on is given, but no successor is named"),
    ('name = "MIT"', 'name = "MIT"\nin_eu = false #!', "licence.in_eu is false, but instead_in_eu names no model"),
    ('repo = "ada/Tiny-MoE-FP8"', 'env = ["A"] #!', "weights 2.env must have entries of the form NAME=value"),
]  # fmt: skip


@pytest.mark.parametrize("case", _WRONG, ids=[re.sub(r"\W+", "-", case[2])[:60] for case in _WRONG])
def test_a_wrong_file_is_told_with_its_line_and_why(tmp_path: Path, case: tuple[str, str, str]) -> None:
    old, new, why = case
    text = _WHOLE.replace(old, new, 1)
    line = next(number for number, words in enumerate(text.split("\n"), 1) if "#!" in words)
    path = _written(tmp_path, text)

    assert _refused(path).startswith(f"{path}, line {line}: {why}")


def test_a_file_that_ends_too_early_is_told_at_its_end(tmp_path: Path) -> None:
    path = _written(tmp_path, _WHOLE[: _WHOLE.index('    "Be kind.')])

    assert re.fullmatch(rf"{path}, line 51: is not TOML: .* at the end of the file", _refused(path))


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(_WHOLE.replace("Ada's shop", "Andr\u00e9").encode("latin-1"))

    assert _refused(path) == f"{path}, line 4: is not UTF-8 text"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a = " + b"[" * 20_000, "nests arrays or tables too deeply"),
        (b"#" * 300_000, "larger than 256 KiB"),
        (b"", "the file lacks key and"),
    ],
    ids=["deep", "large", "empty"],
)
def test_a_file_that_is_no_model_at_all_is_one_line_too(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_bytes(content)

    assert why in _refused(path)


def test_a_file_that_is_none_is_one_line_too(tmp_path: Path) -> None:
    (tmp_path / "none.toml").mkdir()

    assert _refused(tmp_path / "none.toml") == f"{tmp_path}/none.toml cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("", "total_b must be above 0"),
        ("total_b = 9", "active_b must be above 0"),
        ("total_b = 9\nactive_b = 1", "kind is unpublished, but there are no [[weights]]"),
    ],
)
def test_an_unpublished_model_has_totals_and_sizes_to_plan_with(tmp_path: Path, more: str, why: str) -> None:
    path = _written(tmp_path, f'key = "a"\ntitle = "A"\nmaker = "Ada"\nkind = "unpublished"\ncontext = 0\nsource = "a test"\n{more}\n')

    assert _refused(path).endswith(f": {why}")


def test_the_operators_file_replaces_the_shipped_one_of_its_key(tmp_path: Path) -> None:
    _written(tmp_path, _WHOLE.replace("tiny-moe", "gemma-3-27b"), "anything.toml")
    _written(tmp_path, "no TOML at all", "notes.txt")
    catalog = load(tmp_path)

    assert catalog.get("gemma-3-27b").title == "Tiny"
    assert len(catalog.models) == len(load().models)


def test_the_operators_own_key_is_added(tmp_path: Path) -> None:
    _written(tmp_path, _WHOLE)

    assert {model.key for model in load(tmp_path).models} - {model.key for model in load().models} == {"tiny-moe"}


@pytest.mark.parametrize(
    ("was", "wrong"), [("hidden = 2048", "hidden = 204"), ("tied_embeddings = true", "tied_embeddings = true\nvision_b = 42")]
)
def test_a_lost_digit_in_the_architecture_is_told_at_the_total_that_it_contradicts(tmp_path: Path, was: str, wrong: str) -> None:
    # It would plan another model.
    path = _written(tmp_path, _WHOLE.replace(was, wrong))

    assert re.search(r"tiny\.toml, line 6: total_b is 1, but \[architecture\] adds up to [0-9.]+ billion parameters$", _refused(path))


def test_one_key_in_two_files_is_refused(tmp_path: Path) -> None:
    _written(tmp_path, _WHOLE, "a.toml")
    _written(tmp_path, _WHOLE, "b.toml")

    with pytest.raises(BadModelFile, match=r'b\.toml, line 2: key "tiny-moe" is already used by a\.toml'):
        load(tmp_path)


def test_a_permitted_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    _written(tmp_path, _WHOLE.replace("[licence]", '[licence]\nin_eu = false\ninstead_in_eu = [\n  "gemma-3-27b",\n  "gone",\n]'))

    with pytest.raises(BadModelFile, match=r'tiny\.toml, line 51: licence\.instead_in_eu names "gone", for which there is no file'):
        load(tmp_path)


@pytest.mark.parametrize("name", ["none", "file.toml"])
def test_a_folder_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    _written(tmp_path, _WHOLE, "file.toml")

    with pytest.raises(BadModelFile, match="is not a folder of model files"):
        load(tmp_path / name)


def test_an_unknown_model_is_told_with_its_neighbours() -> None:
    with pytest.raises(UnknownModel, match=r"no model 'llama4-scout' in the catalog\. Similar: llama-4-scout.*`chinwag model list`"):
        load().get("llama4-scout")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("llama-4-scout", "llama-4-scout"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama-4-scout"),
        ("META-LLAMA/llama-4-maverick-17b-128e-instruct-fp8", "llama-4-maverick"),
        ("/models/Llama-4-Scout-17B-16E-Instruct/", "llama-4-scout"),
        ("hf:someone/Llama-4-Scout-17B-16E-Instruct-GGUF/q4/model.gguf", "llama-4-scout"),
        ("deepseek-ai/DeepSeek-V3-0324", "deepseek-v3"),
        ("gpt-4o", "gpt-4o"),
        ("default", None),
        ("llama-4", None),
        ("", None),
    ],
)
def test_a_configured_name_leads_to_the_model_whose_weights_it_means(catalog: Catalog, name: str, key: str | None) -> None:
    found = catalog.matching(name)

    assert (found.key if found else None) == key


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load()


def test_only_a_licence_that_the_eu_does_not_get_has_a_notice(tmp_path: Path) -> None:
    text = _WHOLE.replace("[licence]", '[licence]\nin_eu = false\ninstead_in_eu = ["gemma-3-27b", "deepseek-v3"]')
    without = _read(_written(tmp_path, text))
    granted = _read(_written(tmp_path, _WHOLE))

    assert licence_notice(granted) == ""
    assert licence_notice(without).endswith("in the EU. Permitted there: gemma-3-27b, deepseek-v3.")


def test_the_catalog_is_light_enough_for_the_web() -> None:
    heavy = {"httpx", "rich", "typer", "numpy", "torch", "vllm", "sqlalchemy"}
    program = "import sys, inference.catalog; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])

    assert heavy & set(loaded.stdout.split()) == set()


def _retired(on: date | None) -> Model:
    return Model(key="a", title="A", maker="A", kind="hosted", context=0, retired_on=on, successor="b", source="a test")


@pytest.mark.parametrize(("on", "gone"), [(None, False), (date(2026, 6, 2), False), (date(2026, 6, 1), True), (date(2025, 1, 1), True)])
def test_a_model_is_retired_from_its_day_on(on: date | None, gone: bool) -> None:
    assert _retired(on).is_retired(date(2026, 6, 1)) is gone
