"""An engine that ends while our client reads an answer: what was written so far is never taken for the whole.

vLLM ends such an answer in one of four ways, by which of its processes got the signal and which of them was faster: the finish reason "abort"
with counts and [DONE]; an error event and [DONE]; a connection that breaks off; or one that stays open and silent for as long as the client
waits. A stopping API server takes no connections any more; before that it answers 500, or 200 with an empty answer and "abort".
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from inference.errors import ModelUnavailable
from inference.types import Message
from tests.engine.forked import ForkServer
from tests.engine.serving import CONTEXT, VLLM

_QUESTION = [Message(role="user", content="Tell me a long story.")]
#: Words that have come when it ends; far fewer than it would write.
_SOME = 40


@pytest.mark.parametrize(
    ("number", "of", "counted"),
    [
        # As a service manager stops all processes of a service: the engine aborts what runs, and the API server passes that on.
        (signal.SIGTERM, "EngineCore", True),
        (signal.SIGTERM, "APIServer", False),
        (signal.SIGKILL, "EngineCore", False),
        (signal.SIGKILL, "APIServer", False),
    ],
    ids=["the engine is stopped", "the server is stopped", "the engine is killed", "the server is killed"],
)
def test_half_an_answer_of_an_engine_that_ends_is_never_whole(
    checkpoints: Path, forks: ForkServer, tmp_path: Path, *, number: int, of: str, counted: bool
) -> None:
    ended_at: list[str] = []
    with VLLM(checkpoints / "llama4", folder=tmp_path, forks=forks) as engine:

        def end_it(text: str) -> None:
            if not ended_at and len(text.split()) >= _SOME:
                ended_at.append(text)
                engine.signal(number, of=of)

        with pytest.raises(ModelUnavailable) as raised:
            engine.client().chat(_QUESTION, max_tokens=CONTEXT - 200, temperature=0, on_text=end_it)

    assert raised.value.text.startswith(ended_at[0])
    if counted:
        assert raised.value.usage is not None
        assert raised.value.usage.tokens_out >= _SOME
