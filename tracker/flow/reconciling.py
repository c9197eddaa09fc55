"""A network's own statement is compared with what we have."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from tracker.domain.advertiser import IGNORED, Advertiser
from tracker.domain.catalog import Catalog
from tracker.domain.columns import AT, Asked, Columns, find_columns
from tracker.domain.errors import SheetError
from tracker.domain.finding import (
    DISAGREEING,
    NEVER_CAME,
    doubt_click,
    explain_missing,
)
from tracker.domain.judgement import Rules
from tracker.domain.lines import Line, LineReader, Notation
from tracker.sheet import Sheet
from tracker.store.statements import Comparison, Found, Scope, Total

Told = Callable[[int, int], None]
"""Told of progress: bytes of the file, and rows."""

TOLD_EVERY = 5000


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What an operator asks for.

    Times are in the zone of the notation, which is the catalog's where it names none.
    Without `since` or `until` it is the days that the statement speaks of.
    """

    advertiser: str
    notation: Notation
    columns: Asked
    since: str | None = None
    until: str | None = None
    tolerance: Decimal = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was compared, as it was understood, and what came of it."""

    advertiser: str
    since: datetime
    until: datetime
    lines: int
    columns: Mapping[str, str]
    totals: tuple[Total, ...]

    @property
    def agrees(self) -> bool:
        """Whether nobody has to look at anything."""
        return not any(one.kind in DISAGREEING for one in self.totals)


async def reconcile(
    comparison: Comparison, sheet: Sheet, wanted: Wanted, catalog: Catalog, told: Told
) -> Reconciled:
    """
    Compares a statement with the conversions of its advertiser and time.

    Nothing is changed. Raises SheetError for a file that cannot be understood, and
    NotFoundError for an advertiser that is not there.
    """
    advertiser = catalog.advertiser(wanted.advertiser)
    vocabulary = catalog.vocabulary(advertiser.key)
    columns = find_columns(sheet.header, vocabulary, wanted.columns)
    _refuse_timeless(wanted, columns)
    notation = local(wanted.notation, catalog)
    since, until = (_bound(one, notation) for one in (wanted.since, wanted.until))
    reader = LineReader(catalog, advertiser, columns, notation)
    lines = _Lines(sheet, reader, told)
    taken = await comparison.take(lines, notation.zone)
    since, until = await _whole_days(comparison, since, until, ZoneInfo(notation.zone))
    totals = await comparison.compare(
        _scope(wanted, advertiser, catalog, since=since, until=until)
    )
    if lines.ignored:
        totals.append(Total("ignored", None, lines.ignored, None, None))
    return Reconciled(
        advertiser.key,
        since,
        until,
        taken + lines.ignored,
        columns.found,
        _merged(totals),
    )


async def list_found(
    comparison: Comparison, advertiser: str, rules: Rules
) -> AsyncIterator[tuple[Found, str]]:
    """What does not agree, each with the reason as far as we know it."""
    async for found in comparison.list_found():
        yield found, _reason(found, advertiser, rules)


class _Lines:
    """The lines that count; what the advertiser ignores is counted and left out."""

    def __init__(self, sheet: Sheet, reader: LineReader, told: Told) -> None:
        self._sheet = sheet
        self._reader = reader
        self._told = told
        self.ignored = 0

    def __iter__(self) -> Iterator[Line]:
        read = self._reader.read
        number = 0
        for number, row in enumerate(self._sheet, 1):
            if number % TOLD_EVERY == 0:
                self._told(self._sheet.position, number)
            line = read(row.line, row.cells, row.fault)
            if line.status == IGNORED:
                self.ignored += 1
            else:
                yield line
        self._told(self._sheet.position, number)


def _merged(totals: Iterable[Total]) -> tuple[Total, ...]:
    """One of each kind and currency."""
    merged: dict[tuple[str, str | None], Total] = {}
    for one in totals:
        before = merged.get((one.kind, one.currency))
        merged[one.kind, one.currency] = before + one if before else one
    return tuple(merged.values())


def _refuse_timeless(wanted: Wanted, columns: Columns) -> None:
    if wanted.since is None and AT not in columns.found:
        raise SheetError(
            "of which time is it? Say --from and --to, or which column has the time,"
            f" with --columns {AT}=…"
        )


def local(notation: Notation, catalog: Catalog) -> Notation:
    """With the catalog's time zone where none is named; SheetError for one unknown."""
    if not notation.zone:
        return notation.but(zone=catalog.timezone)
    try:
        ZoneInfo(notation.zone)
    except (KeyError, ValueError, OSError):
        raise SheetError(f"{notation.zone!r} is no time zone") from None
    return notation


def _bound(text: str | None, notation: Notation) -> datetime | None:
    try:
        return notation.but(dates=None).read_time(text) if text else None
    except ValueError:
        raise SheetError(f"{text!r} is no day: write 2026-11-01") from None


async def _whole_days(
    comparison: Comparison,
    since: datetime | None,
    until: datetime | None,
    zone: ZoneInfo,
) -> tuple[datetime, datetime]:
    """What was asked for, else the statement's own days."""
    first, last = await comparison.get_times()
    now = datetime.now(UTC)
    since = since or _midnight(first or now, zone)
    return since, until or (_midnight(last, zone, days=1) if last else now)


def _midnight(moment: datetime, zone: ZoneInfo, *, days: int = 0) -> datetime:
    day = moment.astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _scope(
    wanted: Wanted,
    advertiser: Advertiser,
    catalog: Catalog,
    *,
    since: datetime,
    until: datetime,
) -> Scope:
    offers = [
        one for one in catalog.offers.values() if one.advertiser == advertiser.key
    ]
    currencies = {one.currency for one in offers}
    return Scope(
        advertiser=advertiser.key,
        goals=sorted({goal for offer in offers for goal in offer.goals}),
        defaults=sorted({one.default_goal for one in offers if one.default_goal}),
        since=since,
        until=until,
        first_day=since.date() - timedelta(days=1),
        tolerance=wanted.tolerance,
        currency=currencies.pop() if len(currencies) == 1 else None,
    )


def _reason(found: Found, advertiser: str, rules: Rules) -> str:
    if found.kind != "missing_here":
        return found.fault
    reason = explain_missing(found.outcome, found.reason, found.answered_with)
    if reason != NEVER_CAME or not found.click_id:
        return reason
    doubt = doubt_click(found.click_id, advertiser, rules.mint, rules.catalog)
    return f"{reason}: {doubt}" if doubt else reason
