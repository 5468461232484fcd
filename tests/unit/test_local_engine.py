"""`make run ENGINE=vllm`: what is refused at once, what vLLM is told on a CPU; and what a machine with GPUs is offered."""

from __future__ import annotations

from pathlib import Path

import pytest

from chinwag.local import engine, gpus
from chinwag.local.processes import CannotStart
from chinwag.local.settings import LocalSettings
from inference.engines.reasons import option


@pytest.mark.parametrize(("value", "engine_"), [("", "llamacpp"), ("llamacpp", "llamacpp"), ("vllm", "vllm")])
def test_the_engine_is_llama_cpp_unless_vllm_is_asked_for(value: str, engine_: str) -> None:
    assert LocalSettings.from_env({"ENGINE": value, "HOME": "/h"}).engine == engine_


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"ENGINE": "tgi"}, "ENGINE=tgi is not an engine"),
        ({"ENGINE": "vllm", "MODEL_URL": "http://x/v1", "MODEL_NAME": "m"}, "give ENGINE= or MODEL_URL="),
    ],
)
def test_an_engine_that_cannot_be_is_refused(env: dict[str, str], words: str) -> None:
    with pytest.raises(CannotStart, match=words):
        LocalSettings.from_env(env | {"HOME": "/h"})


def test_a_folder_must_be_a_whole_checkpoint(tmp_path: Path) -> None:
    settings = LocalSettings(model=str(tmp_path), engine="vllm")
    with pytest.raises(CannotStart, match=r"has no config\.json"):
        engine.check(settings)
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 2048}', encoding="utf-8")
    with pytest.raises(CannotStart, match=r"has no \.safetensors file"):
        engine.check(settings)
    (tmp_path / "model.safetensors").touch()
    engine.check(settings)


def test_a_file_must_be_a_gguf_model_and_a_name_one_of_those_known(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"hello")
    with pytest.raises(CannotStart, match="is not a GGUF model file"):
        engine.check(LocalSettings(model=str(tmp_path / "m.gguf"), engine="vllm"))
    engine.check(LocalSettings(model="tiny", engine="vllm"))


def test_vllm_is_told_what_a_cpu_needs(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 2048}', encoding="utf-8")
    argv = engine.command(engine.Checkpoint(name="m", folder=tmp_path), port=9)

    assert argv[1:3] == ["serve", str(tmp_path)]
    assert (option(argv, "--block-size"), option(argv, "--max-num-seqs"), option(argv, "--max-model-len")) == ("32", "16", "2048")
    assert {"--enforce-eager", "--enable-prompt-tokens-details"} <= set(argv)
    assert engine.cpu_env()["HF_HUB_OFFLINE"] == "1"


def _driver(tmp_path: Path, *models: str) -> Path:
    for n, model in enumerate(models):
        (tmp_path / f"0000:0{n}:00.0").mkdir()
        (tmp_path / f"0000:0{n}:00.0" / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 24\n", encoding="utf-8")
    return tmp_path


def test_the_drivers_own_list_is_read(tmp_path: Path) -> None:
    assert gpus.names(_driver(tmp_path, "NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3")) == ["NVIDIA H100 80GB HBM3"] * 2


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["NVIDIA H100 80GB HBM3"] * 8, "8xH100"),
        (["NVIDIA A100-SXM4-80GB"] * 2, "2xA100"),
        (["NVIDIA A100-PCIE-40GB"] * 2, None),
        (["NVIDIA H100 PCIe", "NVIDIA H200 141GB"], "1xH100"),
        (["NVIDIA L40S"], "1xL40S"),
        (["NVIDIA RTX PRO 6000 Blackwell Server Edition"], "1xRTX-PRO-6000"),
        (["NVIDIA GeForce RTX 3060"], None),
        ([], None),
    ],
)
def test_a_kind_is_known_by_its_name(names: list[str], text: str | None) -> None:
    assert gpus.as_text(names) == text


def test_the_largest_model_that_fits_is_offered_with_its_command() -> None:
    eight, one = gpus.offer(["NVIDIA H200"] * 8), gpus.offer(["NVIDIA H100 80GB HBM3"])

    assert "chinwag model serve --model deepseek-v3 --gpus 8xH200 --with-worker" in eight
    assert "chinwag model serve --model llama-4-scout --gpus 1xH100 --accept-licence --with-worker" in one
    assert "in the EU take" in one
    assert "\n" not in eight + one


def test_without_gpus_nothing_is_offered_and_unknown_ones_are_said() -> None:
    assert gpus.offer([]) == ""
    assert "does not know" in gpus.offer(["NVIDIA GeForce RTX 3060"])
