"""What a probe reads out of answers: by table, and out of any bytes without an error."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.probe import replies as probe_read
from inference.probe.replies import Listed, Reply, Said
from inference.types import Endpoint

_AT = Endpoint(name="x", url="http://host:1/v1", model="mine", api_key="sk-secret")
_OPEN = Endpoint(name="x", url="http://host:1", model="mine")
_MINE, _OTHER = (Listed(name=name, context=0, server="unknown") for name in ("mine", "other"))
_METRICS = """# HELP vllm:num_requests_running Number of requests
vllm:cache_config_info{block_size="16",enable_prefix_caching="False",engine="0"} 1.0
vllm:num_requests_running{engine="0",model_name="m"} 0.0
vllm:num_requests_running{engine="1",model_name="m"} 0.0
vllm:num_requests_waiting{engine="2",model_name="m"} 0.0
"""


@pytest.mark.parametrize(
    ("body", "listed"),
    [
        (b'{"data":[{"id":"m","owned_by":"vllm","max_model_len":32768}]}', [Listed(name="m", context=32768, server="vllm")]),
        (
            b'{"models":[],"data":[{"id":"m","owned_by":"llamacpp","meta":{"n_ctx":2048,"n_ctx_train":8192}}]}',
            [Listed(name="m", context=2048, server="llamacpp")],
        ),
        (b'{"data":[{"id":"m","owned_by":"llamacpp","meta":null}]}', [Listed(name="m", context=0, server="llamacpp")]),
        (b'{"data":[{"id":"m","context_length":131072},{"id":"n"}]}', [Listed(name="m", context=131072, server="unknown"),
                                                                       Listed(name="n", context=0, server="unknown")]),
        (b'{"data":[]}', []),
        (b'{"error":"no"}', None),
        (b"<html>", None),
    ],
)  # fmt: skip
def test_models_are_read_in_each_servers_words(body: bytes, listed: list[Listed] | None) -> None:
    assert probe_read.models(body) == listed


def test_ranks_and_prefix_cache_are_read_from_vllms_figures() -> None:
    assert (probe_read.ranks(_METRICS), probe_read.prefix_caching(_METRICS), probe_read.server_of(_METRICS)) == (2, False, "vllm")
    assert (probe_read.ranks(""), probe_read.prefix_caching(""), probe_read.server_of("")) == (0, None, "unknown")
    assert probe_read.server_of("# TYPE llamacpp:n counter\nllamacpp:n 0\n") == "llamacpp"


def test_a_completion_is_read_with_its_counts_and_thoughts() -> None:
    body = b'{"choices":[{"message":{"content":null,"reasoning":"hm"}}],"usage":{"prompt_tokens":7,"prompt_tokens_details":{"cached_tokens":4}}}'

    assert probe_read.said(body) == Said(text="", thought="hm", tokens_in=7, cached=4)
    assert probe_read.said(b'{"choices":[{"message":{"content":"x"}}]}') == Said(text="x", thought="", tokens_in=None, cached=None)
    assert probe_read.said(b'{"choices":[]}') is None


@pytest.mark.parametrize(
    ("text", "thought", "thinks"),
    [
        ("4", "", False),
        ("<think>hm</think>4", "", True),
        ("so it is 4</think>\n4", "", True),
        ("4", "hm", True),
        ("[THINK]hm[/THINK]4", "", True),
    ],
)
def test_a_model_that_thinks_aloud_is_known_by_its_marks(text: str, thought: str, thinks: bool) -> None:
    assert probe_read.thinks(Said(text=text, thought=thought, tokens_in=1, cached=None)) == thinks


@pytest.mark.parametrize(
    ("text", "follows"),
    [('{"shape":"hexagon"}', True), ('\n{ "shape" : "hexagon" }\n', True), ('{"shape":"circle"}', False), ("hexagon", False),
     ('{"shape":"hexagon","more":1}', False), ('{"shape":"hex', False), ("\ud800", False)],
)  # fmt: skip
def test_a_schema_is_followed_only_by_its_one_answer(text: str, follows: bool) -> None:
    assert probe_read.follows_schema(text) == follows


@pytest.mark.parametrize(
    ("plain", "raw", "neutralised", "as_one", "read"),
    [
        (31, 39, 95, True, True),  # SmolLM2, <|im_start|> eight times, measured
        (31, 79, 95, False, None),  # the same tokenizer, a stranger's token
        (2, 2, 2, True, None),  # a server that counts words
        (31, 39, 40, True, None),
    ],
)
def test_a_token_is_read_as_such_where_it_costs_one_and_its_neutral_form_several(
    plain: int, raw: int, neutralised: int, as_one: bool, read: bool | None
) -> None:
    assert probe_read.costs_as_one(plain=plain, with_tokens=raw, times=8) == as_one
    if as_one:
        assert probe_read.parses(plain=plain, neutralised=neutralised, times=8) == read


@pytest.mark.parametrize(
    ("reply", "endpoint", "listed", "words"),
    [
        (Reply(status=401), _AT, None, "the key is wrong"),
        (Reply(status=403), _OPEN, None, "it requires a key, and none was given"),
        (Reply(status=404), _OPEN, None, "does http://host:1 end in /v1"),
        (Reply(status=308), _OPEN, None, "give its final address"),
        (Reply(status=404), _AT, [_OTHER], "no model mine; it has: other"),
        (Reply(status=404, body=b'{"error":{"message":"gone"}}'), _AT, [_MINE], "rejects a plain request (404): gone"),
        (Reply(status=503, body=b'{"error":{"message":"its queue is full"}}'), _AT, [_MINE], "full (503): try again later"),
        (Reply(status=429), _AT, [_MINE], "full (429)"),
        (Reply(status=502, body=b"<html>"), _AT, [_MINE], "rejects a plain request (502)"),
        (Reply(), _AT, [_MINE], "does not answer a plain request in time"),
        (Reply(status=200, body=b"<html>"), _AT, None, "not a completion"),
    ],
)
def test_why_an_endpoint_cannot_be_used_is_said_in_one_line(
    reply: Reply, endpoint: Endpoint, listed: list[Listed] | None, words: str
) -> None:
    said = probe_read.explain(reply, endpoint, listed)

    assert words in said
    assert "\n" not in said


def test_a_servers_own_words_are_shortened_and_tell_no_key() -> None:
    body = b'{"error":{"message":"bad key sk-secret\\u001b[31m\\n' + b"x" * 500 + b'"}}'
    said = probe_read.explain(Reply(status=400, body=body), _AT, [_MINE])

    assert "bad key ***?[31m x" in said
    assert "sk-secret" not in said
    assert len(said) < 300


def test_many_models_are_named_in_part() -> None:
    listed = [Listed(name=f"m{n}", context=0, server="unknown") for n in range(400)]

    assert probe_read.names(listed).endswith("m9, ...")


def test_the_picture_is_a_png_of_one_colour() -> None:
    png = probe_read.solid_png(8, (1, 2, 3))
    (length,) = struct.unpack(">I", png[33:37])

    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">IIBBBBB", png[16:29]) == (8, 8, 8, 2, 0, 0, 0)
    assert struct.unpack(">I", png[29:33]) == (zlib.crc32(png[12:29]),)
    assert zlib.decompress(png[41 : 41 + length]) == (b"\0" + bytes((1, 2, 3)) * 8) * 8


@given(st.binary() | st.text().map(str.encode) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(repr).map(str.encode))
def test_any_bytes_are_read_without_an_error(body: bytes) -> None:
    text = body.decode("utf-8", "replace")

    assert probe_read.said(body) is None or isinstance(probe_read.said(body), Said)
    assert isinstance(probe_read.explain(Reply(status=400, body=body), _AT, probe_read.models(body)), str)
    assert isinstance(probe_read.version(body), str)
    assert probe_read.ranks(text) >= 0
    assert probe_read.prefix_caching(text) in (None, True, False)
