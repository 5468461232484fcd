"""What a probe reads out of answers: by table, and out of any bytes without an error."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.probe import replies as probe_read
from inference.probe.cards import Listed, Listing, models
from inference.probe.reasons import explain
from inference.probe.replies import Reply, Said
from inference.types import Endpoint

_AT = Endpoint(name="x", url="http://host:1/v1", model="mine", api_key="sk-secret")
_OPEN = Endpoint(name="x", url="http://host:1", model="mine")
_MINE, _OTHER, _NEAR = (Listing(models=(Listed(name=name),)) for name in ("mine", "other", "maker/Mine-2"))
_METRICS = """# HELP vllm:num_requests_running Number of requests
vllm:cache_config_info{block_size="16",enable_prefix_caching="False",engine="0"} 1.0
vllm:num_requests_running{engine="0",model_name="m"} 0.0
vllm:num_requests_running{engine="1",model_name="m"} 0.0
vllm:num_requests_waiting{engine="2",model_name="m"} 0.0
"""


def test_ranks_and_prefix_cache_are_read_from_vllms_figures() -> None:
    assert (probe_read.ranks(_METRICS), probe_read.prefix_caching(_METRICS), probe_read.server_of(_METRICS)) == (2, False, "vllm")
    assert (probe_read.ranks(""), probe_read.prefix_caching(""), probe_read.server_of("")) == (0, None, "unknown")
    assert probe_read.server_of("# TYPE llamacpp:n counter\nllamacpp:n 0\n") == "llamacpp"


def test_a_completion_is_read_with_its_counts_and_thoughts() -> None:
    body = b'{"choices":[{"message":{"content":null,"reasoning":"hm"}}],"usage":{"prompt_tokens":7,"prompt_tokens_details":{"cached_tokens":4}}}'

    assert probe_read.said(body) == Said(text="", thought="hm", tokens_in=7, cached=4)
    assert probe_read.said(b'{"choices":[{"message":{"content":"x"}}]}') == Said(text="x", thought="", tokens_in=None, cached=None)
    assert probe_read.said(b'{"choices":[]}') == Said()
    cut = b'{"choices":[{"message":{"content":"x"},"finish_reason":{"type":"length"}}]}'
    assert probe_read.said(cut) == Said(text="x", is_cut=True)
    assert probe_read.said(b'{"error":{"message":"no"},"choices":[]}') is None
    assert probe_read.said(b"{}") is None


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


def _error(status: int, fields: str) -> Reply:
    return Reply(status=status, body=f'{{"error":{{{fields}}}}}'.encode())


@pytest.mark.parametrize(
    ("reply", "endpoint", "listed", "words"),
    [
        (Reply(status=401), _AT, None, "the key is wrong"),
        (Reply(status=403), _OPEN, None, "it requires a key, and none was given"),
        (Reply(status=404), _OPEN, None, "does http://host:1 end in /v1"),
        (Reply(status=308), _OPEN, None, "give its final address"),
        (Reply(status=404), _AT, _OTHER, "no model mine; it has: other"),
        (Reply(status=404, body=b'{"error":{"message":"gone"}}'), _AT, _MINE, "rejects a plain request (404): gone"),
        (Reply(status=503, body=b'{"error":{"message":"its queue is full"}}'), _AT, _MINE, "full (503): try again later"),
        (Reply(status=429), _AT, _MINE, "full (429)"),
        (Reply(status=502, body=b"<html>"), _AT, _MINE, "rejects a plain request (502)"),
        (Reply(), _AT, _MINE, "does not answer a plain request in time"),
        (_error(404, '"message":"model not found","code":404'), _AT, None, "the server has no model mine; it says: model not found"),
        (_error(404, '"message":"no","code":"model_not_found"'), _AT, _NEAR, "it has: maker/Mine-2. Did you mean maker/Mine-2?"),
        (_error(400, '"message":"mine is not a valid model ID"'), _AT, _OTHER, "the server has no model mine; it has: other"),
        (
            _error(404, '"message":"The API deployment for this resource does not exist.","code":"DeploymentNotFound"'),
            _AT,
            None,
            "no model mine",
        ),
        (_error(404, '"message":"models/mine is not found for API version v1beta"'), _AT, None, "no model mine"),
        (_error(404, '"message":"File Not Found","type":"not_found_error"'), _AT, None, "end in /v1 as it should?"),
        (
            _error(404, '"message":"no","code":"model_not_found"'),
            _AT,
            _MINE,
            "no model mine to answer with, although it lists it; it has: mine; it says: no",
        ),
        (_error(400, '"message":"too many stops"'), _AT, _OTHER, "(400): too many stops. It does not list mine either; it has: other"),
        (
            _error(400, '"message":"API key not valid. Please pass a valid API key."'),
            _AT,
            _MINE,
            "the key is wrong; it says: API key not valid",
        ),
        (_error(400, '"message":"x","details":[{"reason":"API_KEY_INVALID"}]'), _AT, _MINE, "(400): the key is wrong"),
        (_error(403, '"message":"Country, region, or territory not supported"'), _AT, _MINE, "it says: Country, region"),
        (_error(429, '"code":"insufficient_quota","message":"x"'), _AT, _MINE, "no credit or quota left (429)"),
        (Reply(status=402), _AT, _MINE, "no credit or quota left (402)"),
        (Reply(status=502, body=b"<html><head><title>502 Bad Gateway</title>"), _AT, _MINE, "(502): 502 Bad Gateway"),
    ],
)
def test_why_an_endpoint_cannot_be_used_is_said_in_one_line(reply: Reply, endpoint: Endpoint, listed: Listing | None, words: str) -> None:
    said = explain(reply, endpoint, listed)

    assert words in said
    assert "\n" not in said


def test_a_servers_own_words_are_shortened_and_tell_no_key() -> None:
    body = b'{"error":{"message":"bad key sk-secret\\u001b[31m\\n' + b"x" * 500 + b'"}}'
    said = explain(Reply(status=400, body=body), _AT, _MINE)

    assert "bad key … x" in said
    assert "sk-secret" not in said
    assert len(said) < 300


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
    assert isinstance(explain(Reply(status=400, body=body), _AT, models(body)), str)
    assert isinstance(probe_read.version(body), str)
    assert probe_read.ranks(text) >= 0
    assert probe_read.prefix_caching(text) in (None, True, False)
