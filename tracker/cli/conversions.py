# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""`tracker conversions`: list them, and change them by hand."""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import AsJson, By, Limit, PartnerKey, Since, operator_name
from tracker.domain.identity import ConversionId
from tracker.domain.money import parse_amount
from tracker.domain.offer import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tracker.domain.conversion import Conversion
    from tracker.flow.conversion import Operator
    from tracker.runtime import Runtime
    from tracker.store.reports import ConversionFilter, ListedConversion

    Alter = Callable[[Runtime, str, Operator], Awaitable[Conversion]]

app = typer.Typer(no_args_is_help=True, help="List conversions, or change them.")

COLUMNS = ("conversion", "at (UTC)", "status", "for", "payout")
FOLDS = {"for", "payout"}

Ids = Annotated[list[str], typer.Argument(metavar="ID", help="cv_…, one or more.")]
Note = Annotated[str | None, typer.Option(help="Why; kept with the change.")]


def _read_amount(text: str) -> Decimal:
    try:
        return parse_amount(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command("list")
def list_them(  # noqa: PLR0913 - one for each column that is filtered
    *,
    status: Annotated[Status | None, typer.Option(help="Only these.")] = None,
    partner: PartnerKey = None,
    offer: Annotated[str | None, typer.Option(metavar="KEY")] = None,
    advertiser: Annotated[str | None, typer.Option(metavar="KEY")] = None,
    since: Since = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List conversions as they stand, the newest first."""
    from tracker.cli.joining import run
    from tracker.cli.output import print_list
    from tracker.store.reports import ConversionFilter

    wanted = ConversionFilter(status, partner, offer, advertiser, since, limit)
    print_list(run(_list(wanted)), COLUMNS, _cells, as_json=as_json, folds=FOLDS)


@app.command()
def approve(
    ids: Ids, *, note: Note = None, by: By = None, as_json: AsJson = False
) -> None:
    """Approve conversions, whatever they were, and tell their partners."""
    _set_status(ids, Status.APPROVED, note, by, as_json=as_json)


@app.command()
def reject(
    ids: Ids, *, note: Note = None, by: By = None, as_json: AsJson = False
) -> None:
    """Reject conversions, whatever they were, and tell their partners."""
    _set_status(ids, Status.REJECTED, note, by, as_json=as_json)


@app.command()
def adjust(
    ids: Ids,
    *,
    amount: Annotated[
        Decimal,
        typer.Option(
            parser=_read_amount,
            metavar="SUM",
            help="What the customer paid, in the offer's currency.",
        ),
    ],
    note: Note = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Correct the amount of conversions; payout and revenue follow."""
    from tracker.flow.conversion import set_conversion_amount

    _change(
        ids,
        lambda runtime, one, operator: set_conversion_amount(
            runtime, ConversionId(one), amount, operator
        ),
        note,
        by,
        as_json=as_json,
    )


def _set_status(
    ids: list[str], status: Status, note: str | None, by: str | None, *, as_json: bool
) -> None:
    from tracker.flow.conversion import set_conversion_status

    _change(
        ids,
        lambda runtime, one, operator: set_conversion_status(
            runtime, ConversionId(one), status, operator
        ),
        note,
        by,
        as_json=as_json,
    )


def _change(
    ids: list[str], alter: "Alter", note: str | None, by: str | None, *, as_json: bool
) -> None:
    from tracker.cli.joining import run
    from tracker.flow.conversion import Operator

    run(_change_each(ids, alter, Operator(operator_name(by), note), as_json=as_json))


async def _change_each(
    ids: list[str], alter: "Alter", operator: "Operator", *, as_json: bool
) -> None:
    from tracker.cli.joining import open_tracker_in_force
    from tracker.cli.output import each

    async with open_tracker_in_force() as runtime:

        async def change(conversion_id: str) -> None:
            await alter(runtime, conversion_id, operator)
            changed = await runtime.reports.get_conversion(conversion_id)
            _say(changed, as_json=as_json)

        await each(ids, change)


async def _list(wanted: "ConversionFilter") -> "list[ListedConversion]":
    from tracker.cli.joining import open_database
    from tracker.store.reports import ReportStore

    async with open_database() as pool:
        return await ReportStore(pool).list_conversions(wanted)


def _say(changed: "ListedConversion", *, as_json: bool) -> None:
    from tracker.cli.output import print_json

    if as_json:
        print_json(changed)
        return
    print(
        f"{changed.id} is {changed.status}:"
        f" payout {changed.payout:f}, revenue {changed.revenue:f} {changed.currency}"
    )


def _cells(one: "ListedConversion") -> tuple[str, ...]:
    from tracker.cli.output import short_time

    what = f"{one.partner} {one.offer} {one.goal}"
    payout = f"{one.payout:f} {one.currency}"
    return (one.id, short_time(one.converted_at), one.status, what, payout)
