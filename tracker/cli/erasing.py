# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""`tracker erase`: personal data goes, what money needs stays."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import AsDocument, By, operator_name
from tracker.domain.click import SUBS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tracker.flow.erasure import Counts
    from tracker.runtime import Runtime

    Erase = Callable[[Runtime, str, bool], Awaitable[Counts]]

app = typer.Typer(
    no_args_is_help=True,
    help="Erase what is personal, wherever it is kept; money and ids stay.",
)

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Count what would go, and erase nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command()
def click(
    click_id: Annotated[str, typer.Argument(metavar="CLICK_ID")],
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    by: By = None,
    as_json: AsDocument = False,
) -> None:
    """
    Erase what one click told: address, user agent, labels, parameters, referrer.

    Also from its postbacks and deliveries. Run it again whenever you like.
    """

    async def erase(runtime: "Runtime", by: str, is_rehearsal: bool) -> "Counts":
        from tracker.flow.erasure import erase_click

        return await erase_click(
            runtime, click_id.strip(), by, is_rehearsal=is_rehearsal
        )

    _ask(f"all that click {click_id} told", is_answered=yes or dry_run)
    _run(erase, operator_name(by), is_rehearsal=dry_run, as_json=as_json)


@app.command()
def label(  # noqa: PLR0913 - what is erased, and how
    partner: Annotated[str, typer.Argument(metavar="PARTNER", help="Its key.")],
    name: Annotated[str, typer.Argument(metavar="LABEL", help="sub1 to sub10.")],
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="Or - for a line on stdin.")
    ],
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    by: By = None,
    as_json: AsDocument = False,
) -> None:
    """Erase all clicks until now in which a label of a partner has this value."""
    if name not in SUBS:
        raise typer.BadParameter("LABEL is one of sub1 to sub10")
    if value == "-":
        value = sys.stdin.readline().rstrip("\n")
    if not value:
        raise typer.BadParameter("VALUE is empty")

    async def erase(runtime: "Runtime", by: str, is_rehearsal: bool) -> "Counts":
        from tracker.flow.erasure import erase_label

        wanted = await runtime.erasures.get_label(partner, name, value)
        return await erase_label(runtime, wanted, by, is_rehearsal=is_rehearsal)

    _ask(
        f"all that clicks of {partner} with this {name} told",
        is_answered=yes or dry_run,
    )
    _run(erase, operator_name(by), is_rehearsal=dry_run, as_json=as_json)


def _ask(what: str, *, is_answered: bool) -> None:
    """Without a terminal nobody answers, and that is a no."""
    if not is_answered:
        typer.confirm(f"Erase {what}? Nothing brings it back.", abort=True, err=True)


def _run(erase: "Erase", by: str, *, is_rehearsal: bool, as_json: bool) -> None:
    from tracker.cli.joining import open_tracker, run
    from tracker.cli.output import print_json

    async def story() -> "Counts":
        async with open_tracker() as runtime:
            return await erase(runtime, by, is_rehearsal)

    counts = run(story())
    if as_json:
        print_json({"erased": not is_rehearsal, "records": dict(counts)})
        return
    print("would erase" if is_rehearsal else "erased")
    for where, number in sorted(counts.items()):
        print(f"  {where}: {number}")
    if not counts:
        print("  nothing: there is no trace of it, or it was erased before")
