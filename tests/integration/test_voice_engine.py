"""What really hears: Whisper in its own environment, over HTTP, on recordings as messengers send them; and what is no speech, which gives no words."""

from __future__ import annotations

import io
import math
import os
import random
import re
import struct
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bots.channels.sound import media_type_of
from chinwag.local import install_voice, voice
from chinwag.local.settings import LocalSettings
from inference.errors import ModelBusy
from inference.hear import Heard, Hearer, NotHeard
from inference.types import Endpoint
from tests.support.processes import ROOT, Processes

_CORPUS = ROOT / "tests" / "corpus" / "voice"
_RATE = 16_000
_SAID = {
    "ill_disposed": "he was not an ill disposed young man",
    "leisure": "and mr john dashwood had then leisure to consider how much there might be prudently in his power to do for them",
}


@pytest.fixture(scope="module")
def hearer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hearer]:
    made = subprocess.run(
        [sys.executable, "-I", str(ROOT / "chinwag" / "local" / "install_voice.py")], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    model = voice.fetch(LocalSettings.from_env(os.environ).cache)
    python = install_voice.environment() / "bin" / "python"
    processes = Processes(Path(tmp_path_factory.mktemp("ears")))
    try:
        server = processes.start_command("ears", [str(python), "-m", "inference.voice.server", "--model", str(model), "--port", "0"], {})
        yield Hearer(Endpoint(name="ears", url=f"{server.wait_listening()}/v1", model="whisper-base"), takes_hints=True)
    finally:
        processes.end_all()


def _hear(hearer: Hearer, data: bytes, hint: str = "", within_s: float = 60.0) -> Heard:
    return hearer.hear(data, media_type=media_type_of(data), hint=hint, until=time.monotonic() + within_s)


def _wav(sample: Callable[[int], float], seconds: float) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(b"".join(struct.pack("<h", int(32767 * max(-1.0, min(1.0, sample(n))))) for n in range(int(seconds * _RATE))))
    return out.getvalue()


def _quiet(seconds: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(bytes(2 * seconds * _RATE))
    return out.getvalue()


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z]+", text.lower().replace("-", " ")))


@pytest.mark.parametrize("file", sorted(path.name for path in _CORPUS.iterdir() if path.suffix not in {".md", ".amr"}))
def test_each_form_that_messengers_send_is_heard(hearer: Hearer, file: str) -> None:
    heard = _hear(hearer, (_CORPUS / file).read_bytes())

    assert _words(heard.text) == _SAID[file.partition(".")[0]]
    assert heard.language == "en"
    assert (heard.language_certainty or 0) > 0.7
    assert 0.4 < (heard.certainty or 0) <= 1
    assert heard.seconds is not None
    assert 2.5 < heard.seconds < 8


def test_a_narrow_telephone_voice_is_heard_nearly_right(hearer: Hearer) -> None:
    said, heard = _SAID["ill_disposed"].split(), _words(_hear(hearer, (_CORPUS / "ill_disposed.amr").read_bytes()).text).split()

    assert len(set(said) & set(heard)) >= len(said) - 2


_NOISES: dict[str, Callable[[int], float]] = {
    "silence": lambda _: 0.0,
    "noise": lambda _: random.gauss(0, 0.1),
    "hum": lambda n: 0.2 * math.sin(2 * math.pi * 50 * n / _RATE),
    "chord": lambda n: sum(0.1 * math.sin(2 * math.pi * f * n / _RATE) for f in (261.6, 329.6, 392.0)),
    "melody": lambda n: 0.3 * math.sin(2 * math.pi * (440, 494, 523, 587, 659, 698)[n // (_RATE // 2) % 6] * n / _RATE),
    "clicks": lambda n: 0.9 if n % 4000 == 0 else 0.0,
    "wind": lambda n: random.gauss(0, 0.2) * abs(math.sin(2 * math.pi * 0.4 * n / _RATE)),
}


@pytest.mark.parametrize("noise", _NOISES)
def test_what_is_no_speech_gives_no_words(hearer: Hearer, noise: str) -> None:
    heard = _hear(hearer, _wav(_NOISES[noise], 4))

    assert (heard.text, heard.language) == ("", "")
    assert heard.seconds == pytest.approx(4, abs=0.1)


_BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "no recording": (b"%PDF-1.7 and more", "unreadable"),
    "a list of addresses": (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", "unreadable"),
    "a wrong container": (b"OggS" + bytes(range(256)) * 20, "unreadable"),
    "cut off before its first sound": ((_CORPUS / "leisure.ogg").read_bytes()[:60], "unreadable"),
    "longer than ten minutes": (_quiet(601), "too_long"),
}


@pytest.mark.parametrize("what", _BROKEN)
def test_a_broken_file_is_refused_with_its_reason(hearer: Hearer, what: str) -> None:
    data, code = _BROKEN[what]

    with pytest.raises(NotHeard) as refused:
        _hear(hearer, data)

    assert refused.value.code == code


def test_a_recording_that_was_cut_off_gives_its_beginning(hearer: Hearer) -> None:
    whole = (_CORPUS / "leisure.ogg").read_bytes()

    assert _words(_hear(hearer, whole[: len(whole) * 3 // 4]).text).startswith("and mr john dashwood had then leisure")


def test_the_writers_language_counts_where_the_recording_leaves_it_open(hearer: Hearer) -> None:
    # Half a second of a vowel: a voice, in no language.
    vowel = _wav(
        lambda n: 0.4 * sum(math.sin(2 * math.pi * 120 * k * n / _RATE) / k for k in (1, 2, 3, 5, 6)) * math.sin(math.pi * n / _RATE), 1
    )
    heard = _hear(hearer, vowel, hint="de")

    assert heard.language in ("", "de")
    # One who speaks English clearly is heard in English, whatever they write in.
    assert _hear(hearer, (_CORPUS / "leisure.ogg").read_bytes(), hint="de").language == "en"


def test_whoever_asks_again_gets_the_same_and_it_is_heard_once(hearer: Hearer) -> None:
    data = (_CORPUS / "leisure.ogg").read_bytes() + b"\0"
    began = time.monotonic()
    first = _hear(hearer, data)
    middle = time.monotonic()
    again = _hear(hearer, data)

    assert again == first
    assert time.monotonic() - middle < (middle - began) / 2


def test_a_crowd_is_told_to_come_again(hearer: Hearer) -> None:
    data, busy = (_CORPUS / "leisure.ogg").read_bytes(), list[float]()

    def ask(n: int) -> None:
        try:
            _hear(hearer, data + bytes([n, 1]), within_s=100)
        except ModelBusy as error:
            busy.append(error.retry_after_s)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 <= len(busy) <= 6
    assert set(busy) == {5.0}
