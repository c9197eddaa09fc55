# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""`tracker postback`: know that it works before the first real conversion."""

from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import AsDocument
from tracker.domain.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracker.domain.advertiser import Advertiser
    from tracker.domain.catalog import Catalog
    from tracker.domain.invitation import Invitation
    from tracker.flow.explanation import Explanation
    from tracker.web.arrival import Arrival

app = typer.Typer(
    no_args_is_help=True,
    help="Ask for postbacks, explain one that came, try what partners are told.",
)


@app.command()
def ask(
    advertiser: Annotated[str, typer.Argument(help="The advertiser's key.")],
    *,
    show_token: Annotated[
        bool,
        typer.Option("--show-token", help="Print its token, not only the name of it."),
    ] = False,
    as_json: AsDocument = False,
) -> None:
    """
    Print the URL to hand to an advertiser, in its own words.

    By the catalog in force; where nothing runs, by the file.
    """
    from tracker.cli.joining import known_catalog, own_settings
    from tracker.cli.output import print_json
    from tracker.domain.invitation import invite

    settings = own_settings()
    catalog = known_catalog(settings)
    found = invite(
        _advertiser(catalog, advertiser),
        catalog,
        settings.base_url,
        shows_token=show_token,
    )
    if as_json:
        print_json(found)
    else:
        _print_invitation(found)


@app.command()
def explain(  # noqa: PLR0913 - a call has parts
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="As it arrived, or its path; or pb_… in quarantine."
        ),
    ],
    *,
    method: Annotated[
        str, typer.Option(help="GET, or POST where there is a body, unless set.")
    ] = "",
    body: Annotated[str, typer.Option(help="A form, or JSON, as it arrived.")] = "",
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="LINE", help="'Name: value', any number of times."),
    ] = None,
    address: Annotated[
        str, typer.Option(help="Who called; unless set, one that is allowed.")
    ] = "",
    as_json: AsDocument = False,
) -> None:
    """
    Say what would be decided about a postback, step by step, and why.

    By the catalog in force and all that is known now. Nothing is written.
    """
    from tracker.cli.explaining import explanation_document, print_explanation
    from tracker.cli.joining import run
    from tracker.cli.output import print_json
    from tracker.web.arrival import Arrival

    arrival = Arrival(url, method, body, header or (), address)
    found = run(_explain(arrival))
    if as_json:
        print_json(explanation_document(found))
    else:
        print_explanation(found)


async def _explain(arrival: "Arrival") -> "Explanation":
    from tracker.cli.joining import open_tracker_in_force
    from tracker.flow.explanation import explain_postback, explain_quarantined
    from tracker.web.arrival import read_arrival

    async with open_tracker_in_force() as runtime:
        if arrival.url.startswith("pb_"):
            return await explain_quarantined(runtime, arrival.url)
        return await explain_postback(runtime, *await read_arrival(runtime, arrival))


def _advertiser(catalog: "Catalog", key: str) -> "Advertiser":
    from tracker.catalog.faults import one_of, suggest

    known = {k: one for k, one in catalog.advertisers.items() if not one.is_retired}
    if key in known:
        return known[key]
    near = suggest(key, known) or f"; there are {one_of(sorted(known)[:10])}"
    raise NotFoundError(f"no advertiser {key!r}{near if known else ''}")


def _print_invitation(found: "Invitation") -> None:
    from tracker.cli.output import print_lines, print_table

    print(found.url)
    print()
    rows = [
        (one.name, _needed(one.because), _about(one.about, one.others))
        for one in found.parameters
    ]
    print_table(("parameter", "needed", "is"), rows, folds={"needed", "is"})
    print()
    print_lines(_facts(found))


def _needed(because: str) -> str:
    return f"yes: {because}" if because else "no"


def _about(about: str, others: "Sequence[str]") -> str:
    return f"{about} (or as {', '.join(others)})" if others else about


def _facts(found: "Invitation") -> "Iterator[tuple[str, str]]":
    yield "goals", _words(found.goals)
    yield "statuses", _words(found.statuses)
    for sentence in found.proofs:
        yield "proof", sentence
    if found.addresses:
        yield "calls from", ", ".join(found.addresses)
    yield "answer", found.reply
    for offer, url in found.landings.items():
        yield f"click id in {offer}", url


def _words(words: "Mapping[str, Sequence[str]]") -> str:
    return ", ".join(f"{' or '.join(said)} = {ours}" for ours, said in words.items())
