"""Whether what is asked for after 200 turns is in the prompt: a whole service, a scripted model, the real embedder. `python -m bench.memory long_talk`.

Eight facts are told in the first turns and 24 likes later, between small talk and questions; then each fact is asked for, twice: in the same talk, and after /reset.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from bench import report
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import Stack, a_free_port

#: What is told, what asks for it, and the word that the prompt must have. Two of them are of no kind: they can only be recalled.
_FACTS = (
    ("My name is Ana Whitlock.", "What is my name?", "Whitlock"),
    ("I live in Whitby.", "Where do I live?", "Whitby"),
    ("I'm allergic to penicillin.", "Which medicine must I not take?", "penicillin"),
    ("My dog is called Biscuit.", "What is my dog called?", "Biscuit"),
    ("I work as a midwife.", "What is my job?", "midwife"),
    ("The code of my locker at the pool is on a blue tag, row seven.", "Where is my locker at the pool?", "row seven"),
    ("My sister's wedding is on the beach at Sandsend.", "Where does my sister get married?", "Sandsend"),
    ("The lamp I bought on Monday flickers.", "What is wrong with the lamp?", "flickers"),
)
_LIKES = ("tea", "plums", "rowing", "jazz", "maps", "owls", "rain", "soup", "chess", "moss", "trains", "dahlias", "pears", "kites", "bread", "opera", "figs", "ferries", "murals", "poems", "cider", "lanterns", "tulips", "walks")  # fmt: skip
_FILLING = (
    "How do I fold a paper boat?",
    "Tell me something about clouds",
    "Thanks!",
    "What rhymes with orange?",
    "Good morning",
    "Can you explain tides?",
    "How long do eggs boil?",
    "ok",
)


def main() -> None:
    """Talk, ask, and look into the prompts."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.memory long_talk", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write the figures into this file, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        work = Path(folder) / "stack"
        work.mkdir()
        with Stack(cluster, work) as stack:
            stack.model.script(echo=True)
            port = a_free_port()
            stack.processes.start("embedder", ["inference.embed_server", "--port", str(port)], {}).wait_listening(60)
            stack.env |= {"CHINWAG_EMBED_URL": f"http://127.0.0.1:{port}/v1"}
            stack.start_web()
            stack.start_dispatcher()
            stack.start_worker()
            rows = _talk(stack, given.turns)
    held = sum(row["held"] for row in rows)
    for row in rows:
        print(f"{'held  ' if row['held'] else 'MISSED'} {row['talk']:12} {row['asked']}")
    print(f"{held} of {len(rows)} prompts hold what was asked for (aim: all)")
    report.keep("memory_long_talk", {"turns": given.turns, "held": held, "of": len(rows), "rows": rows}, given.json)


def _talk(stack: Stack, turns: int) -> list[dict[str, Any]]:
    person = build.a_person("Ana")
    for n in range(turns):
        told = n % 6 == 5 and n // 6 < len(_FACTS)
        liked = n > 60 and n % 5 == 0 and (n - 60) // 5 <= len(_LIKES)
        words = _FACTS[n // 6][0] if told else f"I like {_LIKES[(n - 60) // 5 - 1]}." if liked else _FILLING[n % len(_FILLING)]
        _ask(stack, person, words)
    rows = [_asked(stack, person, fact, "same talk") for fact in _FACTS]
    _ask(stack, person, "/reset")
    return rows + [_asked(stack, person, fact, "after /reset") for fact in _FACTS]


def _asked(stack: Stack, person: build.Person, fact: tuple[str, str, str], talk: str) -> dict[str, Any]:
    _, question, word = fact
    turn = _ask(stack, person, question)
    prompt = stack.one("select prompt from model_calls where turn_id = :turn order by created_at desc limit 1", turn=turn)
    return {"talk": talk, "asked": question, "held": word in json.dumps(prompt)}


def _ask(stack: Stack, person: build.Person, words: str) -> Any:
    """Say something, wait until it is answered, and return the turn."""
    wamid = stack.say(person, words)
    done = "select t.id from inbox i join turns t on t.id = i.turn_id where i.event_key = :key and t.state = 'answered'"
    return until(lambda: stack.one(done, key=wamid), timeout_s=60, what="it was answered")
