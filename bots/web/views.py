"""The pages as text: Jinja2 templates with every value escaped. Times are written in UTC; static/times.js shows them in the reader's own zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from bots.admin.money import money

HERE = Path(__file__).parent
#: A time in a sentence of ours.
_WRITTEN = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d)(:\d\d)? UTC")

_PLACE = re.compile(r"([+-]?[0-9.]{1,24}), ([+-]?[0-9.]{1,24})", re.ASCII)
_WEB = re.compile(r"https?://[^/?#@]+(?:[/?#]|$)", re.IGNORECASE)


class Views:
    """Renders the templates beside this file."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters["when"] = when
        self._templates.filters["clock"] = clock
        self._templates.filters["timed"] = timed
        self._templates.filters["ago"] = _ago
        self._templates.filters["money"] = money
        self._templates.filters["opens"] = opens

    def page(self, template: str, *, status: int = 200, **values: object) -> Response:
        """Render a page that no cache keeps."""
        return HTMLResponse(
            self._templates.get_template(template).render(**values), status_code=status, headers={"Cache-Control": "no-store"}
        )


def when(at: datetime) -> Markup:
    """A moment as an element that the reader's browser shifts."""
    return _time(at, f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", "second")


def clock(at: datetime) -> Markup:
    """The same without the day, to the millisecond."""
    return _time(at, f"{at.astimezone(UTC):%H:%M:%S.%f}"[:-3] + " UTC", "clock")


def _time(at: datetime, text: str, shown: str) -> Markup:
    return Markup('<time datetime="{}" data-shown="{}">{}</time>').format(at.isoformat(), shown, text)


def timed(sentence: str) -> Markup:
    """A sentence of ours, its times as elements."""
    made, end = Markup(), 0
    for found in _WRITTEN.finditer(sentence):
        day, minute, second = found.groups(default="")
        made += sentence[end : found.start()]
        try:
            made += _time(datetime.fromisoformat(f"{day}T{minute}{second}+00:00"), found[0], "second" if second else "minute")
        except ValueError:
            made += found[0]
        end = found.end()
    return made + sentence[end:]


def opens(named: tuple[str, str]) -> str:
    """The address that a reference leads to: its own, if it is one of the web, or a map of its coordinates; else nothing."""
    name, text = named
    if name.endswith(" coordinates") and (at := _PLACE.fullmatch(text)):
        return f"https://www.openstreetmap.org/?mlat={at[1]}&mlon={at[2]}#map=16/{at[1]}/{at[2]}"
    return text if name.endswith(" link") and _WEB.match(text) and not re.search(r"[\s\\]", text) else ""


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
