"""How often the default model says the name that a contact gave in an earlier conversation: the whole path of a memory, ten times."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from chinwag.local import demo, models
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import Stack, a_free_port

_AIM = 9
_TOLD = "My name is Marta and I live in Porto"
_ASKED = "What is my name?"


def _ask(stack: Stack, person: build.Person, words: str) -> str:
    """Send a message, unchanged, and return the answer that reaches the person."""
    before = len(stack.platform.texts_to(person.number))
    message = build.a_text(person, words)
    body = build.a_webhook(messages=[message], people=[person])
    until(lambda: stack.post(body) == 200, what="the webhook was taken")
    return until(lambda: stack.platform.texts_to(person.number)[before:], timeout_s=120, what="an answer came")[-1]


def main() -> None:
    """Ask ten people and count."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--times", type=int, default=10)
    given = parser.parse_args()
    model = models.find(LocalSettings.from_env(os.environ), Report())
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        work = Path(folder) / "stack"
        work.mkdir()
        with Stack(cluster, work, settings={"CHINWAG_DEBOUNCE_S": "0", "CHINWAG_LOG_LEVEL": "warning"}, persona=demo.PERSONA) as stack:
            port = a_free_port()
            options = ["--model", str(model.path), "--alias", model.name, "--port", str(port)]
            engine = stack.processes.start("engine", ["inference.engines.llamacpp", *options], {})
            engine.wait_listening(120)
            stack.env |= {"CHINWAG_MODEL_URL": f"http://127.0.0.1:{port}/v1", "CHINWAG_MODEL_NAME": model.name}
            stack.start_web()
            stack.start_dispatcher()
            stack.start_worker()
            for n in range(given.times):
                person = build.a_person("WhatsApp User")
                _ask(stack, person, _TOLD)
                _ask(stack, person, "/reset")
                answer = _ask(stack, person, _ASKED)
                rows.append({"n": n + 1, "says_marta": "marta" in answer.lower(), "answer": answer})
                print(f"{n + 1}: {answer!r}", flush=True)
    said = sum(row["says_marta"] for row in rows)
    print(f"{said} of {len(rows)} answers say Marta (aim {_AIM} of 10)")
    report.keep("remembers", {"model": model.name, "said": said, "of": len(rows), "aim_of_10": _AIM, "rows": rows}, given.json)
    report.bars(
        "remembers", "Answers that know the contact's name", "answers", {model.name: {"says Marta": said, "does not": len(rows) - said}}
    )


if __name__ == "__main__":
    main()
