"""How a model of the catalog is shown: as one row of the overview, as a whole card, or as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from inference.catalog import Architecture, Licence, Model, Offer, Serving, Template, Weights, licence_notice

#: Label and text of one line of a card.
_Line = tuple[str, str]

_KINDS = {"open": "open weights", "unpublished": "weights not published", "hosted": "hosted"}
_LABEL_WIDTH = 15
_UNSURE = " (unconfirmed)"


def as_json(model: Model) -> dict[str, Any]:
    """Return the row for JSON, with the licence's notice; dates as text."""
    plain = json.loads(json.dumps(asdict(model), default=date.isoformat))
    return plain | {"licence_notice": licence_notice(model)}


def overview(models: Iterable[Model], *, today: date) -> Table:
    """Return all models as a table: those with weights first."""
    table = Table(box=None, padding=(0, 2, 1, 0), pad_edge=False)
    table.add_column("Model", no_wrap=True)
    table.add_column("Parameters", no_wrap=True)
    table.add_column("Context", justify="right", no_wrap=True)
    table.add_column("Weights, GB", no_wrap=True)
    table.add_column("Licence", overflow="fold")
    for model in sorted(models, key=lambda one: (tuple(_KINDS).index(one.kind), one.key)):
        table.add_row(_who(model), _size(model), _tokens(model.context), _formats(model), _terms(model, today))
    return table


def card(model: Model, *, today: date) -> Group:
    """Return everything about one model."""
    parts: list[RenderableType] = [Text.assemble((model.title, "bold"), f"  {model.key}, by {model.maker}, {_KINDS[model.kind]}")]
    notice, ending = licence_notice(model), _ending(model, today)
    if ending:
        parts.append(Text(f"{ending[:1].upper()}{ending[1:]}.", style="bold yellow"))
    if notice:
        parts.append(Text(f"Not in the EU: {notice}", style="bold yellow"))
    sections: list[tuple[str, Iterable[_Line]]] = [("", _facts(model, today))]
    if model.architecture:
        sections.append(("Architecture", _architecture(model.architecture)))
    if model.weights:
        sections.append(("Weights", (line for one in model.weights for line in _weights(one))))
    if model.licence:
        sections.append(("Licence", _licence(model.licence)))
    if model.template:
        sections.append(("Template", _template(model.template)))
    if model.serving:
        sections.append(("vllm serve", _serving(model.serving)))
    if model.offers:
        sections.append(("Hosted, USD for a million tokens", (line for one in model.offers for line in _offer(one, today))))
    for title, lines in sections:
        parts += [Text(""), Text(title, style="bold")] if title else [Text("")]
        parts.append(_grid(lines))
    return Group(*parts)


def _grid(lines: Iterable[_Line]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=_LABEL_WIDTH, overflow="fold")
    grid.add_column(overflow="fold")
    for label, words in lines:
        grid.add_row(Text(label), Text(words, style="dim" if label.strip() == "source" else ""))
    return grid


def _who(model: Model) -> Text:
    return Text.assemble((model.key, "bold"), f"\n{model.title}")


def _size(model: Model) -> str:
    if not model.total_b:
        return "-"
    return f"{model.total_b:g}B" if model.active_b == model.total_b else f"{model.total_b:g}B\n{model.active_b:g}B active"


def _tokens(count: int) -> str:
    """Tokens as people say them: 128k is 128,000 or 131,072, whichever the model has."""
    if not count:
        return "-"
    for unit, letter in ((1000**2, "M"), (1024**2, "M"), (1000, "k"), (1024, "k")):
        if count >= unit and count % unit == 0:
            return f"{count // unit}{letter}"
    return f"{count:,}"


def _formats(model: Model) -> str:
    width = max((len(f"{one.size_gb:g}") for one in model.weights), default=0)
    return "\n".join(f"{one.format.value:<6}{one.size_gb:>{width}g}" for one in model.weights) or "-"


def _terms(model: Model, today: date) -> Text:
    text = Text(model.licence.name if model.licence else _KINDS[model.kind])
    if licence_notice(model):
        text.append("\nnot in the EU", style="bold yellow")
    if model.retired_on:
        when = f"ended {model.retired_on}, now" if model.is_retired(today) else f"ends {model.retired_on}, then"
        text.append(f"\n{when}\n{model.successor}", style="yellow")
    return text


def _ending(model: Model, today: date) -> str:
    if model.retired_on is None:
        return ""
    when = f"retired since {model.retired_on}" if model.is_retired(today) else f"ends on {model.retired_on}"
    return f"{when}, successor {model.successor}"


def _facts(model: Model, today: date) -> Iterator[_Line]:
    if model.total_b:
        yield "parameters", f"{model.total_b:g}B, {model.active_b:g}B active for a token"
    yield "context", f"{model.context:,} tokens" if model.context else "not published"
    images = [f"{model.images} images in a prompt tested"] if model.images else []
    images += [f"at most {model.image_tokens:,} tokens an image"] if model.image_tokens else []
    yield "reads", ", ".join(model.modalities) + (f" ({', '.join(images)})" if images else "")
    if model.languages:
        yield "languages", ", ".join(model.languages)
    if model.retired_on:
        yield "ended" if model.is_retired(today) else "ends", f"{model.retired_on}{_unsure(model, 'retired_on')}"
        yield "successor", f"{model.successor}{_unsure(model, 'successor')}"
    yield from _doubts(tuple(name for name in model.unconfirmed if name not in {"retired_on", "successor"}))
    if model.remark:
        yield "remark", model.remark
    yield "source", model.source


def _architecture(shape: Architecture) -> Iterator[_Line]:
    layers = f"{shape.layers}"
    if shape.local:
        seen = "their own chunk of" if shape.local.kind == "chunked" else "the last"
        layers += f": {shape.local.global_layers} global, {shape.local.local_layers} see only {seen} {shape.local.window:,} tokens"
    yield "layers", layers
    yield "hidden", f"{shape.hidden:,}"
    if shape.mla:
        mla = shape.mla
        yield (
            "attention",
            f"latent (MLA), {shape.heads} heads; ranks q {mla.q_rank}, kv {mla.kv_rank}; rope {mla.rope}, nope {mla.nope}, v {mla.v}",
        )
    else:
        yield "attention", f"{shape.heads} heads, {shape.kv_heads} KV heads, head size {shape.head_size}"
    dense = shape.layers - (shape.moe.layers if shape.moe else 0)
    yield "feed-forward", f"{shape.ffn:,} in {dense} dense layers" if dense else "no dense layers"
    if shape.moe:
        moe = shape.moe
        where = f" (one in {moe.interleave})" if moe.interleave > 1 else f" (after {moe.first_dense} dense ones)" if moe.first_dense else ""
        yield (
            "experts",
            f"{moe.experts} in {moe.layers} layers{where}, width {moe.expert_ffn:,}; {moe.active} active and {moe.shared} shared for each token",
        )
    yield "vocabulary", f"{shape.vocabulary:,}, embeddings {'tied' if shape.tied_embeddings else 'not tied'}"
    yield from _doubts(shape.unconfirmed)
    yield "source", shape.source


def _weights(one: Weights) -> Iterator[_Line]:
    capability = f", compute capability {one.min_capability:g} or newer" if one.min_capability else ""
    yield f"{one.format.value}, {one.size_gb:g} GB", f"{one.repo or 'not published'}{capability}{_UNSURE if one.unconfirmed else ''}"
    if one.args:
        yield "  arguments", shlex.join(one.args)
    if one.env:
        yield "  environment", " ".join(one.env)
    yield "  source", one.source


def _licence(licence: Licence) -> Iterator[_Line]:
    yield "name", licence.name
    yield "text", licence.url
    for number, duty in enumerate(licence.duties, 1):
        yield f"duty {number}", duty
    yield "in the EU", "granted" if licence.in_eu else f"not granted; use there: {', '.join(licence.instead_in_eu)}"
    yield "to accept", "yes, `serve` requires it" if licence.to_accept else "no"
    yield "source", licence.source


def _template(template: Template) -> Iterator[_Line]:
    yield "roles", "user and assistant must alternate" if template.roles_alternate else "any order"
    yield "system text", "yes" if template.system_role else "no"
    yield "tool calls", template.tool_call_parser or "-"
    if template.chat_template:
        yield "tool template", template.chat_template
    if template.reasoning_parser:
        yield "reasoning", template.reasoning_parser
    if template.thoughts:
        yield "thoughts", template.thoughts
    yield from _doubts(template.unconfirmed)
    yield "source", template.source


def _serving(serving: Serving) -> Iterator[_Line]:
    if serving.args:
        yield "arguments", shlex.join(serving.args)
    if serving.kv_cache:
        yield "KV cache", serving.kv_cache
    if serving.speculative:
        yield "speculation", shlex.join(("--speculative-config", serving.speculative))
    yield "source", serving.source


def _offer(offer: Offer, today: date) -> Iterator[_Line]:
    cached = "" if offer.tokens_cached is None else f", {_money(offer.tokens_cached)} cached"
    yield (
        offer.provider,
        f"{_money(offer.tokens_in)} in{cached}, {_money(offer.tokens_out)} out ({offer.date}){_UNSURE if offer.unconfirmed else ''}",
    )
    yield "", offer.model
    if offer.retired_on:
        ends = "ended" if offer.retired_on <= today else "ends"
        yield "", f"{ends} {offer.retired_on}{f', successor {offer.successor}' if offer.successor else ''}"
    yield "  source", offer.source


def _money(price: float) -> str:
    return f"{price:.2f}" if round(price, 2) == price else f"{price:g}"


def _doubts(names: tuple[str, ...]) -> Iterator[_Line]:
    if names:
        yield "unconfirmed", ", ".join(names)


def _unsure(model: Model, name: str) -> str:
    return _UNSURE if name in model.unconfirmed else ""
