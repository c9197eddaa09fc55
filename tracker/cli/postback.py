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
    from tracker.domain.click import Visit
    from tracker.domain.invitation import Invitation
    from tracker.domain.vocabulary import Meaning
    from tracker.flow.explanation import Explanation
    from tracker.flow.rehearsal import Rehearsal
    from tracker.flow.sending import SentCall
    from tracker.web.arrival import Arrival

app = typer.Typer(
    no_args_is_help=True,
    help="Ask for postbacks, explain one that came, try what partners are told.",
)

Asked = Annotated[
    str, typer.Argument(metavar="[ID]", help="A past click's, or cv_… of a conversion.")
]
OfPartner = Annotated[str, typer.Option("--partner", help="Of a click to make up.")]
OfOffer = Annotated[str, typer.Option("--offer", help="Of a click to make up.")]
Label = Annotated[str, typer.Option(help="A label of a click to make up.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Another parameter of its link: gclid=…"),
]
Said = Annotated[str, typer.Option(help="What the advertiser says of it.")]


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


@app.command()
def preview(  # noqa: PLR0913 - a partner has ten labels
    asked: Asked = "",
    *,
    partner: OfPartner = "",
    offer: OfOffer = "",
    sub1: Label = "",
    sub2: Label = "",
    sub3: Label = "",
    sub4: Label = "",
    sub5: Label = "",
    sub6: Label = "",
    sub7: Label = "",
    sub8: Label = "",
    sub9: Label = "",
    sub10: Label = "",
    param: Parameters = None,
    goal: Said = "",
    status: Said = "",
    amount: Said = "",
    currency: Said = "",
    revenue: Said = "",
    transaction_id: Said = "",
    as_json: AsDocument = False,
) -> None:
    """
    Show what would be told of a click or a conversion, past or made up.

    Each call, whether it would be made, and where the value of each macro is from. No
    call is made, and nothing is written.
    """
    from tracker.cli.joining import run
    from tracker.cli.output import print_json
    from tracker.cli.rehearsing import print_rehearsal, rehearsal_document

    labels = (sub1, sub2, sub3, sub4, sub5, sub6, sub7, sub8, sub9, sub10)
    visit = _visit(asked, partner, offer, labels, param or ())
    said = _said(goal, status, amount, currency, revenue, transaction_id)
    found = run(_rehearse(asked, visit, said))
    if as_json:
        print_json(rehearsal_document(found))
    else:
        print_rehearsal(found)


@app.command()
def send(  # noqa: PLR0913 - a partner has ten labels
    asked: Asked = "",
    *,
    postback: Annotated[
        str,
        typer.Option(metavar="ID", help="Which one, where there are several."),
    ] = "",
    partner: OfPartner = "",
    offer: OfOffer = "",
    sub1: Label = "",
    sub2: Label = "",
    sub3: Label = "",
    sub4: Label = "",
    sub5: Label = "",
    sub6: Label = "",
    sub7: Label = "",
    sub8: Label = "",
    sub9: Label = "",
    sub10: Label = "",
    param: Parameters = None,
    goal: Said = "",
    status: Said = "",
    amount: Said = "",
    currency: Said = "",
    revenue: Said = "",
    transaction_id: Said = "",
    as_json: AsDocument = False,
) -> None:
    """
    Really send one such call, once, marked as a test; nothing is written.

    It has the header X-Tracker-Test and a delivery id that begins with test-. An
    answer that would be a failure is a refusal.
    """
    from tracker.cli.joining import run
    from tracker.cli.output import print_json
    from tracker.cli.rehearsing import print_sent, sent_document

    labels = (sub1, sub2, sub3, sub4, sub5, sub6, sub7, sub8, sub9, sub10)
    visit = _visit(asked, partner, offer, labels, param or ())
    said = _said(goal, status, amount, currency, revenue, transaction_id)
    sent = run(_send(asked, visit, said, postback))
    if as_json:
        print_json(sent_document(sent))
    else:
        print_sent(sent)
    if not sent.has_arrived:
        raise typer.Exit(1)


def _visit(
    asked: str,
    partner: str,
    offer: str,
    labels: "Sequence[str]",
    param: "Sequence[str]",
) -> "Visit | None":
    """The visit that is made up; None where a past one is asked for."""
    from tracker.domain.click import SUBS, Visit

    if bool(asked) == bool(partner and offer):
        raise typer.BadParameter(
            "name a click or a conversion, or --partner and --offer"
        )
    pairs = [one.partition("=") for one in param]
    given = {name: value for name, _, value in pairs}
    given |= {n: label for n, label in zip(SUBS, labels, strict=True) if label}
    if not asked:
        return Visit(partner, offer, given)
    if partner or offer or given:
        raise typer.BadParameter("a past click has its own partner, offer and labels")
    return None


def _said(  # noqa: PLR0913, PLR0917 - what an advertiser may say
    goal: str,
    status: str,
    amount: str,
    currency: str,
    revenue: str,
    transaction_id: str,
) -> "dict[Meaning, str]":
    said: dict[Meaning, str] = {
        "goal": goal,
        "status": status,
        "amount": amount,
        "currency": currency,
        "revenue": revenue,
        "transaction_id": transaction_id,
    }
    return {meaning: value for meaning, value in said.items() if value}


async def _rehearse(
    asked: str, visit: "Visit | None", said: "Mapping[Meaning, str]"
) -> "Rehearsal":
    from tracker.cli.joining import open_tracker_in_force
    from tracker.flow.rehearsal import Choice, rehearse

    async with open_tracker_in_force() as runtime:
        return await rehearse(runtime, Choice(asked, visit, said))


async def _send(
    asked: str, visit: "Visit | None", said: "Mapping[Meaning, str]", postback: str
) -> "SentCall":
    from tracker.cli.joining import open_tracker_in_force
    from tracker.flow.rehearsal import Choice, choose_call, rehearse
    from tracker.flow.sending import send_rehearsed

    async with open_tracker_in_force() as runtime:
        found = await rehearse(runtime, Choice(asked, visit, said))
        return await send_rehearsed(runtime, choose_call(found, postback))


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
    for told_by, variant in found.variants.items():
        print(f"\nWhere {told_by}:\n")
        _print_invitation(variant)


def _needed(because: str) -> str:
    return f"yes: {because}" if because else "no"


def _about(about: str, others: "Sequence[str]") -> str:
    return f"{about} (or as {', '.join(others)})" if others else about


def _facts(found: "Invitation") -> "Iterator[tuple[str, str]]":
    yield "goals", _words(found.goals)
    yield "statuses", _words(found.statuses)
    for sentence in found.spellings:
        yield "spelling", sentence
    for sentence in found.proofs:
        yield "proof", sentence
    if found.addresses:
        yield "calls from", ", ".join(found.addresses)
    yield "answer", found.reply
    for offer, url in found.landings.items():
        yield f"click id in {offer}", url


def _words(words: "Mapping[str, Sequence[str]]") -> str:
    """`2 = pending, approved`: a word that is ours needs no translation."""
    return ", ".join(
        ours if list(said) == [ours] else f"{' or '.join(said)} = {ours}"
        for ours, said in words.items()
    )
