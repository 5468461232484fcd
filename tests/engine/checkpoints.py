"""Tiny random checkpoints of the real architectures, and what transformers answers with them: `.venv-engine/bin/python checkpoints.py FOLDER`.

Run by the engine environment's Python. The seeds are fixed, so each run makes the same weights. They are float32: the order in which ranks
add up then changes only the last bits, and equal tokens mean equal computation. One tokenizer for all: bytes in, made-up words out.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

_VOCABULARY = 1024
_SPECIALS = (
    "<pad>",
    "<bos>",
    "<eos>",
    "<|turn|>",
    # Llama 4
    "<|image|>",
    "<|image_start|>",
    "<|image_end|>",
    "<|patch|>",
    "<|tile_x_separator|>",
    "<|tile_y_separator|>",
    # Gemma 3
    "<start_of_image>",
    "<end_of_image>",
    "<image_soft_token>",
    # What its processor puts around pictures
    "\n",
    "\n\n",
    "\n\n\n",
    "\n\n\n\n",
    # Mistral 3
    "[IMG]",
    "[IMG_BREAK]",
    "[IMG_END]",
)
_ID = {token: number for number, token in enumerate(_SPECIALS)}
_FIRST_WORD = len(_SPECIALS) + 256
#: A placeholder where the picture stands, as each family writes it.
_TEMPLATE = """{{ bos_token }}{% for message in messages %}<|turn|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}\
{% else %}IMAGE{% endif %}{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}<|turn|>assistant
{% endif %}"""
_PLAIN = {"vocab_size": _VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_SMALL = {"hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 4096}
_EXPERTS = 16
#: Standard deviation of every matrix. Large enough for each layer and each expert to influence the answer.
_SPREAD = 0.08
_PROMPTS = Path(__file__).with_name("prompts.txt")
_ANSWER_TOKENS = 16


def tokenizer(image: str) -> PreTrainedTokenizerFast:
    """Bytes for the input, and made-up words of two syllables, which only the model writes."""
    syllables = [first + second for first in "bdfghjklmnprstvwz" for second in "aeiou"]
    words = ["Ġ" + one + two for one in syllables for two in syllables][:: len(syllables) ** 2 // (_VOCABULARY - _FIRST_WORD)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*_SPECIALS, *alphabet, *words[: _VOCABULARY - _FIRST_WORD]])}
    assert len(vocabulary) == _VOCABULARY
    plain = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    # Each is one token wherever it stands; what PreTrainedTokenizerFast is given below covers only some of them.
    plain.add_special_tokens(list(_SPECIALS))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        extra_special_tokens={"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"},
        chat_template=_TEMPLATE.replace("IMAGE", image),
        model_max_length=4096,
    )


def randomised(model: torch.nn.Module, seed: int) -> None:
    """Fill the weights from a seed. Only words can be chosen, so every answer is text."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.dim() > 1:
                weight.normal_(0.0, _SPREAD, generator=chance)
            elif not any(word in name for word in ("norm", "ln_pre")):
                weight.zero_()
        for name, buffer in sorted(model.named_buffers()):
            if name.endswith("e_score_correction_bias"):
                buffer.normal_(0.0, 0.05, generator=chance)
        if not model.config.get_text_config().tie_word_embeddings:
            model.get_output_embeddings().weight[:_FIRST_WORD] = 0.0


def llama4_text(step: int) -> transformers.Llama4TextConfig:
    """With step 1 every layer has experts, as in Scout; with step 2 every other layer, as in Maverick."""
    return transformers.Llama4TextConfig(
        **_PLAIN,
        **_SMALL,
        num_hidden_layers=4,
        intermediate_size=128,
        intermediate_size_mlp=256,
        num_local_experts=_EXPERTS,
        num_experts_per_tok=1,
        interleave_moe_layer_step=step,
        attention_chunk_size=2048,
    )


def llama4() -> transformers.PreTrainedModel:
    return transformers.Llama4ForCausalLM(llama4_text(1))


def llama4_interleaved() -> transformers.PreTrainedModel:
    return transformers.Llama4ForCausalLM(llama4_text(2))


def llama4_vision() -> transformers.PreTrainedModel:
    text = llama4_text(1)
    text.num_hidden_layers = 2
    text = transformers.Llama4TextConfig(**{key: value for key, value in text.to_dict().items() if key not in _DERIVED})
    vision = transformers.Llama4VisionConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=256,
        image_size=112,
        patch_size=14,
        vision_output_dim=128,
        projector_input_dim=128,
        projector_output_dim=128,
    )
    return transformers.Llama4ForConditionalGeneration(
        transformers.Llama4Config(
            text_config=text,
            vision_config=vision,
            boi_token_index=_ID["<|image_start|>"],
            eoi_token_index=_ID["<|image_end|>"],
            image_token_index=_ID["<|patch|>"],
            tie_word_embeddings=False,
        )
    )


#: What a Llama 4 configuration derives from the number of layers.
_DERIVED = {"layer_types", "no_rope_layers", "moe_layers", "transformers_version", "model_type"}


def deepseek_v3() -> transformers.PreTrainedModel:
    config = transformers.DeepseekV3Config(
        **_PLAIN,
        hidden_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=256,
        moe_intermediate_size=128,
        n_routed_experts=_EXPERTS,
        n_shared_experts=1,
        num_experts_per_tok=4,
        n_group=4,
        topk_group=2,
        first_k_dense_replace=1,
        q_lora_rank=128,
        kv_lora_rank=512,
        qk_rope_head_dim=64,
        qk_nope_head_dim=64,
        v_head_dim=64,
        max_position_embeddings=4096,
        num_nextn_predict_layers=0,
        # Without these two vLLM makes no correction bias.
        topk_method="noaux_tc",
        scoring_func="sigmoid",
    )
    return transformers.DeepseekV3ForCausalLM(config)


def gemma3() -> transformers.PreTrainedModel:
    text = transformers.Gemma3TextConfig(
        **_PLAIN,
        **_SMALL,
        num_hidden_layers=6,
        intermediate_size=256,
        sliding_window=64,
        query_pre_attn_scalar=64,
    )
    vision = transformers.SiglipVisionConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, image_size=112, patch_size=14
    )
    return transformers.Gemma3ForConditionalGeneration(
        transformers.Gemma3Config(
            text_config=text,
            vision_config=vision,
            mm_tokens_per_image=16,
            boi_token_index=_ID["<start_of_image>"],
            eoi_token_index=_ID["<end_of_image>"],
            image_token_index=_ID["<image_soft_token>"],
        )
    )


def mistral3() -> transformers.PreTrainedModel:
    text = transformers.MistralConfig(
        **_PLAIN, **_SMALL, num_hidden_layers=3, intermediate_size=256, sliding_window=None, tie_word_embeddings=False
    )
    vision = transformers.PixtralVisionConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, head_dim=32, intermediate_size=128, image_size=112, patch_size=14
    )
    return transformers.Mistral3ForConditionalGeneration(
        transformers.Mistral3Config(
            text_config=text, vision_config=vision, image_token_index=_ID["[IMG]"], spatial_merge_size=2, tie_word_embeddings=False
        )
    )


_FAMILIES = {
    "llama4": (llama4, "<|image|>"),
    "llama4-interleaved": (llama4_interleaved, "<|image|>"),
    "llama4-vision": (llama4_vision, "<|image|>"),
    "deepseek-v3": (deepseek_v3, ""),
    "gemma3": (gemma3, "<start_of_image>"),
    "mistral3": (mistral3, "[IMG]"),
}
#: The processors' settings of the families with vision.
_PROCESSORS = {
    "llama4-vision": (
        {
            "image_processor_type": "Llama4ImageProcessor",
            "size": {"height": 112, "width": 112},
            "max_patches": 4,
            "resize_to_max_canvas": False,
        },
        {"processor_class": "Llama4Processor", "patch_size": 14, "pixel_shuffle_ratio": 0.5},
    ),
    "gemma3": (
        {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 112, "width": 112}, "do_pan_and_scan": False},
        {"processor_class": "Gemma3Processor", "image_seq_length": 16},
    ),
    "mistral3": (
        {"image_processor_type": "PixtralImageProcessor", "size": {"longest_edge": 112}, "patch_size": {"height": 14, "width": 14}},
        {"processor_class": "PixtralProcessor", "patch_size": 14, "spatial_merge_size": 2},
    ),
}
_NULLED = ("llama4", "deepseek-v3")


def write(family: str, folder: Path, seed: int) -> None:
    """Write one family's checkpoint. For two of them also what transformers answers, and a copy with half of the routed experts nulled."""
    make, image = _FAMILIES[family]
    model = make().eval()
    randomised(model, seed)
    words = tokenizer(image)
    _save(model, words, folder / family, family)
    if family in _NULLED:
        (folder / family / "transformers.json").write_text(json.dumps(_answers(model, words)), encoding="utf-8")
        _null_half(model)
        _save(model, words, folder / f"{family}-nulled", family)


def _save(model: transformers.PreTrainedModel, words: PreTrainedTokenizerFast, where: Path, family: str) -> None:
    model.save_pretrained(where)
    words.save_pretrained(where)
    if family == "gemma3":
        _name_vision_tensors_as_published(where / "model.safetensors")
    # No answer may end early by chance.
    (where / "generation_config.json").unlink(missing_ok=True)
    for name, settings in zip(("preprocessor_config.json", "processor_config.json"), _PROCESSORS.get(family, ()), strict=False):
        (where / name).write_text(json.dumps(settings), encoding="utf-8")


def _name_vision_tensors_as_published(weights: Path) -> None:
    """Name the tensors of Gemma's vision tower as in Google's own files, which vLLM reads; transformers 5 leaves one level out."""
    tensors = load_file(weights)
    named = {re.sub(r"vision_tower\.(?!vision_model\.)", "vision_tower.vision_model.", name): tensor for name, tensor in tensors.items()}
    save_file(named, weights, metadata={"format": "pt"})


def _null_half(model: torch.nn.Module) -> None:
    """Zero the second half of the routed experts: those that the second of two ranks holds."""
    nulled = 0
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".experts." in name and weight.dim() == 3:
                assert weight.shape[0] == _EXPERTS, name
                weight[_EXPERTS // 2 :] = 0.0
                nulled += 1
    assert nulled, "no routed experts were found"


def _answers(model: transformers.PreTrainedModel, words: PreTrainedTokenizerFast) -> list[list[int]]:
    """The greedy tokens that transformers' own implementation gives for each prompt."""
    given = words(_PROMPTS.read_text(encoding="utf-8").splitlines(), padding=True, padding_side="left", return_tensors="pt")
    asked = {"input_ids": given["input_ids"], "attention_mask": given["attention_mask"]}
    with torch.no_grad():
        out = model.generate(**asked, max_new_tokens=_ANSWER_TOKENS, min_new_tokens=_ANSWER_TOKENS, do_sample=False)
    return out[:, asked["input_ids"].shape[1] :].tolist()


def main(where: str) -> None:
    """Write every family that is not there yet. A folder gets its final name once it is complete."""
    folder = Path(where)
    # Where the other core is busy, two threads take six times as much time as one.
    torch.set_num_threads(1)
    for seed, family in enumerate(_FAMILIES, start=7):
        if (folder / family).exists():
            continue
        part = folder / "part"
        shutil.rmtree(part, ignore_errors=True)
        write(family, part, seed)
        # The family itself last: if it is there, so is all that was written with it.
        for made in sorted(part.iterdir(), key=lambda made: made.name == family):
            made.rename(folder / made.name)
        print(f"{family}: written", flush=True)
    print("written", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
