# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""The commands around partners.yaml: check it, describe it, make a link of it."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import AsDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracker.catalog import CheckedCatalog, Fault, Hint
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
    from tracker.domain.click import SUBS
    from tracker.domain.link import find_link, spell_link

    settings = own_settings()
    _, target = find_link(known_catalog(settings), partner, offer)
    labels = (sub1, sub2, sub3, sub4, sub5, sub6, sub7, sub8, sub9, sub10)
    query = dict(zip(SUBS, labels, strict=True))
    if deeplink:
        query |= _deep(settings, partner, target, deeplink)
    url = spell_link(settings.base_url, partner, offer, query)
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


def _deep(
    settings: "Settings", partner: str, offer: "Offer", url: str
) -> dict[str, str]:
    from tracker.domain.deeplink import Seal
    from tracker.domain.errors import RefusedChangeError
    from tracker.domain.link import deep_parameters

    try:
        return deep_parameters(Seal(settings.signing_keys), partner, offer, url)
    except RefusedChangeError as error:
        raise typer.BadParameter(str(error)) from None
