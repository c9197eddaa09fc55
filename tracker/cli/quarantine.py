# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""`tracker quarantine`: postbacks that were kept but not believed."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import (
    AsDocument,
    AsJson,
    By,
    Limit,
    Since,
    Until,
    operator_name,
)
from tracker.cli.output import refuse
from tracker.domain.errors import RefusedChangeError
from tracker.domain.outcome import REASONS, Reason
from tracker.domain.remedy import REMEDIES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tracker.domain.outcome import Outcome
    from tracker.flow.quarantine import Pardon
    from tracker.store.reports import ListedPostback, PostbackFilter

app = typer.Typer(
    no_args_is_help=True, help="List postbacks in quarantine, or judge them again."
)

COLUMNS = ("postback", "at (UTC)", "reason", "advertiser", "from")
FOLDS = {"advertiser", "from"}
MOST_AT_ONCE = 100_000

OnlyReason = Annotated[Reason | None, typer.Option(help="Only these.", metavar="WORD")]
OnlyAdvertiser = Annotated[
    str | None,
    typer.Option("--advertiser", metavar="KEY", help="Only those that speak of it."),
]


@app.command("list")
def list_them(  # noqa: PLR0913 - what is chosen, and how it is shown
    *,
    reason: OnlyReason = None,
    advertiser: OnlyAdvertiser = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """
    List postbacks in quarantine, the newest first, and what to do about them.

    Each reason is explained once, below the table.
    """
    from tracker.cli.joining import run
    from tracker.cli.output import print_list

    wanted = _wanted(reason, advertiser, since, until)
    found = run(_list(replace(wanted, limit=limit)))
    if as_json:
        _print_documents(found)
        return
    print_list(found, COLUMNS, _cells, as_json=False, folds=FOLDS)
    _print_remedies(found)


@app.command()
def show(
    postback: Annotated[str, typer.Argument(metavar="ID", help="pb_…")],
    *,
    as_json: AsDocument = False,
) -> None:
    """Show one postback, believed or not: all it said, and what was decided."""
    from tracker.cli.joining import run
    from tracker.cli.output import print_json
    from tracker.cli.story import postback_document, print_story
    from tracker.flow.story import tell_postback

    found = run(_get(postback))
    if as_json:
        print_json(postback_document(found))
    else:
        print_story(tell_postback(found))


@app.command()
def release(  # noqa: PLR0913 - what is chosen, and what is waived
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="pb_…, any number.")
    ] = None,
    *,
    click: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The click it meant, in place of its own."),
    ] = None,
    waive: Annotated[
        Reason | None,
        typer.Option(metavar="WORD", help="The one reason that no longer counts."),
    ] = None,
    reason: OnlyReason = None,
    advertiser: OnlyAdvertiser = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many, and change nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before doing many.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """
    Judge postbacks again, as of their arrival, under the catalog now in force.

    Those named, or without names all that --reason, --advertiser, --since and --until
    choose, the oldest first, each by itself: what is interrupted can be called again.
    What ends in quarantine once more is a refusal.
    """
    from tracker.cli.joining import run
    from tracker.flow.quarantine import Pardon

    wanted = _wanted(reason, advertiser, since, until)
    if bool(ids) == (wanted != _wanted()):
        raise typer.BadParameter(
            "name postbacks, or choose with --reason, --advertiser, --since or --until"
        )
    if click and len(ids or ()) != 1:
        raise typer.BadParameter("--click is for one postback")
    chosen = ids or [one.id for one in reversed(run(_list(wanted)))]
    if dry_run:
        print(_would_be_judged(chosen))
    elif ids or yes or _is_confirmed(chosen):
        pardon = Pardon(operator_name(by), click, waive)
        run(_release(chosen, pardon, as_json=as_json))


def _print_documents(found: "Sequence[ListedPostback]") -> None:
    from tracker.cli.output import print_json
    from tracker.cli.story import postback_document

    for one in found:
        print_json(postback_document(one))


def _print_remedies(found: "Sequence[ListedPostback]") -> None:
    """For each reason in the list what it means, and what to do about it."""
    from tracker.cli.output import print_lines

    if found:
        print()
    lines: list[tuple[str, str]] = []
    for reason in dict.fromkeys(Reason(one.reason) for one in found):
        lines += [(reason, REASONS[reason][1]), ("", REMEDIES[reason])]
    print_lines(lines)


def _would_be_judged(ids: "Sequence[str]") -> str:
    noun = "postback" if len(ids) == 1 else "postbacks"
    return f"{len(ids)} {noun} would be judged again"


def _is_confirmed(ids: "Sequence[str]") -> bool:
    """One is released without a question; many where nobody can answer it are not."""
    if len(ids) <= 1:
        return True
    if not sys.stdin.isatty():
        refuse(f"{_would_be_judged(ids)}: add --yes")
        raise typer.Exit(1)
    return typer.confirm(f"{_would_be_judged(ids)}. Go on?", abort=True, err=True)


def _wanted(
    reason: Reason | None = None,
    advertiser: str | None = None,
    since: "datetime | None" = None,
    until: "datetime | None" = None,
) -> "PostbackFilter":
    from tracker.store.reports import PostbackFilter

    return PostbackFilter(
        outcome="quarantined",
        reason=reason,
        advertiser=advertiser,
        since=since,
        until=until,
        limit=MOST_AT_ONCE,
    )


async def _list(wanted: "PostbackFilter") -> "list[ListedPostback]":
    from tracker.cli.joining import open_database
    from tracker.store.reports import ReportStore

    async with open_database() as pool:
        return await ReportStore(pool).list_postbacks(wanted)


async def _get(postback: str) -> "ListedPostback":
    from tracker.cli.joining import open_database
    from tracker.store.reports import ReportStore

    async with open_database() as pool:
        return await ReportStore(pool).get_postback(postback)


async def _release(ids: "Sequence[str]", pardon: "Pardon", *, as_json: bool) -> None:
    from tracker.cli.joining import open_tracker_in_force
    from tracker.cli.output import each
    from tracker.flow.quarantine import release_postback

    async with open_tracker_in_force() as runtime:

        async def release_one(postback: str) -> None:
            outcome = await release_postback(runtime, postback, pardon)
            _say(outcome, as_json=as_json)

        await each(ids, release_one)


def _say(outcome: "Outcome", *, as_json: bool) -> None:
    from tracker.cli.output import print_json

    if as_json:
        print_json(outcome)
    meaning = REASONS[outcome.reason][1]
    if outcome.verdict == "quarantined":
        raise RefusedChangeError(
            f"{outcome.postback_id} stays: {outcome.reason}, {meaning};"
            f" {REMEDIES[outcome.reason]}"
        )
    if not as_json:
        because = f" ({outcome.reason}, {meaning})" if outcome.reason else ""
        print(f"{outcome.postback_id} is {outcome.verdict}{because}", end="")
        print(f": {outcome.conversion_id}" if outcome.conversion_id else "")


def _cells(one: "ListedPostback") -> tuple[str, ...]:
    from tracker.cli.output import short_time

    who = one.advertiser or one.route or "?"
    return (one.id, short_time(one.received_at), one.reason, who, one.address or "?")
