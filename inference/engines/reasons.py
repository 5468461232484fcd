"""Why vLLM did not start, in one line that says what to do, from its log and its command. Pure.

The phrases are those of vLLM 0.32 and 0.33, of huggingface_hub and of CUDA; tests/unit/test_engine_reasons.py has the excerpts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from inference.engines.base import Reason

_Message = Callable[[re.Match[str], "Command"], str]
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
#: What vLLM writes before each line. Only lines with the level ERROR count, and those without a level: tracebacks and argparse.
_PREFIX = re.compile(r"^(?:\([^()\n]*pid=\d+\) ?)?(?:(DEBUG|INFO|WARNING)\b.*|ERROR [\d:\- ]+\[[\w./]+:\d+\] ?)?", re.MULTILINE)
_ERROR_LINE = re.compile(r"^(?:[\w.]+\.)?([A-Z]\w*(?:Error|Exception|Interrupt)): (.{1,300})", re.MULTILINE)
#: Errors that only say that another line has the reason.
_UNSPECIFIC = (
    "Engine core initialization failed",
    "WorkerProc initialization failed",
    "Executor failed",
    "EngineCore encountered an issue",
)
#: vLLM's own short forms.
_SHORT = {"-dp": "--data-parallel-size", "-tp": "--tensor-parallel-size", "-pp": "--pipeline-parallel-size"}


class Command:
    """The arguments of `vllm serve` that reasons name."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = list(arguments)

    def option(self, name: str) -> str | None:
        """The value of an option such as --port; None where it is not given."""
        return option(self._arguments, name)

    @property
    def model(self) -> str:
        """The model's folder or repository."""
        return model_of(self._arguments) or "the model"


def option(arguments: Sequence[str], name: str) -> str | None:
    """The value of an option in either form, `--port 1` or `--port=1`; it is "" where there is none, and the last of several counts."""
    found: str | None = None
    for n, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        if spelt(key) == name:
            following = arguments[n + 1] if n + 1 < len(arguments) else ""
            found = value if equals else "" if following.startswith("--") else following
    return found


def spelt(key: str) -> str:
    """The full name of an option that may be written with underscores, or short."""
    return key.replace("_", "-") if key.startswith("--") else _SHORT.get(key, key)


def model_of(arguments: Sequence[str]) -> str | None:
    """The model that a command serves: the argument after `serve`, or --model."""
    if "serve" in arguments:
        following = arguments[arguments.index("serve") + 1 :]
        if following and not following[0].startswith("-"):
            return following[0]
    return option(arguments, "--model")


def _gpus(command: Command) -> str:
    used = command.option("--gpu-memory-utilization") or "0.92"
    return f"(--gpu-memory-utilization is {used})"


def _context(command: Command) -> str:
    context = command.option("--max-model-len")
    return f"--max-model-len {context}" if context else "the model's whole context (no --max-model-len)"


_LASTING, _PASSING = True, False
#: What to search for, whether another start would fail in the same way, and the message; the first match counts.
_TABLE: tuple[tuple[str, bool, _Message], ...] = (
    # The command line.
    (r"error: unrecognized arguments: (.{1,200})", _LASTING, lambda m, _: f"this vLLM does not know {m[1].strip()}: leave it out, or install the version that has it"),
    (r"error: ambiguous option: (\S+)", _LASTING, lambda m, _: f"{m[1]} could be several options: write it out"),
    (r"error: argument ([-\w/]+): (invalid[^\n(]{1,200}|expected[^\n]{1,100})", _LASTING, lambda m, _: f"{m[1]} has a value that cannot be used: {m[2].strip()}"),
    (r"error: the following arguments are required: ([^\n]{1,200})", _LASTING, lambda m, _: f"the command lacks {m[1].strip()}"),
    (r"(\S+) cannot be started: (No such file[^\n]*|Permission denied)", _LASTING, lambda m, _: f"{m[1]} cannot be started ({m[2]}): install vLLM on this host (a CPU can be tried with make install-engine), or name its command"),
    (r"ModuleNotFoundError: No module named '?(vllm|torch)\b", _LASTING, lambda m, _: f"{m[1]} is not installed for this Python: pip install vllm, or make install-engine for a CPU"),
    # The licence and the hub.
    (r"GatedRepoError|Cannot access gated repo|trying to access a gated repo\.|Access to model \S+ is restricted", _LASTING, lambda _, c: f"{c.model} is only for accounts that accepted its licence on the model hub: accept it there, and set HF_TOKEN to a token of that account"),
    (r"RepositoryNotFoundError|Repository Not Found|is not a valid model identifier", _LASTING, lambda _, c: f"there is no {c.model} on the model hub, or this HF_TOKEN may not read it: check the name"),
    (r"RevisionNotFoundError|Revision Not Found", _LASTING, lambda _, c: f"{c.model} has no such revision on the model hub: check --revision"),
    (r"outgoing traffic has been disabled|OfflineModeIsEnabled|[Cc]annot reach \S+: offline mode is enabled", _LASTING, lambda _, c: f"{c.model} is not on this host and HF_HUB_OFFLINE forbids fetching it: fetch it first, or name its folder"),
    (r"Repo id must (?:be in the form|use alphanumeric)", _LASTING, lambda _, c: f"{c.model} is neither an existing folder nor a name on the model hub: check the path"),
    (r"(?:LocalEntryNotFoundError|Max retries exceeded|NameResolutionError|Failed to resolve|Temporary failure in name resolution|ConnectTimeout|couldn't connect to 'https?://[^']*)", _PASSING, lambda _, c: f"the model hub cannot be reached to fetch {c.model}: check the network, or name a folder with the weights"),
    (r"No space left on device", _PASSING, lambda _, c: f"the disk is full: free space for the weights of {c.model}, or set HF_HOME to a larger disk"),
    # The files in the folder.
    (r"Invalid repository ID or local directory specified: '([^']*)'", _LASTING, lambda m, _: f"{m[1]} has no config.json (or params.json): give the folder of a whole checkpoint"),
    (r"Cannot find any model weights with `([^`]*)`", _LASTING, lambda m, _: f"{m[1]} has a config but no weights: fetch its .safetensors files"),
    (r"SafetensorError: ([^\n]{1,200})", _LASTING, lambda m, c: f"a .safetensors file of {c.model} is damaged or incomplete ({m[1].strip()}): fetch it again"),
    (r"PytorchStreamReader failed|invalid magic number; corrupt file|UnpicklingError", _LASTING, lambda _, c: f"a weights file of {c.model} is damaged: fetch it again"),
    (r"FileNotFoundError: (?:\[Errno 2\] )?No such file or directory: '?([^'\n]*\.(?:safetensors|bin|json))", _LASTING, lambda m, _: f"{m[1]} is missing: fetch the whole checkpoint again"),
    (r"PermissionError: (?:\[Errno 13\] )?Permission denied: '([^']+)'", _LASTING, lambda m, _: f"{m[1]} cannot be read by this user: change its owner or mode"),
    (r"JSONDecodeError|is not a valid JSON file", _LASTING, lambda _, c: f"a .json file of {c.model} is damaged: fetch it again"),
    (r"Model architectures (\[[^\]]*\]) are not supported", _LASTING, lambda m, _: f"this vLLM does not know the architecture {m[1]}: it needs a newer one, or another model"),
    (r"does not recognize this architecture|model type `(\w+)`", _LASTING, lambda _, c: f"this vLLM does not know the architecture of {c.model}: it needs a newer one, or another model"),
    (r"KeyError: '((?:model|language_model|layers)[\w.]*)'", _LASTING, lambda m, c: f"the weights of {c.model} do not belong to its config ({m[1]}): fetch both from the same revision"),
    # The plan.
    (r"User-specified max_model_len \((\d+)\) is greater than the derived max_model_len \(\w+=(\d+)", _LASTING, lambda m, _: f"--max-model-len {m[1]} is more than the model's {m[2]} tokens: give {m[2]} or less"),
    (r"Total number of attention heads \((\d+)\) must be divisible by tensor parallel size \((\d+)\)", _LASTING, lambda m, _: f"{m[1]} attention heads cannot be divided among {m[2]} GPUs: choose a --tensor-parallel-size that divides {m[1]}"),
    (r"AssertionError: (\d+) is not divisible by (\d+)", _LASTING, lambda m, _: f"{m[1]} cannot be divided among {m[2]} ranks: choose another --tensor-parallel-size, or --enable-expert-parallel"),
    (r"World size \((\d+)\) is larger than the number of available GPUs \((\d+)\)", _LASTING, lambda m, _: f"the layout needs {m[1]} GPUs, but this host has {m[2]}: plan for {m[2]}, or use more hosts (--nnodes)"),
    (r"No CUDA GPUs are available|Found no NVIDIA driver|Failed to infer device type", _LASTING, lambda _, __: "no GPU was found: check nvidia-smi, the driver, and CUDA_VISIBLE_DEVICES (a CPU needs the CPU build: make install-engine)"),
    (r"[Bb]float16 is only supported on GPUs with compute capability|not supported for the current GPU\. Minimum capability: (\d+)", _LASTING, lambda _, __: "these GPUs are too old for this number format: plan with another --format"),
    (r"Not enough allowed NUMA nodes", _LASTING, lambda _, __: "two ranks on one NUMA node need VLLM_CPU_OMP_THREADS_BIND='0|1'"),
    # Memory.
    (r"To serve at least one request with the model's max seq len \((\d+)\), \(([\d.]+) GiB KV cache is needed[^(]*\(([\d.]+) GiB\)(?:\. Based on the available memory, the estimated maximum model length is (\d+))?", _LASTING,
        lambda m, _: f"one conversation of {m[1]} tokens takes {m[2]} GiB, but the weights leave only {m[3]} GiB: give --max-model-len {m[4] or 'less'}, fewer bits (--kv-cache-dtype fp8), or more GPUs"),
    (r"No available memory for the cache blocks", _LASTING, lambda _, c: f"the weights of {c.model} leave no memory for conversations {_gpus(c)}: more GPUs, fewer bits, or a higher --gpu-memory-utilization; `chinwag plan` shows what fits"),
    (r"Free memory on device \S* ?\(([\d.]+)/([\d.]+) GiB\) on startup is less than", _PASSING, lambda m, c: f"only {m[1]} of the GPU's {m[2]} GiB are free {_gpus(c)}: stop whatever else runs on it, or lower --gpu-memory-utilization"),
    (r"(?:torch\.)?(?:cuda\.)?OutOfMemoryError|CUDA out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDA error: out of memory", _PASSING, lambda _, c: f"the GPUs' memory is too small for {c.model} with {_context(c)}: more GPUs, fewer bits, a shorter context; `chinwag plan` shows what fits"),
    (r"Available memory on node \d+ \(([\d.]+)/[\d.]+ GiB\) on (?:startup|kv cache allocation) is less than", _PASSING, lambda m, _: f"only {m[1]} GiB of this host's memory are free: lower VLLM_CPU_KVCACHE_SPACE or --gpu-memory-utilization, or stop whatever else runs"),
    (r"MemoryError|Cannot allocate memory|DefaultCPUAllocator: can't allocate memory|std::bad_alloc", _PASSING, lambda _, c: f"this host's memory is too small for {c.model}: a smaller model, or lower VLLM_CPU_KVCACHE_SPACE"),
    (r"Bus error|unable to (?:open|write to) (?:shared memory|file </torch_)", _PASSING, lambda _, __: "shared memory is too small: give the container shm_size 8gb or --ipc=host"),
    # The port.
    (r"\[Errno 98\]|address already in use|EADDRINUSE", _PASSING, lambda _, c: f"port {c.option('--port') or '8000'} is taken: give another with --port"),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), lasting, words) for pattern, lasting, words in _TABLE)


def reason_of(log: str, command: Sequence[str], *, code: int | None = None, served: bool = False) -> Reason:
    """Say why the engine did not start, or died, in one line without its stack traces; `code` is its exit code.

    After it has served, its log holds errors of weeks, also of odd requests. None of them is certain to be why it ended, and they may quote what
    a person wrote.
    """
    text = _PREFIX.sub("", _COLOUR.sub("", log))
    asked = Command(command)
    for pattern, lasting, words in () if served else _COMPILED:
        found = pattern.search(text)
        if found:
            return Reason(message=words(found, asked), lasting=lasting)
    if code == -9:
        # Mostly by the kernel, which says so only in its own log.
        return Reason(message="the engine was killed (SIGKILL): look for the kernel's out-of-memory killer in dmesg", known=False)
    if code in {-11, -6, -7, -4}:
        return Reason(message=f"the engine crashed (signal {-code})", known=False)
    errors = [(name, said.strip()) for name, said in _ERROR_LINE.findall(text) if not said.startswith(_UNSPECIFIC)]
    if served:
        last = f"the last error of its log is {errors[-1][0]}" if errors else "its log may say why"
    elif errors:
        last = ": ".join(errors[0])
    else:
        last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
    return Reason(message=f"the engine ended{'' if code is None else f' with code {code}'}: {last[:300]}", known=False)
