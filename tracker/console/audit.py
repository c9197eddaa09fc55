"""`/audit`: who did what, about what, when and from where."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import Page, page, runtime_of
from tracker.domain.number import read_number
from tracker.domain.person import Permission
from tracker.domain.postback import clean
from tracker.store.audit import NEWEST

ROWS = 50


async def show_audit(request: Request) -> Response:
    """The newest first, of everybody or of one."""
    said = request.query_params
    who, action = (clean(said.get(one, "").strip()) for one in ("who", "action"))
    deeds = await runtime_of(request).audit.list_deeds(
        who=who, action=action, before=_before(said.get("before", "")), limit=ROWS + 1
    )
    shown = deeds[:ROWS]
    older = {"who": who, "action": action, "before": shown[-1].id if shown else ""}
    return page(
        request,
        "audit.html",
        who=who,
        action=action,
        deeds=shown,
        older=f"/audit?{urlencode(older)}" if len(deeds) > ROWS else "",
        newest=f"/audit?{urlencode({'who': who, 'action': action})}"
        if "before" in said
        else "",
    )


def _before(text: str) -> int:
    return read_number(text, NEWEST) or NEWEST


PAGES = (Page("/audit", show_audit, needs=Permission.ADMINISTER),)
