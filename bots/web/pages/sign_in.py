"""Signing in and out: a one-time link makes the first owner or a new password, then name and password open a session."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bots.admin import sign_in
from bots.admin.operators import name_error
from bots.admin.sign_in import LONGEST_PASSWORD, SHORTEST_PASSWORD, Link, password_errors
from bots.domain import Role
from bots.errors import BotsError
from bots.web.admin_site import AdminSite, Refused, status_of, why_of
from bots.web.auth import cookie, let_in, let_out
from bots.web.limits import Bucket, TooLarge, TooSlow
from bots.web.loopback import is_same_origin

log = structlog.get_logger()

#: Names and addresses whose attempts are counted; the ones unused for longest are forgotten first.
_MOST_BUCKETS = 10_000
_USED = "This link has been used already, or has expired."


class SignInPages:
    """Sign-in, sign-out and one-time links."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        self._wrong_links = Bucket(tries=20, per_s=60.0)
        #: Wrong passwords by name and by address, so that neither many names nor many addresses help.
        self._wrong: OrderedDict[str, Bucket] = OrderedDict()
        self.routes = [
            Route("/admin/enter", self._guarded(self._look), methods=["GET"]),
            Route("/admin/enter", self._guarded(self._enter), methods=["POST"]),
            Route("/admin/sign-in", self._guarded(self._ask), methods=["GET"]),
            Route("/admin/sign-in", self._guarded(self._sign_in), methods=["POST"]),
            site.post("/admin/sign-out", self._sign_out, role=Role.VIEWER),
        ]

    def _guarded(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                if request.method == "POST" and not is_same_origin(request):
                    return self._site.closed(request, None, 403, "Another page sent this form.")
                return await handler(request)
            except (BotsError, TooLarge, TooSlow) as error:
                status = status_of(error)
                if status is None:
                    raise
                return self._site.closed(request, None, status, why_of(error, status))

        return answer

    async def _look(self, request: Request) -> Response:
        token = request.query_params.get("token", "")[:200]
        found = await self._usable(token)
        return self._enter_page(request, token, found, values={"name": found.name or "owner"})

    async def _enter(self, request: Request) -> Response:
        form = await self._site.form(request)
        token = form.get("token", "")[:200]
        found = await self._usable(token)
        errors: dict[str, str] = {}
        name, password = form.get("name", "").strip(), form.get("password", "")
        if found.chooses:
            errors = password_errors(password, form.get("again", ""))
            if not found.name and (wrong := name_error(name)):
                errors["name"] = wrong
        if errors:
            return self._enter_page(request, token, found, values={"name": name}, errors=errors, status=422)
        session = await self._site.do(
            partial(sign_in.use_link, self._site.deps, token, name=name, password=password if found.chooses else None)
        )
        if session is None:
            return self._site.closed(request, None, 403, _USED)
        log.info("admin_entered")
        answer = self._site.see_other("/admin")
        let_in(request, answer, session)
        return answer

    async def _usable(self, token: str) -> Link:
        """What a usable link does. Raises Refused."""
        if self._wrong_links.is_empty:
            raise Refused(429, "Too many wrong links. Wait a minute.")
        found = await self._site.do(partial(sign_in.find_link, self._site.deps, token))
        if found is None:
            self._wrong_links.take()
            log.warning("admin_link_refused")
            raise Refused(403, _USED)
        return found

    def _enter_page(
        self,
        request: Request,
        token: str,
        found: Link,
        *,
        values: dict[str, str],
        errors: dict[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        return self._site.render(
            request,
            None,
            "enter.html",
            status=status,
            token=token,
            link=found,
            values=values,
            errors=errors or {},
            shortest=SHORTEST_PASSWORD,
        )

    async def _ask(self, request: Request) -> Response:
        return self._site.render(request, None, "sign_in.html", values={"next": _inside(request.query_params.get("next", ""))}, errors={})

    async def _sign_in(self, request: Request) -> Response:
        form = await self._site.form(request)
        name, password = form.get("name", "").strip()[:80], form.get("password", "")[:LONGEST_PASSWORD]
        values = {"name": name, "next": _inside(form.get("next", ""))}
        address = request.client.host if request.client else ""
        buckets = [self._bucket(f"address:{address}", 30)]
        if not buckets[0].is_empty:
            # Only now: names made up by an address that is refused anyway must not push others out.
            # The limit by name alone is much higher: a stranger's attempts must not lock an operator out.
            buckets += [self._bucket(f"name:{name}|{address}", 10), self._bucket(f"name:{name}", 100)]
        if any(bucket.is_empty for bucket in buckets):
            errors = {"password": "Too many failed attempts. Wait five minutes."}
            return self._site.render(request, None, "sign_in.html", status=429, values=values, errors=errors)
        # Counted before the slow check: attempts sent all at once count, too.
        for bucket in buckets:
            bucket.take()
        session = await self._site.do(partial(sign_in.sign_in, self._site.deps, name, password))
        if session is None:
            log.warning("sign_in_refused")
            errors = {"password": "The name or the password is wrong."}
            return self._site.render(request, None, "sign_in.html", status=403, values=values, errors=errors)
        for bucket in buckets:
            bucket.give_back()
        answer = self._site.see_other(values["next"] or "/admin")
        let_in(request, answer, session)
        return answer

    async def _sign_out(self, request: Request, _operator: object) -> Response:
        await self._site.do(partial(sign_in.sign_out, self._site.deps, request.cookies.get(cookie(request), "")[:200]))
        answer = self._site.see_other("/admin/sign-in")
        let_out(request, answer)
        return answer

    def _bucket(self, key: str, tries: int) -> Bucket:
        bucket = self._wrong.setdefault(key, Bucket(tries=tries, per_s=300.0))
        self._wrong.move_to_end(key)
        if len(self._wrong) > _MOST_BUCKETS:
            self._wrong.popitem(last=False)
        return bucket


def _inside(address: str) -> str:
    """A path of the admin pages to go on to, or nothing."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    is_ours = not parts.scheme and not parts.netloc and address.startswith("/admin") and "\\" not in address
    return address if is_ours else ""
