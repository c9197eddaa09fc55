# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""`tracker deliveries`: what partners are owed, what became of it, and once more."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import AsDocument, AsJson, Limit, PartnerKey, Since
from tracker.domain.errors import RefusedChangeError
from tracker.domain.identity import DeliveryId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tracker.flow.trace import Trace
    from tracker.store.lanes import StoppedLane
    from tracker.store.postgres import Pool
    from tracker.store.reports import DeliveryFilter, ListedDelivery

    Change = Callable[[Pool, str], Awaitable[str]]

app = typer.Typer(
    no_args_is_help=True, help="List deliveries to partners, or send them again."
)

COLUMNS = ("delivery", "owed since", "state", "to", "why")
LANE_COLUMNS = ("lane", "state", "since", "why", "next call", "waiting")
FOLDS = {"to"}
LANE_FOLDS = {"why"}

Ids = Annotated[list[str], typer.Argument(metavar="ID", help="dl_…, one or more.")]


class State(StrEnum):
    """Where a delivery stands."""

    OWED = "owed"
    HELD = "held"
    DEAD = "dead"
    DELIVERED = "delivered"


@app.command("list")
def list_them(  # noqa: PLR0913 - one for each column that is filtered
    *,
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    partner: PartnerKey = None,
    reason: Annotated[
        str | None, typer.Option(help="Only those held or dead for this reason.")
    ] = None,
    since: Since = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List deliveries, owed and finished, the newest first."""
    from tracker.cli.joining import run
    from tracker.cli.output import print_list
    from tracker.store.reports import DeliveryFilter

    wanted = DeliveryFilter(state, partner, reason, since, limit)
    print_list(run(_list(wanted)), COLUMNS, _cells, as_json=as_json, folds=FOLDS)


@app.command()
def show(
    delivery: Annotated[str, typer.Argument(metavar="ID", help="dl_…")],
    *,
    as_json: AsDocument = False,
) -> None:
    """Show one delivery with every attempt."""
    from tracker.cli.joining import run
    from tracker.cli.output import print_json
    from tracker.cli.story import delivery_document, print_story
    from tracker.flow.story import tell_deliveries

    told = run(_show(delivery))
    if as_json:
        print_json([delivery_document(one, told) for one in told.deliveries])
    else:
        print_story(tell_deliveries(told))


@app.command()
def retry(ids: Ids) -> None:
    """Try deliveries now; dead ones are owed again."""
    from tracker.cli.joining import run

    run(_change_each(ids, _retry))


@app.command()
def replay(ids: Ids) -> None:
    """Send finished deliveries again, under the same id."""
    from tracker.cli.joining import run

    run(_change_each(ids, _replay))


@app.command()
def lanes(*, as_json: AsJson = False) -> None:
    """List lanes that are paused, or whose breaker is open: why, and what waits."""
    from tracker.cli.joining import run
    from tracker.cli.output import print_list

    stopped = run(_list_stopped())
    print_list(stopped, LANE_COLUMNS, _lane_cells, as_json=as_json, folds=LANE_FOLDS)


@app.command()
def resume(
    lanes: Annotated[
        list[str],
        typer.Argument(metavar="LANE", help="partner/postback@host, one or more."),
    ],
) -> None:
    """Send again on lanes that are paused or open, as `deliveries lanes` has them."""
    from tracker.cli.joining import run

    run(_change_each(lanes, _resume))


async def _list(wanted: "DeliveryFilter") -> "list[ListedDelivery]":
    from tracker.cli.joining import open_database
    from tracker.store.reports import ReportStore

    async with open_database() as pool:
        return await ReportStore(pool).list_deliveries(wanted)


async def _show(delivery: str) -> "Trace":
    from tracker.cli.joining import open_database
    from tracker.flow.trace import Trace, by_round
    from tracker.store.reports import ReportStore

    async with open_database() as pool:
        reports = ReportStore(pool)
        return Trace(
            asked=delivery,
            click=None,
            deliveries=await reports.list_rounds(delivery),
            attempts=by_round(await reports.list_attempts_of([delivery])),
        )


async def _change_each(ids: list[str], change: "Change") -> None:
    """The workers are told at the end, once, whatever was refused."""
    from tracker.cli.joining import open_database
    from tracker.cli.output import each
    from tracker.store.signals import notify_deliveries

    async with open_database() as pool:

        async def change_one(one: str) -> None:
            print(await change(pool, one))

        try:
            await each(ids, change_one)
        finally:
            await notify_deliveries(pool)


async def _retry(pool: "Pool", delivery: str) -> str:
    from tracker.store.deliveries import DeliveryStore

    await DeliveryStore(pool).retry(DeliveryId(delivery))
    return f"{delivery} is due now"


async def _replay(pool: "Pool", delivery: str) -> str:
    from tracker.store.deliveries import DeliveryStore

    if not await DeliveryStore(pool).replay([DeliveryId(delivery)]):
        raise RefusedChangeError(f"{delivery} is still owed, or unknown")
    return f"{delivery} is owed again"


async def _resume(pool: "Pool", lane: str) -> str:
    from tracker.store.lanes import LaneStore

    await LaneStore(pool).resume(lane)
    return f"{lane} is resumed"


async def _list_stopped() -> "tuple[StoppedLane, ...]":
    from tracker.cli.joining import open_database
    from tracker.store.lanes import LaneStore

    async with open_database() as pool:
        return await LaneStore(pool).list_stopped()


def _cells(one: "ListedDelivery") -> tuple[str, ...]:
    from tracker.cli.output import short_time

    why = f"due {short_time(one.due_at)}" if one.due_at else one.reason
    where = f"{one.partner}/{one.postback}"
    return (one.id, short_time(one.created_at), one.state, where, why)


def _lane_cells(one: "StoppedLane") -> tuple[str, ...]:
    from tracker.cli.output import short_time

    since, why = one.paused_at or one.opened_at, one.paused_reason or one.opened_reason
    return (
        one.lane,
        one.state,
        short_time(since) if since else "",
        why or "",
        f"{one.open_until:%H:%M:%S}" if one.state == "open" else "",
        str(one.waiting),
    )
