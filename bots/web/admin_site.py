"""What every admin page and API endpoint shares: who acts, what they may do, how synchronous code is run, what errors look like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import parse_qsl, quote, unquote

from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from bots.admin.acting import NotAllowed, Operator
from bots.admin.deps import Deps
from bots.admin.figures import FigureCache
from bots.domain import Role
from bots.errors import BotsError, Conflict, NotFound, StorageUnavailable
from bots.web.auth import Auth, csrf, is_ours
from bots.web.limits import TooLarge, TooSlow, read_body
from bots.web.thread_pool import ThreadPool
from bots.web.views import Views
from inference.catalog import Catalog

P = ParamSpec("P")
T = TypeVar("T")
Handler = Callable[[Request, Operator], Awaitable[Response]]

_FORM_LIMIT = 256 * 1024
_MOST_FIELDS = 500
_FLASH = "chinwag_flash"


#: The HTTP status of each error.
_STATUSES: dict[type[Exception], int] = {
    NotAllowed: 403,
    NotFound: 404,
    Conflict: 409,
    StorageUnavailable: 503,
    TooLarge: 413,
    TooSlow: 408,
}
_MESSAGES = {
    401: "Sign in first.",
    404: "This page does not exist, or you may not see it.",
    408: "The request arrived too slowly.",
    413: "The request is too large.",
    503: "Postgres does not answer. Nothing was changed; try again in a moment.",
}


class Refused(BotsError):
    """The request is answered with an HTTP status and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSite:
    """What the admin pages and the API share."""

    deps: Deps
    threads: ThreadPool
    views: Views
    auth: Auth
    figures: FigureCache
    catalog: Catalog
    #: Which pages there are and who may open or send them: (method, path, role).
    rules: list[tuple[str, str, Role]] = field(default_factory=list[tuple[str, str, Role]])

    def page(self, path: str, handler: Handler, *, role: Role = Role.VIEWER) -> Route:
        """Serve a page to whoever may see it."""
        self.rules.append(("GET", path, role))
        return Route(path, self._guarded(handler, role), methods=["GET"])

    def post(self, path: str, handler: Handler, *, role: Role) -> Route:
        """Take a form of a page of this session from whoever may send it."""
        self.rules.append(("POST", path, role))
        return Route(path, self._guarded(handler, role), methods=["POST"])

    def may(self, role: Role) -> Any:
        """Return a dependency of an API endpoint: who acts, at least in this role. Raises Refused."""

        async def acting(request: Request) -> Operator:
            return await self.acting(request, role)

        return Depends(acting)

    async def acting(self, request: Request, role: Role) -> Operator:
        """Who sends an API request, at least in this role. Raises Refused."""
        operator = await self.auth.operator(request)
        if operator is None:
            raise Refused(401, _MESSAGES[401])
        if not operator.role.includes(role):
            raise Refused(403, f"This needs the role {role.value}; you are {operator.role.value}.")
        is_write = request.method not in {"GET", "HEAD"}
        if is_write and not operator.by_token and not is_ours(request, request.headers.get("x-csrf-token", "")):
            raise Refused(403, "The request does not come from a page of this session (X-CSRF-Token).")
        return operator

    def api(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Guard a plain endpoint as the API's are."""

        async def answer(request: Request) -> Response:
            return await handler(request, await self.acting(request, Role.VIEWER))

        return answer

    async def do(self, work: Callable[[], T]) -> T:
        """Run synchronous work beside the event loop."""
        return await self.threads.run(work)

    async def run(self, use_case: Callable[Concatenate[Deps, Operator, P], T], operator: Operator, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a use case of `bots.admin` beside the event loop."""
        return await self.threads.run(partial(use_case, self.deps, operator, *args, **kwargs))

    async def form(self, request: Request) -> dict[str, str]:
        """Read a form's fields; of a field that comes twice the last counts. Raises TooLarge, TooSlow."""
        known: dict[str, str] | None = getattr(request.state, "form", None)
        if known is not None:
            return known
        body = await read_body(request, max_bytes=_FORM_LIMIT)
        try:
            fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError as error:
            raise TooLarge from error
        # Postgres' text holds no NUL.
        return {key: value.replace("\0", "") for key, value in fields}

    def render(self, request: Request, operator: Operator | None, template: str, *, status: int = 200, **values: Any) -> Response:
        """Render an admin page."""

        def may(role: str) -> bool:
            return operator is not None and operator.role.includes(Role(role))

        flash = request.cookies.get(_FLASH, "")[:2000]
        common = {"operator": operator, "csrf": csrf(request), "may": may, "path": request.url.path, "flash": unquote(flash)}
        answer = self.views.page(template, status=status, **(common | values))
        if flash:
            answer.delete_cookie(_FLASH, path="/admin")
        return answer

    def see_other(self, path: str, *, flash: str | None = None) -> Response:
        """Send the browser on after a form was taken, with a message to show there."""
        answer = RedirectResponse(path, status_code=303, headers={"Cache-Control": "no-store"})
        if flash:
            answer.set_cookie(_FLASH, quote(flash[:200]), max_age=60, httponly=True, samesite="strict", path="/admin")
        return answer

    def closed(self, request: Request, operator: Operator | None, status: int, why: str) -> Response:
        """Say why there is no page."""
        return self.render(request, operator, "closed.html", status=status, code=status, why=why)

    def _guarded(self, handler: Handler, role: Role) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            operator: Operator | None = None
            try:
                operator = await self.auth.operator(request)
                if operator is None or operator.by_token:
                    return _to_sign_in(request)
                if not operator.role.includes(role):
                    why = f"This needs the role {role.value}; you are {operator.role.value}."
                    return self.closed(request, operator, 403, why)
                if request.method == "POST":
                    form = await self.form(request)
                    if not is_ours(request, form.get("csrf", "")):
                        return self.closed(request, operator, 403, "This form has expired, or another page sent it. Open the page again.")
                    request.state.form = form
                return await handler(request, operator)
            except (BotsError, TooLarge, TooSlow) as error:
                status = status_of(error)
                if status is None:
                    raise
                return self.closed(request, operator, status, why_of(error, status))

        return answer


def base_of(request: Request) -> str:
    """The address that a request came to, without a path."""
    return str(request.base_url).rstrip("/")


def _to_sign_in(request: Request) -> Response:
    """Send the browser to the sign-in page, and back afterwards if it asked for a page; a form's contents would be lost."""
    where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = f"?next={quote(where)}" if request.method == "GET" else ""
    return RedirectResponse(f"/admin/sign-in{back}", status_code=303)


def status_of(error: Exception) -> int | None:
    """The HTTP status of an error that a request may run into; None: an internal error."""
    if isinstance(error, Refused):
        return error.status
    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), None)


def why_of(error: Exception, status: int) -> str:
    """What to say about it."""
    return _MESSAGES[status] if status in {404, 408, 413, 503} else str(error)


async def as_json(_request: Request, error: Exception) -> Response:
    """Answer an API request that ran into an error."""
    status = status_of(error)
    if status is None:
        raise error
    return JSONResponse({"error": why_of(error, status)}, status_code=status, headers={"Cache-Control": "no-store"})


async def as_invalid(_request: Request, error: Exception) -> Response:
    """Answer an API request that is not valid: what is wrong and where. What was sent is not repeated: it may not even be text."""
    if not isinstance(error, RequestValidationError):
        raise error
    places = [([_plain(part) for part in one["loc"]], str(one["msg"]), str(one["type"])) for one in error.errors()[:20]]
    summary = "; ".join(f"{'.'.join(str(part) for part in loc)}: {_plain(why)}" for loc, why, _ in places)
    found = [{"loc": loc, "msg": _plain(why), "type": kind} for loc, why, kind in places]
    return JSONResponse({"error": summary, "detail": found}, status_code=422, headers={"Cache-Control": "no-store"})


def _plain(part: int | str) -> int | str:
    return part if isinstance(part, int) else part.encode("utf-8", "replace").decode()[:200]
