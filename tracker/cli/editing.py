# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""The commands around partners.yaml: check it, describe it, make a link of it."""

import json
import sys
from collections import Counter
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlencode

import typer

from tracker.cli.options import AsDocument
from tracker.domain.errors import UnknownLinkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracker.catalog import CheckedCatalog, Fault, Hint
    from tracker.domain.catalog import Catalog
    from tracker.domain.offer import Offer
    from tracker.settings import Settings

SECTIONS = ("advertisers", "offers", "partners")
MOST_OF_A_KIND = 10
"""Hints that are printed of each kind."""

Sub = Annotated[str, typer.Option(help="A label, returned to the partner untouched.")]


def check(
    file: Annotated[
        Path | None, typer.Argument(help="The file; else the one that is set.")
    ] = None,
    *,
    as_json: AsDocument = False,
) -> None:
    """
    Check partners.yaml: every fault, one a line, each with its place.

    A file with faults is refused. A good one may have hints: what is likely not
    meant. They refuse nothing.
    """
    from tracker.catalog import FaultyCatalogError, check_file, find_hints
    from tracker.cli.joining import own_settings, read_catalog_secrets

    settings = own_settings()
    path = file or settings.catalog
    secrets = read_catalog_secrets(settings)
    try:
        checked = check_file(path, secrets)
    except FaultyCatalogError as error:
        _print_faults(path, error.faults, as_json=as_json)
        raise typer.Exit(1) from None
    _print_good(path, checked, find_hints(checked, secrets), as_json=as_json)


def schema() -> None:
    """Print the JSON Schema of partners.yaml, for editors."""
    from tracker.catalog import json_schema

    print(json.dumps(json_schema(), indent=2))


def link(  # noqa: PLR0913 - a partner has ten labels
    partner: Annotated[str, typer.Argument(help="The partner's key.")],
    offer: Annotated[str, typer.Argument(help="The offer's key.")],
    *,
    sub1: Sub = "",
    sub2: Sub = "",
    sub3: Sub = "",
    sub4: Sub = "",
    sub5: Sub = "",
    sub6: Sub = "",
    sub7: Sub = "",
    sub8: Sub = "",
    sub9: Sub = "",
    sub10: Sub = "",
    deeplink: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A page of the advertiser's to lead to."),
    ] = None,
    as_json: AsDocument = False,
) -> None:
    """
    Print a tracked link.

    The catalog in force must list it; where nothing runs, the file must. A deep
    link to a host that is not on the offer's list is signed.
    """
    from tracker.cli.joining import known_catalog, own_settings
    from tracker.cli.output import print_json

    settings = own_settings()
    target = _target(known_catalog(settings), partner, offer)
    labels = (sub1, sub2, sub3, sub4, sub5, sub6, sub7, sub8, sub9, sub10)
    query = {f"sub{number}": label for number, label in enumerate(labels, 1) if label}
    if deeplink:
        query |= _deep(settings, partner, target, deeplink)
    url = _url(settings.base_url, partner, offer, query)
    if as_json:
        print_json({"url": url})
    else:
        print(url)


def _print_faults(path: Path, faults: "Iterable[Fault]", *, as_json: bool) -> None:
    from tracker.cli.output import print_json

    if as_json:
        print_json(
            {"file": str(path), "is_good": False, "faults": list(faults), "hints": []}
        )
    for fault in () if as_json else faults:
        print(fault, file=sys.stderr)


def _print_good(
    path: Path, checked: "CheckedCatalog", hints: "Sequence[Hint]", *, as_json: bool
) -> None:
    from tracker.cli.output import print_json

    counts = {name: len(getattr(checked.document, name)) for name in SECTIONS}
    if as_json:
        found = {"is_good": True, "faults": [], "hints": hints}
        print_json({"file": str(path), **found, **counts})
        return
    _print_hints(hints)
    listed = ", ".join(_counted(number, name) for name, number in counts.items())
    print(f"{path.name} is good: {listed}")


def _print_hints(hints: "Sequence[Hint]") -> None:
    """A few of each kind: a thousand partners may all lack the same."""
    shown: Counter[str] = Counter()
    for hint in hints:
        shown[hint.kind] += 1
        if shown[hint.kind] <= MOST_OF_A_KIND:
            print(hint)
    for kind, number in shown.items():
        if number > MOST_OF_A_KIND:
            more = f"{number - MOST_OF_A_KIND} more like these ({kind})"
            print(f"{hints[0].file}: hint: {more}; --json has them")


def _counted(number: int, plural: str) -> str:
    return f"{number} {plural if number != 1 else plural.removesuffix('s')}"


def _target(catalog: "Catalog", partner: str, offer: str) -> "Offer":
    try:
        return catalog.link(partner, offer)[1]
    except UnknownLinkError as error:
        raise UnknownLinkError(f"{error}{_hint(catalog, partner, offer)}") from None


def _hint(catalog: "Catalog", partner: str, offer: str) -> str:
    """What was probably meant, or what there is."""
    partners = [one.key for one in catalog.partners.values() if not one.is_retired]
    if partner not in partners:
        return _suggestion("partner", partner, partners, "the partners are")
    may = catalog.partners[partner].may_promote
    offers = [
        one.key
        for one in catalog.offers.values()
        if not one.is_retired and may(one.key)
    ]
    return _suggestion(
        f"offer of {partner}", offer, offers, f"the offers of {partner} are"
    )


def _suggestion(kind: str, word: str, known: "list[str]", these_are: str) -> str:
    close = get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean the {kind} {close[0]!r}?"
    return f"; {these_are} {', '.join(sorted(known)[:10]) or 'none'}"


def _deep(
    settings: "Settings", partner: str, offer: "Offer", url: str
) -> dict[str, str]:
    from tracker.domain.deeplink import PARAMETER, SIGNATURE, Seal, host_of

    host = host_of(url)
    if not host:
        raise typer.BadParameter("write a plain web address, https://…")
    if host in offer.deeplinks:
        return {PARAMETER: url}
    seal = Seal(settings.signing_keys)
    return {PARAMETER: url, SIGNATURE: seal.sign(partner, offer.key, url)}


def _url(base_url: str, partner: str, offer: str, query: dict[str, str]) -> str:
    path = f"{base_url}/c/{quote(partner)}/{quote(offer)}"
    return f"{path}?{urlencode(query, quote_via=quote)}" if query else path
