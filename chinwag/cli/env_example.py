"""`chinwag env-example`: .env.example, written from the settings themselves."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import Field, fields
from typing import Any

from bots.settings import Settings
from inference.settings import ModelSettings

_WIDTH = 100
_HEAD = """\
Settings of a server. Copy to .env and fill in; compose.yaml reads it. docs/quickstart.md goes through it step by step.
Written by `python -m chinwag env-example > .env.example`: change bots/settings.py and inference/settings.py, not this file.
A line without # needs your value; a line with # shows the default. Secrets are files in the folder SECRETS, not here."""

#: What compose.yaml alone reads: name, value, meaning.
_COMPOSE = (
    ("SECRETS", "./secrets", "folder with the files owner, web, worker, crossing, redis (each with a password) and keys (docs/operations.md)"),
    ("PUBLISH_HOOKS", "127.0.0.1:8081", "where webhooks and health are published on this host, for the TLS proxy that platforms reach"),
    ("PUBLISH_ADMIN", "127.0.0.1:8080", "where the admin pages and the API are published on this host; keep it on loopback or inside a VPN"),
    ("COMPOSE_PROFILES", "", "gpu: start the engine and its own worker too, on this host's NVIDIA GPUs"),
    ("WORKER_QUEUES", "reply.default,deliver,batch.default", "queues that the worker without an engine serves; with the profile gpu: reply.default,deliver, since the engine's own worker takes the batches"),
    ("ENGINE_ID", "one", "this engine's name among those of the profile; each host with an engine gives another"),
    ("ENGINE_MODEL", "Qwen/Qwen3-30B-A3B-Instruct-2507", "model of the engine: a folder below the volume or a repository to fetch once"),
    ("ENGINE_GPUS", "1", "GPUs that hold one copy of the model together"),
    ("ENGINE_COPIES", "1", "copies of the model, each with its own requests"),
    ("ENGINE_FLAGS", "", "more arguments for `vllm serve`; --enable-expert-parallel spreads the experts of a mixture over all GPUs of all copies"),
    ("ENGINE_CONTEXT", "16384", "longest prompt with its answer, in tokens"),
    ("ENGINE_SLOTS", "128", "requests that the engine works on at once"),
)  # fmt: skip
_NEEDED = {
    "CHINWAG_PUBLIC_URL": "https://chat.example.com",
    # The engine of the profile gpu.
    "CHINWAG_MODEL_URL": "http://engine:8000/v1",
    "CHINWAG_MODEL_NAME": "default",
}
#: A group is a title and the prefixes of its variables; a setting belongs to the first group that fits.
_GROUPS = (
    ("What you have to fill in", tuple(_NEEDED)),
    ("Set by compose.yaml; only for those who start the processes in another way", (
        "CHINWAG_OWNER_DATABASE", "CHINWAG_WEB_DATABASE", "CHINWAG_WORKER_DATABASE", "CHINWAG_CROSSING_DATABASE", "CHINWAG_REDIS",
        "CHINWAG_KEYS", "CHINWAG_WEB_HOST", "CHINWAG_WEB_PORT", "CHINWAG_WEB_HOOKS_ONLY", "CHINWAG_METRICS_", "CHINWAG_SIMULATOR",
        "CHINWAG_ANSWERING_",
    )),
    ("The model", ("CHINWAG_MODEL_",)),
    ("How earlier turns are found", ("CHINWAG_EMBED_",)),
    ("Platforms", ("CHINWAG_GRAPH_", "CHINWAG_INSTAGRAM_", "CHINWAG_SEND_", "CHINWAG_RECONCILE_", "CHINWAG_NEXT_PART_", "CHINWAG_JOURNAL_", "CHINWAG_MEDIA_")),
    ("How people are answered", (
        "CHINWAG_DEBOUNCE_", "CHINWAG_ANSWER_", "CHINWAG_APOLOGY_", "CHINWAG_ASK_", "CHINWAG_HISTORY_", "CHINWAG_HUMAN_", "CHINWAG_PARTIAL_",
        "CHINWAG_OWN_ERROR_", "CHINWAG_IMAGES_", "CHINWAG_TIME_ZONE",
    )),
    ("Batches", ("CHINWAG_BATCH_",)),
    ("Size and pace of the processes", (
        "CHINWAG_WORKER_", "CHINWAG_WEB_", "CHINWAG_TASK_", "CHINWAG_STOP_", "CHINWAG_LEASE_", "CHINWAG_HEARTBEAT_", "CHINWAG_DISPATCH_",
    )),
    ("The rest", ("CHINWAG_",)),
)  # fmt: skip


def command() -> None:
    """Print .env.example with every setting of this version."""
    sys.stdout.write(env_example())


def env_example() -> str:
    """Write the example: every setting once, in its group, with its meaning and default."""
    known = {f"CHINWAG_{field.name.upper()}": field for field in fields(Settings)}
    known |= {f"CHINWAG_MODEL_{field.name.upper()}": field for field in fields(ModelSettings)}
    lines = [*_comment(_HEAD)]
    for title, beginnings in _GROUPS:
        members = [variable for variable in known if variable.startswith(beginnings)]
        lines += ["", f"## {title}"]
        for variable in members:
            lines += _entry(variable, known.pop(variable))
        if beginnings == tuple(_NEEDED):
            lines += ["", "## What compose.yaml alone reads"]
            for name, value, meaning in _COMPOSE:
                lines += [*_comment(meaning), f"#{name}={value}"]
    return "\n".join(lines) + "\n"


def _entry(variable: str, field: Field[Any]) -> Iterator[str]:
    default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
    yield from _comment(field.metadata["meaning"])
    yield f"{variable}={_NEEDED[variable]}" if variable in _NEEDED else f"#{variable}={default}"


def _comment(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield from (f"# {part}" for part in textwrap.wrap(line, _WIDTH, break_on_hyphens=False, break_long_words=False))
