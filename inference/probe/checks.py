"""The questions of a probe, each with what its answer means.

Guarantee: each rests on counts and refusals where it can, so that an answer of nothing is good enough; a server that counts the same for every
prompt teaches nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any

from inference.client import answer_format, image_parts
from inference.probe import replies as probe_read
from inference.probe.ask import Asker, Unanswered, user
from inference.probe.cards import Server
from inference.probe.replies import Reply, said
from inference.prompt_style import neutralise
from inference.thoughts import learned
from inference.types import Image, Message, Traits

#: An instruct model answers it with a word or two, so it costs little.
SHORT = "Say OK."
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
#: Enough for a short answer, and for some thoughts before it.
SEVERAL = 64
#: Enough for most reasoning models to finish a small sum or to show that they reason, and for one that shows it only at the end.
_THINKING_TOKENS = (128, 512)
#: More than a block of any engine: vLLM's have 16 tokens, and 128 on a CPU.
_PREFIX_WORDS = 160
_RANK_0 = {"x-data-parallel-rank": "0"}


@dataclass(slots=True, kw_only=True)
class Findings:
    """What is known so far."""

    ask: Asker
    #: The answer to SHORT.
    first: Reply = field(default_factory=Reply)
    #: Whether a longer prompt counts more tokens; nothing is concluded from the counts of a server that tells always the same.
    counts: bool = False
    traits: Traits = field(default_factory=Traits)
    missing: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    server: Server = "unknown"
    prefix_cache: bool | None = None

    def set(self, **values: Any) -> None:
        """Note these traits."""
        self.traits = replace(self.traits, **values)

    def grew(self, less: Reply, more: Reply) -> bool | None:
        """Whether the second prompt counts more tokens; None where that is not known."""
        one, other = said(less.body), said(more.body)
        if not self.counts or one is None or other is None or one.tokens_in is None or other.tokens_in is None:
            return None
        return other.tokens_in > one.tokens_in


def _about_server(found: Findings) -> None:
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


def _system_role(found: Findings) -> None:
    short = found.ask.chat([_system("Be kind."), user(SHORT)])
    if short.is_refusal:
        found.set(system_role=False)
        found.notes.append("its template has no system role, so the persona goes into the first message")
        return
    long = found.ask.chat([_system(_LONG), user(SHORT)])
    if found.grew(short, long) is False:
        found.set(system_role=False)
        found.notes.append("its template silently drops system messages, so the persona goes into the first message")


def _roles(found: Findings) -> None:
    one, two = found.first, found.ask.chat([user(_LONG), user(SHORT)])
    opening = found.ask.chat([{"role": "assistant", "content": _LONG}, user(SHORT)])
    if two.is_refusal or opening.is_refusal:
        found.set(roles_alternate=True)
        found.notes.append("its template requires user and assistant to take turns, so messages are joined")
    elif found.grew(one, two) is False or found.grew(one, opening) is False:
        found.set(roles_alternate=True)
        found.notes.append("its template drops messages that do not take turns, so messages are joined")


def _counting(found: Findings) -> None:
    """Find out whether its counts can be relied on: a longer prompt has more tokens."""
    short, longer = said(found.first.body), found.ask.count(f"{SHORT} {_LONG}")
    known = short.tokens_in if short else None
    found.counts = known is not None and longer is not None and longer > known


def _tokens(found: Findings) -> None:
    plain = found.ask.count(SHORT) if found.counts else None
    if plain is None:
        found.notes.append("it does not count a prompt's tokens rightly, so it is unknown whether it reads template tokens in a text")
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
    reply = ask.chat([user(SHORT + token * _TIMES)])
    answer = said(reply.body)
    if not reply.is_refusal:
        if answer is None or answer.tokens_in is None:
            return None
        if not probe_read.costs_as_one(plain=plain, with_tokens=answer.tokens_in, times=_TIMES):
            return False
    # Refused or cheap. If that is because of the token's meaning, its neutralised form is accepted and costs more.
    harmless = ask.count(SHORT + neutralise(token * _TIMES))
    return None if harmless is None else probe_read.parses(plain=plain, neutralised=harmless, times=_TIMES)


def _schema(found: Findings) -> None:
    reply = found.ask.chat([user("Say hello.")], max_tokens=SEVERAL, response_format=answer_format(probe_read.SHAPE_SCHEMA))
    answer = said(reply.body)
    follows = answer is not None and probe_read.follows_schema(answer.text)
    found.set(json_schema=follows)
    if not follows:
        found.notes.append("JSON by a schema: refused" if reply.is_refusal else "JSON by a schema: not followed")


def _thinking(found: Findings) -> None:
    answer = None
    for most in _THINKING_TOKENS:
        answer = found.ask.said([user("What is 2 + 2? Answer with the number alone.")], max_tokens=most)
        # Where the template opens the thoughts, only their end shows in the answer.
        if answer is None or probe_read.thinks(answer) or not answer.is_cut:
            break
    if answer is None:
        found.notes.append("it could not be measured whether it reasons before it answers")
        return
    found.set(reasoning=probe_read.thinks(answer), thoughts=learned(answer.text))
    if found.traits.reasoning:
        found.notes.append("reasons before it answers, so first words come later and more tokens are paid for")


def _vision(found: Findings) -> None:
    message = Message(
        role="user", content="Which colour? Say one word.", images=(Image(media_type="image/png", data=probe_read.solid_png()),)
    )
    text, picture = found.ask.chat([user(message.content)]), found.ask.chat([user(image_parts(message))])
    grew = found.grew(text, picture)
    # Without counts, the answer must name the picture's colour.
    found.set(vision=_names_red(picture) and not _names_red(text) if grew is None else grew)
    if picture.status == 200 and not found.traits.vision:
        ignores = "ignores them" if grew is False else "does not show that it reads them"
        found.notes.append(f"accepts pictures but {ignores}, so it gets a line of text in place of each")


def _names_red(reply: Reply) -> bool:
    answer = said(reply.body)
    return answer is not None and "red" in answer.text.lower()


def _priority(found: Findings) -> None:
    """Only vLLM's field counts, since elsewhere it may mean the opposite. A server that reads it refuses a text as its value."""
    if found.server != "vllm":
        return
    takes, nonsense = found.ask.chat([user(SHORT)], priority=1), found.ask.chat([user(SHORT)], priority="high")
    found.set(priority=takes.status == 200 and nonsense.is_refusal)
    # vLLM 0.32 accepts the field under either policy, and does not say which one it has.
    found.notes.append(
        "accepts priorities, but follows them only with `--scheduling-policy priority`, which cannot be seen from outside"
        if found.traits.priority
        else "accepts no priorities: start it with `--scheduling-policy priority`"
    )


def _salt(found: Findings) -> None:
    """A server that reads `cache_salt` refuses an empty one; another accepts any value, or refuses the field."""
    takes, empty = found.ask.chat([user(SHORT)], cache_salt="probe"), found.ask.chat([user(SHORT)], cache_salt="")
    found.set(cache_salt=takes.status == 200 and empty.is_refusal)


def _pieces(found: Findings) -> None:
    """Only vLLM's field counts, as with priorities. A server that reads it refuses a text as its value."""
    if found.server != "vllm":
        return
    takes, nonsense = found.ask.chat([user(SHORT)], stream_interval=2), found.ask.chat([user(SHORT)], stream_interval="often")
    found.set(stream_interval=takes.status == 200 and nonsense.is_refusal)


def _prefix_cache(found: Findings) -> None:
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


_Check = Callable[[Findings], None]
#: The checks in their order, with the traits that each one measures.
CHECKS: tuple[tuple[_Check, tuple[str, ...]], ...] = (
    (_about_server, ("ranks",)),
    (_counting, ()),
    (_system_role, ("system_role",)),
    (_roles, ("roles_alternate",)),
    (_tokens, ("parses_tokens",)),
    (_schema, ("json_schema",)),
    (_thinking, ("reasoning", "thoughts")),
    (_vision, ("vision",)),
    (_priority, ("priority",)),
    (_salt, ("cache_salt",)),
    (_pieces, ("stream_interval",)),
    (_prefix_cache, ()),
)


def _system(content: str) -> dict[str, str]:
    return {"role": "system", "content": content}
