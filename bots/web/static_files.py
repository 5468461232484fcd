"""Scripts and styles of the pages. They are read once: anybody may ask for them, and reading a file would take a thread from those who store webhooks."""

from __future__ import annotations

import hashlib
import mimetypes
from http import HTTPStatus
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class StaticFiles:
    """The files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: _answer(path) for path in folder.iterdir() if path.is_file()}
        self.routes = [Route("/static/{name}", self._serve, methods=["GET"])]

    async def _serve(self, request: Request) -> Response:
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        tag = found.headers["etag"]
        if tag in (one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"etag": tag})
        return found


def _answer(path: Path) -> Response:
    content = path.read_bytes()
    headers = {"cache-control": "no-cache", "etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}
    return Response(content, headers=headers, media_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream")
