"""faster-whisper: what is said in a recording, in which language, and how certain that is. One recording at a time.

Guarantee: silence, music and noise give no words. Words that the model makes up are told from those that were said by how sure it is of them, whether a
voice was there at all, and whether they repeat themselves.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.voice.sound import RATE, Samples

#: Below this the language that a person writes in is the better guess: short notes are often heard as a neighbouring language.
CERTAIN = 0.7
#: Words are kept only where the model is at least so sure of them (mean log probability of a token), and less where it hears no voice.
_UNSURE, _UNSURE_WITHOUT_VOICE = -1.2, -0.6
_NO_VOICE = 0.6
#: Text that repeats itself compresses well.
_REPEATS = 2.4
#: Shorter speech is a click or a breath.
_LEAST_SPEECH_S = 0.25
#: Whisper hears half a minute at a time. People say fewer tokens in a second, in any script.
_WINDOW_S, _MOST_TOKENS_S, _MARGIN_TOKENS = 30.0, 13, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is said in a recording."""

    #: Empty where no words could be heard.
    text: str
    #: ISO 639-1; empty where nothing was heard.
    language: str
    #: Of the language, from 0 to 1.
    language_certainty: float
    #: Of the words, from 0 to 1: the mean probability of a token.
    certainty: float
    #: Of the recording.
    seconds: float


class Engine:
    """A Whisper model. Not safe between threads."""

    def __init__(self, model: str, *, threads: int) -> None:
        """`model` is a folder, or a name on the Hub."""
        # Both are in the environment of the voice engine alone.
        whisper: Any = importlib.import_module("faster_whisper")
        self._vad: Any = importlib.import_module("faster_whisper.vad")
        self._model: Any = whisper.WhisperModel(
            model, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=Path(model).is_dir()
        )

    def hear(self, sound: Samples, *, language: str = "", hint: str = "") -> Heard:
        """Return what is said. `language` is certain; `hint` counts where the recording leaves it open."""
        seconds = sound.size / RATE
        spoken = self._vad.get_speech_timestamps(sound, self._vad.VadOptions(min_speech_duration_ms=150, min_silence_duration_ms=500))
        if sum(one["end"] - one["start"] for one in spoken) < _LEAST_SPEECH_S * RATE:
            return Heard(text="", language="", language_certainty=0.0, certainty=0.0, seconds=seconds)
        # Whichever language it is heard in, the first half minute is looked at only once: what tells the language also begins the words.
        segments, about = self._heard(sound, language or None)
        sure = 1.0 if language else float(about.language_probability)
        if sure < CERTAIN and hint in self._model.supported_languages and hint != about.language:
            segments, about = self._heard(sound, hint)
        kept = [one for one in segments if _was_said(one)]
        text = " ".join(one.text.strip() for one in kept).strip()
        tokens = sum(len(one.tokens) for one in kept)
        certainty = math.exp(sum(one.avg_logprob * len(one.tokens) for one in kept) / tokens) if tokens else 0.0
        return Heard(
            text=text,
            language=about.language if text else "",
            language_certainty=round(sure, 3) if text else 0.0,
            certainty=round(certainty, 3),
            seconds=seconds,
        )

    def _heard(self, sound: Samples, language: str | None) -> tuple[Any, Any]:
        """The pieces, which are heard only as they are asked for, and what is known of the language."""
        found: tuple[Any, Any] = self._model.transcribe(
            sound,
            language=language,
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            # A model that repeats itself would go on to the end of its context.
            max_new_tokens=int(min(sound.size / RATE, _WINDOW_S) * _MOST_TOKENS_S) + _MARGIN_TOKENS,
            vad_filter=True,
            vad_parameters={"min_silence_duration_ms": 500},
        )
        return found


def _was_said(segment: Any) -> bool:
    if not any(sign.isalnum() for sign in segment.text) or segment.compression_ratio > _REPEATS:
        return False
    return segment.avg_logprob > (_UNSURE_WITHOUT_VOICE if segment.no_speech_prob > _NO_VOICE else _UNSURE)
