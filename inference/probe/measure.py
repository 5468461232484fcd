"""Measures what an endpoint really does, so that its traits rest on observation and not on promises.

Guarantee: a probe ends within four minutes. A question without an answer, because the server was full or away, counts as not measured, and
never as a lack of the server. Its traits are named in `missing`, so that a caller can keep earlier values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from secrets import token_hex
from typing import Any

from inference.client import Breaker, ModelClient, answer_format, image_parts
from inference.errors import GarbageAnswer, ModelBusy, ModelRefused, ModelUnavailable
from inference.probe import replies as probe_read
from inference.probe.ask import Asker, Unanswered, user
from inference.probe.replies import Listed, Reply, Server, said
from inference.prompt_style import neutralise
from inference.types import Endpoint, Image, Message, Timeouts, Traits

_WHOLE_S = 240.0
#: Longer than anything that a template adds by itself, so the token count shows whether it was dropped.
_LONG = "Remember that the lighthouse on the northern shore is painted in seven colours, and that the keeper has two grey cats."
#: For each family a long template token: where it is not read as one token it costs several. None of them stands for a picture.
_TOKENS = {
    "ChatML (Qwen, SmolLM)": "<|im_start|>",
    "Llama 3": "<|start_header_id|>",
    "Llama 4": "<|header_start|>",
    "DeepSeek": "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
    "Gemma": "<start_of_turn>",
    "Mistral": "[AVAILABLE_TOOLS]",
    "Phi": "<|assistant|>",
}
_TIMES = 4
_SEVERAL = 48
#: Enough for a reasoning model to finish a small sum, or to show that it reasons.
_THINKING_TOKENS = 128
#: More than a block of any engine: vLLM's have 16 tokens, and 128 on a CPU.
_PREFIX_WORDS = 160
_RANK_0 = {"x-data-parallel-rank": "0"}
_NOT_STREAMED = "the server answers a plain request, but not the streamed one that the service sends: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """The result of a probe."""

    traits: Traits
    #: Names of traits that were not measured, and so have their defaults.
    missing: tuple[str, ...] = ()
    #: What an operator should know, in plain sentences.
    notes: tuple[str, ...] = ()
    #: Why the endpoint cannot be used; empty when it can.
    failures: tuple[str, ...] = ()
    #: Whether a later probe may find more or succeed.
    again: bool = False
    server: Server = "unknown"
    #: Milliseconds from a plain request to its one token; None without an answer.
    answer_ms: float | None = None
    #: Whether a prompt that is sent again costs less; None where the server does not say.
    prefix_cache: bool | None = None

    @property
    def measured(self) -> dict[str, Any]:
        """The traits that were measured."""
        return {name: value for name, value in asdict(self.traits).items() if name not in self.missing}


@dataclass(slots=True, kw_only=True)
class _Findings:
    """What is known so far."""

    ask: Asker
    traits: Traits = field(default_factory=Traits)
    missing: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    server: Server = "unknown"
    prefix_cache: bool | None = None

    def set(self, **values: Any) -> None:
        self.traits = replace(self.traits, **values)


def probe(endpoint: Endpoint, timeouts: Timeouts) -> Probed:
    """Send the endpoint about thirty small requests and return what it does. Raises ModelUnavailable when nothing answers."""
    ask = Asker(endpoint, timeouts, until=time.monotonic() + _WHOLE_S)
    found = _Findings(ask=ask)
    page = ask.page("/models")
    listed = probe_read.models(page.body) if page.status == 200 else None
    began = time.monotonic()
    first = ask.try_chat([user("Hi.")])
    took_ms = (time.monotonic() - began) * 1000
    if page.status == first.status == 0:
        raise ModelUnavailable(f"nothing answers at {endpoint.url}: is the server running, and is the address right?")
    if page.is_unanswered:
        found.missing.append("context")
    elif listed is not None or first.status == 200:
        _list(found, endpoint, listed)
    if first.status != 200 or said(first.body) is None:
        passes = first.is_unanswered or first.status >= 500
        return _result(found, failures=(probe_read.explain(first, endpoint, listed),), again=passes)
    try:
        failure = _own_call(ask, endpoint, timeouts)
    except ModelUnavailable as error:
        return _result(found, failures=(_NOT_STREAMED + str(error),), again=True, answer_ms=took_ms)
    if failure:
        return _result(found, failures=(failure,), answer_ms=took_ms)
    _measure(found)
    return _result(found, again=bool(found.missing), answer_ms=took_ms)


def _measure(found: _Findings) -> None:
    for check, traits in _CHECKS:
        try:
            check(found)
        except Unanswered:
            found.missing += traits
    if not found.missing:
        return
    if found.ask.is_full:
        why = "the server was full"
    elif found.ask.is_lost:
        why = "the server stopped answering in the middle"
    else:
        why = "some questions got no answer"
    found.notes.append(f"{why}, so these were not measured and keep their earlier values: {', '.join(found.missing).replace('_', ' ')}")


def _result(found: _Findings, *, failures: tuple[str, ...] = (), again: bool = False, answer_ms: float | None = None) -> Probed:
    return Probed(
        traits=found.traits,
        missing=tuple(found.missing),
        notes=tuple(found.notes),
        failures=failures,
        again=again,
        server=found.server,
        answer_ms=answer_ms,
        prefix_cache=found.prefix_cache,
    )


def _list(found: _Findings, endpoint: Endpoint, listed: Sequence[Listed] | None) -> None:
    """Read the context and the server's kind out of /v1/models."""
    if listed is None:
        found.notes.append("the server has no list of models, so the longest prompt is unknown")
        return
    own = next((model for model in listed if model.name == endpoint.model), None)
    if own is None:
        found.notes.append(f"the server does not list {endpoint.model}; it lists: {probe_read.names(listed) or 'nothing'}")
        own = listed[0] if len(listed) == 1 else None
    if own is not None:
        found.server = own.server
        found.set(context=own.context)
    if not found.traits.context:
        found.notes.append("the server does not say how long a prompt may be")


def _own_call(ask: Asker, endpoint: Endpoint, timeouts: Timeouts) -> str:
    """Make the call that the service will make, streamed and with token counts; return why it fails, or "". Raises ModelUnavailable."""
    client = ModelClient(replace(endpoint, traits=Traits()), timeouts=timeouts, breaker=Breaker())
    waited = 0
    while True:
        try:
            answer = client.chat([Message(role="user", content="Hi.")], max_tokens=1)
        except ModelBusy:
            if not ask.wait(waited):
                raise
            waited += 1
        except (ModelRefused, GarbageAnswer) as error:
            return f"{_NOT_STREAMED}{error}"
        else:
            counts = answer.usage.tokens_in > 0
            return "" if counts else "the server does not count tokens in a stream (stream_options.include_usage): costs would be 0"


def _about_server(found: _Findings) -> None:
    """Find out which server it is, from its pages outside /v1, and what only vLLM's metrics show."""
    version = probe_read.version(found.ask.page("/version", outside_v1=True).body)
    page = found.ask.page("/metrics", outside_v1=True)
    metrics = page.body.decode("utf-8", "replace") if page.status == 200 else ""
    told = probe_read.server_of(metrics)
    found.server = told if told != "unknown" else found.server
    if found.server == "vllm" and page.is_unanswered:
        raise Unanswered
    if found.server == "vllm":
        found.notes.append(f"vLLM {version}".strip())
        if told != "vllm":
            found.notes.append("its /metrics cannot be read: the number of data-parallel ranks is unknown and taken as one")
    found.set(ranks=max(1, probe_read.ranks(metrics)))
    found.prefix_cache = probe_read.prefix_caching(metrics)


def _system_role(found: _Findings) -> None:
    short = found.ask.chat([_system("Be kind."), user("Hi.")])
    if short.is_refusal:
        found.set(system_role=False)
        found.notes.append("its template has no system role, so the persona goes into the first message")
        return
    long = found.ask.chat([_system(_LONG), user("Hi.")])
    if _grew(short, long) is False:
        found.set(system_role=False)
        found.notes.append("its template silently drops system messages, so the persona goes into the first message")


def _roles(found: _Findings) -> None:
    one, two = found.ask.chat([user("Hi.")]), found.ask.chat([user(_LONG), user("Hi.")])
    opening = found.ask.chat([{"role": "assistant", "content": _LONG}, user("Hi.")])
    if two.is_refusal or opening.is_refusal:
        found.set(roles_alternate=True)
        found.notes.append("its template requires user and assistant to take turns, so messages are joined")
    elif _grew(one, two) is False or _grew(one, opening) is False:
        found.set(roles_alternate=True)
        found.notes.append("its template drops messages that do not take turns, so messages are joined")


def _tokens(found: _Findings) -> None:
    plain = found.ask.count("Hi.")
    if plain is None:
        found.notes.append("it does not count a prompt's tokens, so it is unknown whether it reads template tokens in a text")
        return
    results = {family: _parses(found.ask, plain, token) for family, token in _TOKENS.items()}
    read = [family for family, result in results.items() if result]
    if read:
        found.notes.append(f"reads template tokens in a text ({', '.join(read)}), so they are neutralised")
    elif None in results.values():
        found.notes.append("its token counts do not show whether it reads template tokens in a text")
    else:
        found.set(parses_tokens=False)


def _parses(ask: Asker, plain: int, token: str) -> bool | None:
    reply = ask.chat([user("Hi." + token * _TIMES)])
    answer = said(reply.body)
    if not reply.is_refusal:
        if answer is None or answer.tokens_in is None:
            return None
        if not probe_read.costs_as_one(plain=plain, with_tokens=answer.tokens_in, times=_TIMES):
            return False
    # Refused or cheap. If that is because of the token's meaning, its neutralised form is accepted and costs more.
    harmless = ask.count("Hi." + neutralise(token * _TIMES))
    return None if harmless is None else probe_read.parses(plain=plain, neutralised=harmless, times=_TIMES)


def _schema(found: _Findings) -> None:
    reply = found.ask.chat([user("Say hello.")], max_tokens=_SEVERAL, response_format=answer_format(probe_read.SHAPE_SCHEMA))
    answer = said(reply.body)
    follows = answer is not None and probe_read.follows_schema(answer.text)
    found.set(json_schema=follows)
    if not follows:
        found.notes.append("JSON by a schema: refused" if reply.is_refusal else "JSON by a schema: not followed")


def _thinking(found: _Findings) -> None:
    answer = found.ask.said([user("What is 2 + 2? Answer with the number alone.")], max_tokens=_THINKING_TOKENS)
    if answer is None:
        found.notes.append("it could not be measured whether it reasons before it answers")
        return
    found.set(reasoning=probe_read.thinks(answer))
    if found.traits.reasoning:
        found.notes.append("reasons before it answers, so first words come later and more tokens are paid for")


def _vision(found: _Findings) -> None:
    message = Message(role="user", content="Which colour?", images=(Image(media_type="image/png", data=probe_read.solid_png()),))
    text, picture = found.ask.chat([user(message.content)]), found.ask.chat([user(image_parts(message))])
    found.set(vision=_grew(text, picture) is True)
    if picture.status == 200 and not found.traits.vision:
        found.notes.append("accepts pictures but ignores them, so it gets a line of text in place of each")


def _priority(found: _Findings) -> None:
    """Only vLLM's field counts, since elsewhere it may mean the opposite. A server that reads it refuses a text as its value."""
    if found.server != "vllm":
        return
    takes, nonsense = found.ask.chat([user("Hi.")], priority=1), found.ask.chat([user("Hi.")], priority="high")
    found.set(priority=takes.status == 200 and nonsense.is_refusal)
    # vLLM 0.32 accepts the field under either policy, and does not say which one it has.
    found.notes.append(
        "accepts priorities, but follows them only with `--scheduling-policy priority`, which cannot be seen from outside"
        if found.traits.priority
        else "accepts no priorities: start it with `--scheduling-policy priority`"
    )


def _salt(found: _Findings) -> None:
    """A server that reads `cache_salt` refuses an empty one; another accepts any value, or refuses the field."""
    takes, empty = found.ask.chat([user("Hi.")], cache_salt="probe"), found.ask.chat([user("Hi.")], cache_salt="")
    found.set(cache_salt=takes.status == 200 and empty.is_refusal)


def _prefix_cache(found: _Findings) -> None:
    if found.prefix_cache is not None:
        if not found.prefix_cache:
            found.notes.append("its prefix cache is off, so every turn is computed from the beginning")
        return
    words = min(_PREFIX_WORDS, found.traits.context // 4) if found.traits.context else _PREFIX_WORDS
    talk = [user(f"{token_hex(4)} " + "one two three four " * (words // 4))]
    headers = _RANK_0 if found.traits.ranks > 1 else None
    found.ask.chat(talk, headers=headers)
    again = found.ask.said(talk, headers=headers)
    if again is None or again.cached is None:
        found.notes.append("does not say how many tokens came from its prefix cache (vLLM: --enable-prompt-tokens-details)")
        return
    found.prefix_cache = again.cached > 0
    if not found.prefix_cache:
        found.notes.append("a prompt sent twice is computed twice, so its prefix cache is off or has long blocks")


_Check = Callable[[_Findings], None]
#: The checks in their order, with the traits that each one measures.
_CHECKS: tuple[tuple[_Check, tuple[str, ...]], ...] = (
    (_about_server, ("ranks",)),
    (_system_role, ("system_role",)),
    (_roles, ("roles_alternate",)),
    (_tokens, ("parses_tokens",)),
    (_schema, ("json_schema",)),
    (_thinking, ("reasoning",)),
    (_vision, ("vision",)),
    (_priority, ("priority",)),
    (_salt, ("cache_salt",)),
    (_prefix_cache, ()),
)


def _grew(less: Reply, more: Reply) -> bool | None:
    """Whether the second prompt counts more tokens; None where that is not known."""
    one, other = said(less.body), said(more.body)
    if one is None or other is None or one.tokens_in is None or other.tokens_in is None:
        return None
    return other.tokens_in > one.tokens_in


def _system(content: str) -> dict[str, str]:
    return {"role": "system", "content": content}
