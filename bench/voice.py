"""How many seconds of sound a second our server hears, over HTTP, beside the bare library in the same environment; and how many words it gets wrong.

python -m bench.voice [--rounds 5] [--more FOLDER]

The recordings are those of tests/corpus/voice; with --more also the pairs NAME.wav (or .ogg ...) and NAME.txt of a folder, whose text is what is said.
Both sides hear each recording in each round, and take turns. The bare library decodes and hears the file as its documentation shows, with the same model,
threads and beam, and knows no contact's language.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from bench.processes import resident_mb
from bots.channels.sound import media_type_of
from chinwag.local import install_voice, voice
from chinwag.local.settings import LocalSettings
from inference.hear import Hearer
from inference.types import Endpoint
from tests.support.processes import ROOT, Processes

_AIM = 0.9
_CORPUS = ROOT / "tests" / "corpus" / "voice"
_SAID = {
    "ill_disposed": "He was not an ill-disposed young man.",
    "leisure": "And Mr. John Dashwood had then leisure to consider how much there might be prudently in his power to do for them.",
}
#: The bare library: a file name a line in, seconds and text a line out.
_BARE = """
import io, json, os, sys, time
os.nice(10)
from faster_whisper import WhisperModel
model = WhisperModel(sys.argv[1], device="cpu", compute_type="int8", cpu_threads=int(sys.argv[2]))
print("ready", flush=True)
for line in sys.stdin:
    began = time.monotonic()
    segments, about = model.transcribe(line.strip(), beam_size=5, temperature=0.0, condition_on_previous_text=False, vad_filter=True)
    text = " ".join(one.text.strip() for one in segments)
    print(json.dumps([time.monotonic() - began, text, about.duration]), flush=True)
"""


def main() -> None:
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--more", type=Path, help="a folder with recordings, and a text beside each")
    given = parser.parse_args()
    if subprocess.run([sys.executable, "-I", str(ROOT / "chinwag" / "local" / "install_voice.py")], check=False).returncode:
        sys.exit("what hears voice messages could not be installed")
    model, python = voice.fetch(LocalSettings.from_env(os.environ).cache), str(install_voice.environment() / "bin" / "python")
    threads = len(os.sched_getaffinity(0))
    said = {path: _SAID[path.stem] for path in sorted(_CORPUS.iterdir()) if path.stem in _SAID and path.suffix != ".amr"}
    for text in sorted(given.more.glob("*.txt")) if given.more else ():
        said |= {
            path: text.read_text("utf-8") for path in text.parent.glob(f"{text.stem}.*") if path.suffix in (".wav", ".ogg", ".mp3", ".flac")
        }
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder:
        processes = Processes(Path(folder), forks=False)
        bare = subprocess.Popen([python, "-c", _BARE, str(model), str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            server = processes.start_command("ears", [python, "-m", "inference.voice.server", "--model", str(model)], {})
            hearer = Hearer(Endpoint(name="ears", url=f"{server.wait_listening()}/v1", model="whisper-base"), takes_hints=True)
            assert bare.stdout is not None
            bare.stdout.readline()
            rows = _rounds(said, hearer, bare, given.rounds)
            resident = resident_mb(server.pid)
        finally:
            bare.kill()
            bare.wait()
            processes.end_all()
    ratio = statistics.median(row["bare_s"] / row["ours_s"] for row in rows)
    result = {
        "model": "whisper-base, int8",
        "threads": threads,
        "recordings": len(said),
        "rounds": given.rounds,
        "rows": rows,
        "ratio": round(ratio, 3),
        "aim": _AIM,
        "resident_mb": resident,
        "word_error_rate": _errors(rows, "ours_text"),
        "bare_word_error_rate": _errors(rows, "bare_text"),
        "note": "read English alone could be had here; how other languages and noisy rooms are heard is not measured",
    }
    report.table(rows, ["recording", "seconds", "ours_s", "bare_s", "ours_per_s", "bare_per_s"])
    print(
        f"ours to the bare library: {ratio:.3f}; word error rate {result['word_error_rate']}, bare {result['bare_word_error_rate']}; {resident} MB"
    )
    report.keep("voice", result, given.json)


def _rounds(said: dict[Path, str], hearer: Hearer, bare: subprocess.Popen[str], rounds: int) -> list[dict[str, Any]]:
    assert bare.stdin is not None
    assert bare.stdout is not None
    taken: dict[Path, tuple[list[float], list[float]]] = {path: ([], []) for path in said}
    texts: dict[Path, list[str]] = {}
    lengths: dict[Path, float] = {}
    for n in range(rounds + 1):
        for path in said:
            # Something else each time: what was heard a moment ago is not heard again.
            data = path.read_bytes() + os.urandom(4)
            sides = ["ours", "bare"] if n % 2 else ["bare", "ours"]
            for side in sides:
                if side == "ours":
                    began = time.monotonic()
                    heard = hearer.hear(data, media_type=media_type_of(data), hint="", until=began + 120)
                    took, text = time.monotonic() - began, heard.text
                else:
                    bare.stdin.write(f"{path}\n")
                    bare.stdin.flush()
                    took, text, lengths[path] = json.loads(bare.stdout.readline())
                if n:
                    taken[path][side == "bare"].append(took)
                    texts.setdefault(path, ["", ""])[side == "bare"] = text
    return [_row(path, said[path], taken[path], texts[path], lengths[path]) for path in said]


def _row(path: Path, said: str, taken: tuple[Sequence[float], Sequence[float]], texts: Sequence[str], seconds: float) -> dict[str, Any]:
    ours, bare = (statistics.median(one) for one in taken)
    return {
        "recording": path.name,
        "seconds": round(seconds, 2),
        "ours_s": round(ours, 3),
        "bare_s": round(bare, 3),
        "ours_per_s": round(seconds / ours, 2),
        "bare_per_s": round(seconds / bare, 2),
        "said": said.strip(),
        "ours_text": texts[0],
        "bare_text": texts[1],
    }


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _errors(rows: Sequence[dict[str, Any]], side: str) -> float:
    """Words wrong, missing or too many, as a share of those that were said."""
    wrong = sum(_distance(_words(row["said"]), _words(row[side])) for row in rows)
    return round(wrong / max(1, sum(len(_words(row["said"])) for row in rows)), 4)


def _distance(one: Sequence[str], other: Sequence[str]) -> int:
    before = list(range(len(other) + 1))
    for n, word in enumerate(one, 1):
        row = [n]
        for m, heard in enumerate(other, 1):
            row.append(min(before[m] + 1, row[-1] + 1, before[m - 1] + (word != heard)))
        before = row
    return before[-1]


if __name__ == "__main__":
    main()
