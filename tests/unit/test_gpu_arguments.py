"""What a GPU worker refuses before it starts anything, and what its engine gets of the environment."""

from __future__ import annotations

import pytest

from workers import gpu

_ENV = {"CHINWAG_CROSSING_DATABASE_URL": "postgresql+psycopg://chinwag_crossing@127.0.0.1:1/chinwag"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engine", "e"], "give either --attach URL"),
        (["--engine", "e", "--attach", "http://x", "--slots", "1", "--", "vllm"], "give either --attach URL"),
        (["--engine", "e", "--attach", "http://x"], "--slots"),
        (["--engine", "e 1", "--", "vllm", "serve", "m"], "an engine's name consists of"),
        (["--engine", "e", "--profile", "A B", "--", "vllm", "serve", "m"], "a profile's name consists of"),
        (["--engine", "e", "--", "vllm", "serve", "m", "--max-num-seqs", "many"], "--max-num-seqs must be a number of at least 1"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_code_2(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    try:
        code: object = gpu.main(arguments, _ENV)
    except SystemExit as ended:
        code = ended.code
    (line,) = capsys.readouterr().err.splitlines()

    assert code == 2
    assert words in line


def test_an_engine_gets_no_setting_and_no_secret_of_ours() -> None:
    ours = {
        "CHINWAG_KEYS_FILE": "/keys",
        "DATABASE_URL": "postgresql://owner:secret@x",
        "REDIS_URL": "redis://:secret@x",
        "MODEL_KEY_FILE": "/key",
    }

    assert gpu.engine_env(ours | {"HF_TOKEN": "t", "PATH": "/bin"}) == {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_TOKEN": "t",
        "PATH": "/bin",
    }
