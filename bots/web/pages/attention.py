"""The page of what wants attention: each thing with its reason in plain words and the button that fits."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from bots.admin.acting import Operator
from bots.admin.attention.troubles import ALLOWED, Action, Attention, as_row
from bots.domain import Role
from bots.storage.attention import TroubleKind
from bots.web import marks
from bots.web.admin_site import AdminSite

_PAGE = 50
_KINDS = {
    TroubleKind.ACCOUNT: "Parked accounts",
    TroubleKind.TURN: "Dead turns",
    TroubleKind.SEND: "Sends",
    TroubleKind.ENVELOPE: "Quarantined webhooks",
    TroubleKind.BUDGET: "Budgets used up",
}
_BUTTONS = {
    Action.REPLAY: "Replay",
    Action.RESEND: "Send again",
    Action.SETTLE: "Leave it as sent",
    Action.DISMISS: "Dismiss",
    Action.RESUME: "Resume",
}
_DONE = {
    Action.REPLAY: "Replayed.",
    Action.RESEND: "It is sent again now.",
    Action.SETTLE: "It counts as sent.",
    Action.DISMISS: "Dismissed.",
    Action.RESUME: "The account sends again.",
}


class AttentionPages:
    """The endpoints of the page."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        self._attention = Attention(crossing=site.crossing, keyring=site.keyring, settings=site.settings)
        self.routes = [
            site.page("/admin/attention", self._list),
            *(
                site.post(f"/admin/attention/{kind.value}/{{id:uuid}}/{action.value}", partial(self._act, kind, action), role=Role.AGENT)
                for kind, actions in ALLOWED.items()
                for action in actions
            ),
        ]

    async def _list(self, request: Request, operator: Operator) -> Response:
        asked = request.query_params.get("kind", "")
        kind = TroubleKind(asked) if asked in set(TroubleKind) else None
        before = marks.read(request.query_params.get("before", ""))
        tenant = operator.tenant_id
        troubles = await self._site.do(partial(self._attention.troubles, tenant, kind=kind, before=before, limit=_PAGE + 1))
        counts = await self._site.do(partial(self._attention.count, tenant))
        more = None
        if len(troubles) > _PAGE:
            last = troubles[_PAGE - 1]
            more = "/admin/attention?" + urlencode(({"kind": kind.value} if kind else {}) | {"before": marks.after(last.at, last.id)})
        return self._site.render(
            request,
            operator,
            "attention.html",
            rows=[as_row(trouble) for trouble in troubles[:_PAGE]],
            kind=kind,
            kinds=[(each.value, name, counts[each]) for each, name in _KINDS.items()],
            all=sum(counts.values()),
            more=more,
            buttons=_BUTTONS,
        )

    async def _act(self, kind: TroubleKind, action: Action, request: Request, operator: Operator) -> Response:
        id_: UUID = request.path_params["id"]
        await self._site.do(partial(self._attention.act, operator.tenant_id, kind, id_, action, actor=operator.name))
        asked = (await self._site.form(request)).get("kind", "")
        return self._site.see_other("/admin/attention" + (f"?kind={asked}" if asked in set(TroubleKind) else ""), flash=_DONE[action])
