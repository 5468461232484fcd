"""The plan's commands as a compose file or as Kubernetes objects, with vLLM's own image and its own networking between hosts.

Strings are written as JSON, which is valid YAML.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from inference.plan.command import DRAIN_S
from inference.plan.summary import HostCommand, Plan

_IMAGE = "vllm/vllm-openai:v0.33.0"
_PORT = 8000
#: Where downloaded weights are stored (HF_HOME).
_CACHE = "/weights"
#: Seconds until a stopping container is killed: the time to finish answers, and some more to exit.
_GRACE_S = DRAIN_S + 30


def compose(plan: Plan) -> str:
    """Return a compose file with one service for each host. With several hosts, each starts its own profile."""
    if not plan.fits:
        return _refusal(plan)
    several = len(plan.commands) > 1
    lines = [f"# {plan.model.title} as {plan.weights.format} on {plan.gpus.text}, {plan.layout.text}."]
    if several:
        lines.append(f"# On host N: docker compose --profile host-N up; {plan.question.head} is the address of host 0.")
        lines.append(f"# Host 0 answers on port {_PORT} of all its addresses and asks for no key: keep that network closed.")
    lines.append("services:")
    for command in plan.commands:
        lines += _service(plan, command, several=several)
    return "\n".join([*lines, "volumes:", "  weights: {}", ""])


def _service(plan: Plan, command: HostCommand, *, several: bool) -> list[str]:
    per_host = plan.layout.gpus // plan.layout.nodes
    name = f"engine-{command.host}" if several else "engine"
    lines = [f"  {name}:", f"    image: {_IMAGE}"]
    if several:
        # Engines on several hosts use many ports between them, so they use the host's network, as vLLM advises.
        lines += [f"    profiles: [host-{command.host}]", "    network_mode: host", "    ulimits: {memlock: -1}"]
    else:
        lines += [f'    ports: ["127.0.0.1:{_PORT}:{_PORT}"]']
    lines += [
        f"    stop_grace_period: {_GRACE_S}s",
        "    ipc: host",
        f"    volumes: [weights:{_CACHE}]",
        "    environment:",
        f"      HF_HOME: {_CACHE}",
        "      HF_TOKEN: ${HF_TOKEN:-}",
    ]
    lines += [f"      {key}: {json.dumps(value)}" for key, value in command.environment.items()]
    lines += ["    command:", *_items(command.argv[2:], "      ")]
    lines += [
        "    deploy:",
        "      resources:",
        "        reservations:",
        f"          devices: [{{driver: nvidia, count: {per_host}, capabilities: [gpu]}}]",
    ]
    return lines


def kubernetes(plan: Plan) -> str:
    """Return Kubernetes objects: a Deployment for one host, a LeaderWorkerSet for several (they restart together), and a Service in front."""
    if not plan.fits:
        return _refusal(plan)
    name = plan.model.key.replace(".", "-")
    many = len(plan.commands) > 1
    top = [f"# {plan.model.title} as {plan.weights.format} on {plan.gpus.text}, {plan.layout.text}."]
    body = _group(plan, name) if many else _deployment(plan, name)
    selector = {"leaderworkerset.sigs.k8s.io/name": name, "role": "leader"} if many else {"app": name}
    return "\n".join([*top, *body, "---", *_kubernetes_service(name, selector), ""])


def _deployment(plan: Plan, name: str) -> list[str]:
    (command,) = plan.commands
    return [
        "apiVersion: apps/v1",
        "kind: Deployment",
        f"metadata: {{name: {name}}}",
        "spec:",
        "  replicas: 1",
        "  # The new pod needs the GPUs that the old one has.",
        "  strategy: {type: Recreate}",
        f"  selector: {{matchLabels: {{app: {name}}}}}",
        "  template:",
        f"    metadata: {{labels: {{app: {name}}}}}",
        "    spec:",
        *_pod(plan, command, "      ", serves=True),
    ]


def _group(plan: Plan, name: str) -> list[str]:
    return [
        "apiVersion: leaderworkerset.x-k8s.io/v1",
        "kind: LeaderWorkerSet",
        f"metadata: {{name: {name}}}",
        "spec:",
        "  replicas: 1",
        "  leaderWorkerTemplate:",
        f"    size: {plan.layout.nodes}",
        "    restartPolicy: RecreateGroupOnPodRestart",
        "    leaderTemplate:",
        "      metadata: {labels: {role: leader}}",
        "      spec:",
        *_pod(plan, plan.commands[0], "        ", serves=True),
        "    workerTemplate:",
        "      spec:",
        *_pod(plan, plan.commands[1], "        ", serves=False),
    ]


def _pod(plan: Plan, command: HostCommand, indent: str, *, serves: bool) -> list[str]:
    per_host = plan.layout.gpus // plan.layout.nodes
    lines = [
        f"terminationGracePeriodSeconds: {_GRACE_S}",
        "containers:",
        "  - name: engine",
        f"    image: {_IMAGE}",
        *_entry(plan, command),
        "    env:",
        f"      - {{name: HF_HOME, value: {_CACHE}}}",
        "      - {name: HF_TOKEN, valueFrom: {secretKeyRef: {name: huggingface, key: token, optional: true}}}",
        *(f"      - {{name: {key}, value: {json.dumps(value)}}}" for key, value in command.environment.items()),
        f"    resources: {{limits: {{nvidia.com/gpu: {per_host}}}}}",
        "    volumeMounts:",
        "      - {name: shared-memory, mountPath: /dev/shm}",
        f"      - {{name: weights, mountPath: {_CACHE}}}",
    ]
    if serves:
        lines += [f"    ports: [{{containerPort: {_PORT}}}]", *_probes(plan.model.key)]
    lines += [
        "volumes:",
        "  # Each new pod downloads the weights again; a persistentVolumeClaim here keeps them.",
        "  - {name: shared-memory, emptyDir: {medium: Memory}}",
        "  - {name: weights, emptyDir: {}}",
    ]
    return [indent + line for line in lines]


def _probes(model: str) -> list[str]:
    """The pod is ready only after a one-token request was answered: /health is 200 earlier."""
    body = json.dumps({"model": model, "prompt": "a", "max_tokens": 1})
    ask = (
        "from urllib.request import Request, urlopen; "
        f"urlopen(Request('http://127.0.0.1:{_PORT}/v1/completions', data={body.encode()!r}, headers={{'Content-Type': 'application/json'}}), timeout=60)"
    )
    return [
        # Loading hundreds of GB of weights takes long.
        "    startupProbe:",
        f"      exec: {{command: [python3, -c, {json.dumps(ask)}]}}",
        "      periodSeconds: 15",
        "      timeoutSeconds: 70",
        "      failureThreshold: 480",
        f"    readinessProbe: {{httpGet: {{path: /health, port: {_PORT}}}, periodSeconds: 10}}",
    ]


def _entry(plan: Plan, command: HostCommand) -> list[str]:
    """Return the container's command. Hosts get their number and the leader's address from the group's variables."""
    argv = list(command.argv)
    if len(plan.commands) == 1:
        return ["    command:", *_items(argv, "      ")]
    renamed = {plan.question.head: "$(LWS_LEADER_ADDRESS)"}
    argv = [renamed.get(one, one) for one in argv]
    if "--node-rank" in argv:
        argv[argv.index("--node-rank") + 1] = "$(LWS_WORKER_INDEX)"
    if "--data-parallel-start-rank" not in argv:
        return ["    command:", *_items(argv, "      ")]
    # A worker's first rank is a product, which only a shell can compute, so a shell appends it.
    at = argv.index("--data-parallel-start-rank")
    del argv[at : at + 2]
    local = plan.layout.dp // plan.layout.nodes
    script = f'exec "$@" --data-parallel-start-rank $((LWS_WORKER_INDEX * {local}))'
    return ["    command:", *_items(["sh", "-c", script, "engine", *argv], "      ")]


def _kubernetes_service(name: str, selector: dict[str, str]) -> list[str]:
    return [
        "apiVersion: v1",
        "kind: Service",
        f"metadata: {{name: {name}}}",
        "spec:",
        f"  selector: {json.dumps(selector)}",
        f"  ports: [{{port: {_PORT}, targetPort: {_PORT}}}]",
    ]


def _items(values: Iterable[str], indent: str) -> list[str]:
    return [f"{indent}- {json.dumps(value)}" for value in values]


def _refusal(plan: Plan) -> str:
    return f"# Does not fit, so there is nothing to start: {plan.why_not}\n"


def emit(plan: Plan, form: str) -> str:
    """Return the fragment of that form: compose or kubernetes."""
    return {"compose": compose, "kubernetes": kubernetes}[form](plan)
