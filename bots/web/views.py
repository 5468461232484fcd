"""The pages as text: Jinja2 templates with every value escaped."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from bots.admin.money import money

HERE = Path(__file__).parent


class Views:
    """Renders the templates beside this file."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters["when"] = _when
        self._templates.filters["ago"] = _ago
        self._templates.filters["money"] = money

    def page(self, template: str, *, status: int = 200, **values: object) -> Response:
        """Render a page that no cache keeps."""
        return HTMLResponse(
            self._templates.get_template(template).render(**values), status_code=status, headers={"Cache-Control": "no-store"}
        )


def _when(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
