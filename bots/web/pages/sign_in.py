"""The ways in and out: a one-time link makes the first owner or a new password, then name and password open a session."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bots.admin.operators import name_error
from bots.crypto import hash_password, password_matches
from bots.domain import Role
from bots.errors import BotsError
from bots.storage import admin, audit, operators, tenants
from bots.storage.database import hot, unit
from bots.web.admin_site import AdminSite, Refused, status_of, why_of
from bots.web.auth import cookie, let_in, let_out
from bots.web.limits import Bucket, TooLarge, TooSlow
from bots.web.loopback import is_same_origin

log = structlog.get_logger()

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200
#: Names and addresses whose tries are counted; those not heard of for longest are forgotten first.
_MOST_BUCKETS = 10_000
_USED = "This link was used already, or is too old. `chinwag sign-in` prints a new one."


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
        found = await self._living(token)
        return self._enter_page(request, token, found, values={"name": found["name"] or "owner"})

    async def _enter(self, request: Request) -> Response:
        form = await self._site.form(request)
        token = form.get("token", "")[:200]
        found = await self._living(token)
        errors: dict[str, str] = {}
        name, password = form.get("name", "").strip(), form.get("password", "")
        if found["chooses"]:
            errors = password_errors(password, form.get("again", ""))
            if not found["name"] and (wrong := name_error(name)):
                errors["name"] = wrong
        if errors:
            return self._enter_page(request, token, found, values={"name": name}, errors=errors, status=422)
        session = await self._site.do(partial(self._use, token, name=name, password=password if found["chooses"] else None))
        if session is None:
            return self._site.closed(request, None, 403, _USED)
        log.info("admin_entered")
        answer = self._site.see_other("/admin")
        let_in(request, answer, session)
        return answer

    async def _living(self, token: str) -> dict[str, object]:
        """What a living link opens. Raises Refused."""
        if self._wrong_links.is_empty:
            raise Refused(429, "Too many wrong links. Wait a minute.")
        found = await self._site.do(partial(self._link, token))
        if found is None:
            self._wrong_links.take()
            log.warning("admin_link_refused")
            raise Refused(403, _USED)
        return found

    def _enter_page(
        self,
        request: Request,
        token: str,
        found: dict[str, object],
        *,
        values: dict[str, object],
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
            # Not before: names made up by an address that is refused anyway must not push others out.
            # By name alone only after many more: a stranger's tries must not lock an operator out.
            buckets += [self._bucket(f"name:{name}|{address}", 10), self._bucket(f"name:{name}", 100)]
        if any(bucket.is_empty for bucket in buckets):
            errors = {"password": "Too many wrong tries. Wait five minutes."}
            return self._site.render(request, None, "sign_in.html", status=429, values=values, errors=errors)
        # Counted before the slow check: tries sent all at once count, too.
        for bucket in buckets:
            bucket.take()
        session = await self._site.do(partial(self._check, name, password))
        if session is None:
            log.warning("sign_in_refused")
            errors = {"password": "Name and password do not belong together."}
            return self._site.render(request, None, "sign_in.html", status=403, values=values, errors=errors)
        for bucket in buckets:
            bucket.give_back()
        answer = self._site.see_other(values["next"] or "/admin")
        let_in(request, answer, session)
        return answer

    async def _sign_out(self, request: Request, _operator: object) -> Response:
        await self._site.do(partial(self._close, request.cookies.get(cookie(request), "")[:200]))
        answer = self._site.see_other("/admin/sign-in")
        let_out(request, answer)
        return answer

    def _bucket(self, key: str, tries: int) -> Bucket:
        bucket = self._wrong.setdefault(key, Bucket(tries=tries, per_s=300.0))
        self._wrong.move_to_end(key)
        if len(self._wrong) > _MOST_BUCKETS:
            self._wrong.popitem(last=False)
        return bucket

    def _link(self, token: str) -> dict[str, object] | None:
        """What a living link opens: whose name, and whether a password is to be chosen."""
        with unit(self._site.web) as connection:
            link = admin.look(connection, token)
            if link is None:
                return None
            tenant = tenants.default(connection)
            known = (
                operators.first_owner(connection, tenant=tenant)
                if link.operator is None
                else operators.get(connection, tenant=tenant, operator=link.operator)
            )
        if known is not None and known.disabled_at is not None:
            return None
        return {"name": known.name if known else "", "chooses": known is None or link.operator is not None}

    def _use(self, token: str, *, name: str, password: str | None) -> str | None:
        hashed = None if password is None else hash_password(password)
        with unit(self._site.web) as connection:
            link = admin.use(connection, token)
            if link is None:
                return None
            tenant = tenants.default(connection)
            if link.operator is not None:
                known = operators.get(connection, tenant=tenant, operator=link.operator)
                if known.disabled_at is not None:
                    return None
                if hashed is not None:
                    operators.set_password(connection, tenant=tenant, operator=known.id, password_hash=hashed)
                action = "operator.password"
            else:
                owner = operators.first_owner(connection, tenant=tenant)
                known = owner or operators.add(connection, tenant=tenant, name=name, role=Role.OWNER, password_hash=hashed)
                action = "operator.enter" if owner else "operator.first"
            audit.record(connection, tenant=tenant, actor=known.name, action=action, subject=f"operator:{known.name}")
            return operators.open_session(connection, tenant=tenant, operator=known.id)

    def _check(self, name: str, password: str) -> str | None:
        with unit(self._site.web) as connection:
            tenant = tenants.default(connection)
            found = operators.password_hash(connection, tenant=tenant, name=name)
        if not password_matches(password, found[1] if found else None) or found is None:
            return None
        with unit(self._site.web) as connection:
            # A password that was changed meanwhile opens nothing.
            if operators.password_hash(connection, tenant=tenant, name=name) != found:
                return None
            return operators.open_session(connection, tenant=tenant, operator=found[0])

    def _close(self, session: str) -> None:
        with hot(self._site.web) as connection:
            operators.close_session(connection, session)


def password_errors(password: str, again: str) -> dict[str, str]:
    """What is wrong with a new password, by field."""
    if len(password) < SHORTEST_PASSWORD:
        return {"password": f"At least {SHORTEST_PASSWORD} characters. A few words that are easy to remember are best."}
    if len(password) > LONGEST_PASSWORD:
        return {"password": f"At most {LONGEST_PASSWORD} characters."}
    if password != again:
        return {"again": "This is not the same password."}
    return {}


def _inside(address: str) -> str:
    """An address of ours to go on to, or nothing."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    is_ours = not parts.scheme and not parts.netloc and address.startswith("/admin") and "\\" not in address
    return address if is_ours else ""
