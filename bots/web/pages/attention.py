"""The page of what needs attention: each thing with its reason, explained, and the button that helps."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from bots.admin.acting import Operator
from bots.admin.attention import troubles
from bots.admin.attention.troubles import ALLOWED, Action, as_row
from bots.domain import Role
from bots.storage.attention import TroubleKind
from bots.web import marks
from bots.web.admin_site import AdminSite

_PAGE = 50
#: What each kind of problem is called, in the order of the page's tabs.
KINDS = {
    TroubleKind.ACCOUNT: "Accounts not sending",
    TroubleKind.TURN: "Dead turns",
    TroubleKind.SEND: "Messages not sent",
    TroubleKind.ENVELOPE: "Quarantined webhooks",
    TroubleKind.BUDGET: "Budgets used up",
    TroubleKind.MODEL: "Models that refuse",
    TroubleKind.NOTICE: "Notices about accounts",
    TroubleKind.IDENTITY: "Who is who",
}
_BUTTONS = {
    Action.REPLAY: "Replay",
    Action.RESEND: "Send again",
    Action.SETTLE: "Leave it as sent",
    Action.DISMISS: "Dismiss",
    Action.RESUME: "Resume",
    Action.SAME_PERSON: "Same person",
    Action.TWO_PEOPLE: "Two people",
}
_DONE = {
    Action.REPLAY: "Replayed.",
    Action.RESEND: "The message is being sent again.",
    Action.SETTLE: "The message now counts as sent.",
    Action.DISMISS: "Dismissed.",
    Action.RESUME: "The account is active again.",
    Action.SAME_PERSON: "They are one contact now.",
    Action.TWO_PEOPLE: "They are two contacts.",
}


class AttentionPages:
    """The endpoints of the page."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
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
        found = await self._site.run(troubles.list_troubles, operator, kind=kind, before=before, limit=_PAGE + 1)
        counts = await self._site.run(troubles.count, operator)
        more = None
        if len(found) > _PAGE:
            last = found[_PAGE - 1]
            more = "/admin/attention?" + urlencode(({"kind": kind.value} if kind else {}) | {"before": marks.after(last.at, last.id)})
        return self._site.render(
            request,
            operator,
            "attention.html",
            rows=[as_row(trouble) for trouble in found[:_PAGE]],
            kind=kind,
            kinds=[(each.value, name, counts[each]) for each, name in KINDS.items()],
            all=sum(counts.values()),
            more=more,
            buttons=_BUTTONS,
        )

    async def _act(self, kind: TroubleKind, action: Action, request: Request, operator: Operator) -> Response:
        id_: UUID = request.path_params["id"]
        await self._site.run(troubles.act, operator, kind, id_, action)
        asked = (await self._site.form(request)).get("kind", "")
        return self._site.see_other("/admin/attention" + (f"?kind={asked}" if asked in set(TroubleKind) else ""), flash=_DONE[action])
