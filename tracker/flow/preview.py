"""
Where a tracked link would lead, by what leads visitors in earnest.

The click is made up: it is of the class of tests, and kept nowhere.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from tracker.domain.catalog import Catalog
from tracker.domain.click import (
    ClickReason,
    Plan,
    Visit,
    aim,
    draw_click,
    plan_visit,
    refuse,
    without_secrets,
)
from tracker.domain.click_id import ClickClass
from tracker.domain.meter import Closed, closed_by, is_closed, list_reached
from tracker.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Preview:
    """
    The URL that a visitor would be sent to, "" for nowhere.

    `reason` says why the link is refused, or its deep link not followed; `route` why it
    leads there and to no other of the offer's destinations.
    """

    destination: str
    reason: ClickReason
    is_refused: bool
    route: str


async def preview_link(runtime: Runtime, visit: Visit, *, country: str = "") -> Preview:
    """
    For a visitor of that country now; raises UnknownLinkError for no link of ours.

    Nothing is written, and nothing counted.
    """
    now = datetime.now(UTC)
    plan = plan_visit(visit, runtime.catalog, now=now)
    closed = await _closed(runtime, runtime.catalog, now)
    if not plan.refusal and is_closed(closed, plan.offer.key, plan.partner.key, now):
        plan = refuse(plan, ClickReason.CAPPED)
    if plan.offer.targeting and not plan.refusal:
        plan = aim(plan, plan.offer.targeting, lambda _: country)
    return _drawn(runtime, plan, now)


def _drawn(runtime: Runtime, plan: Plan, now: datetime) -> Preview:
    click_id = runtime.mint.mint(
        now=now,
        shard=0,
        click_class=ClickClass.TEST,
        partner_number=plan.partner.number,
        offer_number=plan.offer.number,
    )
    drawn = without_secrets(draw_click(plan, click_id, runtime.seal, now=now), plan)
    reason = ClickReason(drawn.reason)
    return Preview(drawn.destination, reason, bool(plan.refusal), plan.route)


async def _closed(runtime: Runtime, catalog: Catalog, now: datetime) -> Closed:
    """The links that caps have closed, as redirects know them within a second."""
    if not catalog.has_caps:
        return {}
    readings = await runtime.meters.list_current(now, only_reached=True)
    return closed_by(list_reached(catalog, readings, now))
