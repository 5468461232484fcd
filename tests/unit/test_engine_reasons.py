"""Why vLLM did not start: real logs of vLLM 0.32 in tests/corpus/vllm, and phrases of what this machine cannot do, each with its one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.engines.base import Reason
from inference.engines.reasons import model_of, option, reason_of

_CORPUS = Path(__file__).parents[1] / "corpus" / "vllm"
_SERVE = ["vllm", "serve", "m"]

#: File, arguments, and what the line says.
_REAL = {
    "unknown_flag": (["--no-such-flag"], "does not know --no-such-flag"),
    "value_of_the_wrong_type": (["--max-num-seqs", "many"], "--max-num-seqs has a value that cannot be used: invalid int value: 'many'"),
    "value_that_is_no_choice": (["--kv-cache-dtype", "fp9"], "--kv-cache-dtype has a value that cannot be used: invalid choice: 'fp9'"),
    "folder_that_is_not_there": ([], "m is neither an existing folder nor a name on the model hub"),
    "repository_while_offline": ([], "HF_HUB_OFFLINE forbids fetching it"),
    "folder_without_config": ([], "noconf has no config.json"),
    "safetensors_cut_short": (
        [],
        "a .safetensors file of m is damaged or incomplete (Error while deserializing header: incomplete metadata",
    ),
    "folder_without_weights": ([], "noweights has a config but no weights"),
    "unknown_architecture": ([], "does not know the architecture ['ParrotForCausalLM']"),
    "context_beyond_the_model": (["--max-model-len", "100000"], "--max-model-len 100000 is more than the model's 8192 tokens"),
    "heads_that_cannot_be_divided": (["--tensor-parallel-size", "2"], "9 attention heads cannot be divided among 2 GPUs"),
}

#: What the log says, the arguments, whether a further start would fail alike, and what the line says. Wording: vLLM 0.33's source,
#: huggingface_hub's errors, CUDA's.
_SAID = [
    (
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine",
        ["--gpu-memory-utilization", "0.8"],
        True,
        "the weights of m leave no memory for conversations (--gpu-memory-utilization is 0.8)",
    ),
    (
        "ValueError: Free memory on device cuda:0 (11.25/79.11 GiB) on startup is less than desired GPU memory utilization (0.92, 72.78 GiB).",
        [],
        False,
        "only 11.25 of the GPU's 79.11 GiB are free (--gpu-memory-utilization is 0.92)",
    ),
    (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.11 GiB",
        ["--max-model-len", "32768"],
        False,
        "the GPUs' memory is too small for m with --max-model-len 32768",
    ),
    (
        (
            "ValueError: To serve at least one request with the model's max seq len (131072), (16.0 GiB KV cache is needed, which is larger than the "
            "available KV cache memory (4.25 GiB). Based on the available memory, the estimated maximum model length is 34816. Try increasing"
        ),
        [],
        True,
        "one conversation of 131072 tokens takes 16.0 GiB, but the weights leave only 4.25 GiB: give --max-model-len 34816",
    ),
    (
        "ValueError: Available memory on node 0 (3.1/15.6 GiB) on kv cache allocation is less than requested memory for kv (8.0 GiB).",
        [],
        False,
        "only 3.1 GiB of this host's memory are free: lower VLLM_CPU_KVCACHE_SPACE",
    ),
    (
        "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes",
        [],
        False,
        "this host's memory",
    ),
    (
        (
            "huggingface_hub.errors.GatedRepoError: 401 Client Error.\nCannot access gated repo for url https://hub/meta-llama/x/config.json.\n"
            "Access to model meta-llama/x is restricted. You must have access to it and be authenticated to access it. Please log in."
        ),
        [],
        True,
        "m is only for accounts that accepted its licence on the model hub",
    ),
    (
        (
            "huggingface_hub.errors.RepositoryNotFoundError: 401 Client Error.\nRepository Not Found for url: https://hub/api/models/a/b.\n"
            "If you are trying to access a private or gated repo, make sure you are authenticated."
        ),
        [],
        True,
        "there is no m on the model hub",
    ),
    (
        (
            "huggingface_hub.errors.LocalEntryNotFoundError: An error happened while trying to locate the file on the Hub and we cannot find the "
            "requested files in the local cache. Please check your connection and try again or make sure your Internet connection is on."
        ),
        [],
        False,
        "the model hub cannot be reached to fetch m",
    ),
    ("OSError: [Errno 28] No space left on device", [], False, "the disk is full"),
    (
        "ValueError: World size (8) is larger than the number of available GPUs (2) in this node.",
        [],
        True,
        "the layout needs 8 GPUs, but this host has 2",
    ),
    ("RuntimeError: Failed to infer device type, please set the environment variable", [], True, "no GPU was found"),
    ("AssertionError: 14336 is not divisible by 3", [], True, "14336 cannot be divided among 3 ranks"),
    ("OSError: [Errno 98] Address already in use", ["--port", "8123"], False, "port 8123 is taken"),
    (
        "PermissionError: [Errno 13] Permission denied: '/models/x/config.json'",
        [],
        True,
        "/models/x/config.json cannot be read by this user",
    ),
    ("vllm cannot be started: No such file or directory", [], True, "vllm cannot be started (No such file or directory): install vLLM"),
    ("/usr/bin/python: Error\nModuleNotFoundError: No module named 'vllm'", [], True, "vllm is not installed for this Python"),
    ("RuntimeError: Bus error", [], False, "shared memory is too small"),
]


@pytest.mark.parametrize("name", _REAL)
def test_a_real_log_gives_one_line_that_says_what_to_do(name: str) -> None:
    more, words = _REAL[name]
    reason = reason_of((_CORPUS / f"{name}.log").read_text("utf-8"), [*_SERVE, *more], code=1)

    assert words in reason.message
    assert "\n" not in reason.message
    assert reason.known
    assert reason.lasting


def test_every_log_of_the_corpus_has_its_row() -> None:
    assert {path.stem for path in _CORPUS.glob("*.log")} == set(_REAL)


@pytest.mark.parametrize(("said", "more", "lasting", "words"), _SAID, ids=[words[:40] for *_, words in _SAID])
def test_what_this_machine_cannot_do_gives_its_line_too(said: str, more: list[str], lasting: bool, words: str) -> None:
    worker = f"(Worker_TP0 pid=77) ERROR 11-27 03:49:48 [multiproc_executor.py:953] {said}\n"
    reason = reason_of("INFO:     Started\n" + worker + "RuntimeError: Engine core initialization failed.\n", [*_SERVE, *more], code=1)

    assert words in reason.message
    assert (reason.known, reason.lasting) == (True, lasting)


def test_what_is_only_told_or_warned_of_is_no_reason() -> None:
    log = (
        "(APIServer pid=1) INFO 11-27 03:52:13 [api_utils.py:286] non-default args: CUDA out of memory\n"
        "(EngineCore pid=2) WARNING 11-27 03:52:46 [utils.py:597] Address already in use. Retrying with a new port: [Errno 98]\n"
        "INFO:     Application startup complete.\n"
        "RuntimeError: something that nobody knows\n"
    )
    reason = reason_of(log, _SERVE, code=1)

    assert reason.message == "the engine ended with code 1: RuntimeError: something that nobody knows"
    assert (reason.known, reason.lasting) == (False, False)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "the engine was killed (SIGKILL): look for the kernel's out-of-memory killer in dmesg"),
        (1, "the engine ended with code 1: the last error of its log is OutOfMemoryError"),
    ],
)
def test_what_it_said_of_odd_requests_while_it_served_is_no_reason_and_quotes_nobody(code: int, words: str) -> None:
    log = (
        "INFO:     Application startup complete.\n"
        "(APIServer pid=1) ERROR 11-27 03:49:48 [hermes_tool_parser.py:120] Error in extracting tool call from response.\n"
        "(APIServer pid=1) ERROR 11-27 03:49:48 [hermes_tool_parser.py:120] json.decoder.JSONDecodeError: Expecting value: hello\n"
        "(EngineCore pid=2) ERROR 11-27 09:12:00 [core.py:1] torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB.\n"
        "(APIServer pid=1) ERROR 11-27 09:12:01 [a.py:1] vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See\n"
    )

    assert reason_of(log, _SERVE, code=code, served=True) == Reason(message=words, known=False)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "out-of-memory killer"),
        (-11, "the engine crashed (signal 11)"),
        (3, "the engine ended with code 3: it said nothing"),
        (None, "it said nothing"),
    ],
)
def test_an_end_without_words_is_told_by_its_code(code: int | None, words: str) -> None:
    reason = reason_of("", _SERVE, code=code)

    assert words in reason.message
    assert not reason.known


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["--port", "1"], "1"),
        (["--port=1"], "1"),
        (["--max_num_seqs", "2", "--port", "1"], "1"),
        (["--port"], ""),
        (["--port", "--host", "x"], ""),
        (["--ports", "1"], None),
        (["--port", "1", "--port=2"], "2"),
    ],
)
def test_an_option_is_found_in_whatever_form_it_was_written(arguments: list[str], value: str | None) -> None:
    assert option(arguments, "--port") == value


@pytest.mark.parametrize(
    ("command", "model"),
    [
        (["vllm", "serve", "a/b", "--port", "1"], "a/b"),
        (["vllm", "serve", "--model", "a/b"], "a/b"),
        (["python", "-m", "vllm.entrypoints.openai.api_server", "--model=a/b"], "a/b"),
        (["vllm", "serve"], None),
    ],
)
def test_the_model_of_a_command_is_found(command: list[str], model: str | None) -> None:
    assert model_of(command) == model
