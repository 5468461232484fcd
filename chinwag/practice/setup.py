"""The set-up calls of the Graph API: reading tokens, numbers and pages, and registering webhooks, with the handshake during the call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chinwag.practice import nodes
from chinwag.practice.accounts import Account, Accounts
from chinwag.practice.apps import FIELDS, Apps, Subscription
from chinwag.practice.calls import Versions, bearer, json_answer, parameters, prove, required, unknown_object
from chinwag.practice.numbers import Number
from chinwag.practice.pages import Page
from chinwag.practice.pictures import Pictures
from chinwag.practice.refusals import Refusal
from chinwag.practice.webhooks import Webhooks

Json = dict[str, Any]
Call = Callable[[str, str, str, Json], Awaitable[Json]]

_NUMBER_FIELDS = "verified_name,code_verification_status,display_phone_number,quality_rating,id"
_URL_LIMIT = 200


class SetUp:
    """The endpoints."""

    def __init__(self, *, accounts: Accounts, apps: Apps, versions: Versions, webhooks: Webhooks, pictures: Pictures) -> None:
        self._accounts = accounts
        self._apps = apps
        self._versions = versions
        self._webhooks = webhooks
        self._pictures = pictures

    def routes(self) -> list[Route]:
        """Return the routes; the more specific ones come first."""
        every = ["GET", "POST", "DELETE"]
        return [
            Route("/{version}/debug_token", self._call(self._debug_token)),
            Route("/debug_token", self._call(self._debug_token)),
            Route("/{version}/{object_id}/phone_numbers", self._call(self._phone_numbers)),
            Route("/{version}/{object_id}/subscriptions", self._call(self._subscriptions), methods=every),
            Route("/{version}/{object_id}/subscribed_apps", self._call(self._subscribed_apps), methods=every),
            Route("/{version}/{object_id}", self._call(self._node), methods=["GET", "POST"]),
            Route("/{object_id}", self._call(self._node)),
        ]

    def _call(self, work: Call) -> Callable[[Request], Awaitable[Response]]:
        async def run(request: Request) -> Response:
            object_id = str(request.path_params.get("object_id", ""))
            version = self._versions.served(str(request.path_params.get("version", "v25.0")), object_id or "debug_token")
            if request.method == "GET" and self._pictures.holds(object_id) and work == self._node:
                return await self._pictures.tell(request)
            if object_id == "me" and "authorization" not in request.headers and "access_token" not in request.query_params:
                raise Refusal(2500)
            verb = "GET" if request.method == "HEAD" else request.method
            content = await work(verb, object_id, bearer(request), await parameters(request))
            return json_answer(content, 200, {"facebook-api-version": version})

        return run

    def _opened(self, token: str, values: Json) -> list[Account]:
        opened = self._accounts.opened(token)
        given = values.get("appsecret_proof")
        prove(str(given) if given is not None else None, token, opened)
        return opened

    async def _debug_token(self, _verb: str, _object_id: str, asking: str, values: Json) -> Json:
        app_id = ""
        if not self._accounts.of_token(asking):
            if "|" not in asking:
                raise Refusal(190, message="Invalid OAuth access token - Cannot parse access token")
            app_id = self._apps.of_token(asking)
        about = self._accounts.of_token(required(values, "input_token"))
        if not about:
            return {"data": {"error": {"code": 190, "message": "Invalid OAuth access token."}, "is_valid": False, "scopes": []}}
        if app_id and about[0].app_id not in ("", app_id):
            raise Refusal(100, message="(#100) The App_id in the input_token did not match the Viewing App")
        return {"data": nodes.token(about)}

    async def _node(self, verb: str, object_id: str, token: str, values: Json) -> Json:
        if verb == "POST":
            return await self._set_override(object_id, token, values)
        fields = str(values["fields"]) if values.get("fields") else None
        if "|" in token:
            app_id = self._apps.of_token(token)
            if object_id not in (app_id, "app", "me"):
                raise unknown_object(object_id, "get")
            return nodes.choose({"id": app_id, "name": "Practice", "category": "Business"}, "Application", fields, "name,id")
        opened = self._opened(token, values)
        return self._me(opened, fields) if object_id == "me" else self._object(opened, object_id, fields)

    def _me(self, opened: list[Account], fields: str | None) -> Json:
        one = opened[0]
        if not isinstance(one, Page):
            return nodes.choose({"id": "122000000000001", "name": "Practice system user"}, "User", fields, "name,id")
        if one.is_login:
            return nodes.choose(nodes.by_login(one), "IGUser", fields, "id")
        return nodes.choose(nodes.page(one, self._accounts.all()), "Page", fields, "name,id")

    def _object(self, opened: list[Account], object_id: str, fields: str | None) -> Json:
        for one in opened:
            if isinstance(one, Number) and one.phone_number_id == object_id:
                return nodes.choose(nodes.number(one, self._apps), "WhatsAppBusinessPhoneNumber", fields, _NUMBER_FIELDS)
            if isinstance(one, Page) and one.is_login and object_id in (one.account_id, one.app_scoped_id):
                return nodes.choose(nodes.by_login(one), "IGUser", fields, "id")
            if isinstance(one, Page) and not one.is_login and object_id == one.page_id:
                return nodes.choose(nodes.page(one, self._accounts.all()), "Page", fields, "name,id")
            if isinstance(one, Page) and one.channel == "instagram" and object_id == one.account_id:
                return nodes.choose(nodes.instagram(one), "IGUser", fields, "id")
        if numbers := _numbers(opened, object_id):
            return nodes.choose(nodes.business(numbers), "WhatsAppBusinessAccount", fields, "id,name,timezone_id")
        raise unknown_object(object_id, "get")

    async def _phone_numbers(self, verb: str, object_id: str, token: str, values: Json) -> Json:
        del verb
        numbers = _numbers(self._opened(token, values), object_id)
        if not numbers:
            raise unknown_object(object_id, "get")
        fields = str(values["fields"]) if values.get("fields") else None
        listed = [nodes.choose(nodes.number(one, self._apps), "WhatsAppBusinessPhoneNumber", fields, _NUMBER_FIELDS) for one in numbers]
        return {"data": listed, "paging": {"cursors": {"before": "QVFI", "after": "QVFI"}}}

    async def _set_override(self, object_id: str, token: str, values: Json) -> Json:
        found = [one for one in self._opened(token, values) if isinstance(one, Number) and one.id == object_id]
        wanted = values.get("webhook_configuration")
        if not found or not isinstance(wanted, dict):
            raise unknown_object(object_id, "post")
        _permit(found[0], "whatsapp_business_management")
        given = cast("Json", wanted)
        if given.get("override_callback_uri") == "":
            self._apps.override(object_id, "")
        else:
            self._apps.override(object_id, await self._shake(given, "override_callback_uri"))
        return {"success": True}

    async def _subscriptions(self, verb: str, object_id: str, token: str, values: Json) -> Json:
        app_id = self._apps.of_token(token)
        if app_id != object_id:
            raise unknown_object(object_id, verb.lower())
        if verb == "GET":
            return {"data": [_subscription(name, one) for name, one in self._apps.subscriptions(app_id).items()]}
        name = values.get("object")
        if verb == "DELETE":
            self._apps.unsubscribe(app_id, str(name) if name else None)
            return {"success": True}
        if required(values, "object") not in FIELDS:
            raise Refusal(100, message=f"(#100) Param object must be one of {{{', '.join(name.upper() for name in FIELDS)}}}")
        fields = _fields(values.get("fields"), str(name), "fields")
        url = await self._shake(values, "callback_url")
        self._apps.subscribe(app_id, str(name), Subscription(callback_url=url, fields=fields))
        return {"success": True}

    async def _subscribed_apps(self, verb: str, object_id: str, token: str, values: Json) -> Json:
        opened = self._opened(token, values)
        owned = [one for one in opened if object_id in (one.owner_id, *(("me",) if isinstance(one, Page) else ()))]
        if not owned:
            raise unknown_object(object_id, verb.lower())
        one = owned[0]
        if isinstance(one, Number):
            return await self._waba_apps(verb, one, values)
        _permit(one, "instagram_business_manage_messages" if cast("Page", one).is_login else "pages_manage_metadata")
        if verb == "GET":
            apps = self._apps.subscribed(one)
            return {"data": [{"id": app, "name": "Practice", "subscribed_fields": list(found.fields)} for app, found in apps.items()]}
        if verb == "DELETE":
            self._apps.unfollow(one)
            return {"success": True}
        name = "instagram" if cast("Page", one).is_login else "page"
        fields = _fields(values.get("subscribed_fields"), name, "subscribed_fields")
        if not fields:
            raise Refusal(100, message="(#100) The parameter subscribed_fields is required.")
        self._apps.follow(one, Subscription(fields=fields))
        return {"success": True}

    async def _waba_apps(self, verb: str, one: Number, values: Json) -> Json:
        _permit(one, "whatsapp_business_management")
        if verb == "GET":
            return {"data": [_followed(app, found) for app, found in self._apps.subscribed(one).items()]}
        if verb == "DELETE":
            self._apps.unfollow(one)
            return {"success": True}
        url = await self._shake(values, "override_callback_uri") if values.get("override_callback_uri") else ""
        self._apps.follow(one, Subscription(callback_url=url, fields=FIELDS["whatsapp_business_account"]))
        return {"success": True}

    async def _shake(self, values: Json, name: str) -> str:
        """Call the address, as Meta does before accepting it, and return it. Raises Refusal."""
        url, verify_token = required(values, name), required(values, "verify_token")
        if not url.startswith(("https://", "http://")) or len(url) > _URL_LIMIT:
            raise Refusal(100, message=f"(#100) {name} must be a valid URL of at most {_URL_LIMIT} characters.")
        if wrong := await self._webhooks.handshake(url, verify_token):
            raise Refusal(2200, message=f"(#2200) Callback verification failed with the following errors: {wrong}")
        return url


def _numbers(opened: list[Account], waba_id: str) -> list[Number]:
    return [one for one in opened if isinstance(one, Number) and one.waba_id == waba_id]


def _permit(one: Account, scope: str) -> None:
    if scope not in one.granted:
        raise Refusal(200, message=f"(#200) Requires {scope} permission to manage the object")


def _fields(given: Any, name: str, parameter: str) -> tuple[str, ...]:
    listed = given.split(",") if isinstance(given, str) else cast("list[Any]", given) if isinstance(given, list) else []
    fields = tuple(str(field).strip() for field in listed if str(field).strip())
    for at, field in enumerate(fields):
        if field not in FIELDS[name]:
            raise Refusal(100, message=f"(#100) Param {parameter}[{at}] must be one of {{{', '.join(FIELDS[name])}}} - got {field!r}.")
    return fields


def _subscription(name: str, one: Subscription) -> Json:
    fields = [{"name": field, "version": "v25.0"} for field in one.fields]
    return {"object": name, "callback_url": one.callback_url, "active": True, "fields": fields}


def _followed(app: str, one: Subscription) -> Json:
    found: Json = {"whatsapp_business_api_data": {"id": app, "name": "Practice", "link": "https://www.facebook.com/games/?app_id=" + app}}
    return found | ({"override_callback_uri": one.callback_url} if one.callback_url else {})
