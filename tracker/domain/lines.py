"""What a line of a network's own statement says, in our words."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from zoneinfo import ZoneInfo

from tracker.domain.advertiser import (
    OUR_WORDS,
    REFUNDED,
    Advertiser,
    meant_by,
)
from tracker.domain.catalog import Catalog
from tracker.domain.click_id import one_spelling
from tracker.domain.columns import Columns
from tracker.domain.dialect import Dialect
from tracker.domain.items import Item, total_of
from tracker.domain.money import Mark, Numerals, from_minor_unit
from tracker.domain.value import Value
from tracker.domain.vocabulary import Statement

_NAMELESS = "missing_click_id: it names neither a click nor a transaction"
_READ = (
    "click_id", "transaction_id", "goal", "status", "currency",
    "amount", "revenue", "at",
)  # fmt: skip
_NAMES = 5
_Said = tuple[str, ...]
"""What a line says, in the order of `_READ`; the last three are numbers of a kind."""
_Items = tuple[Item, ...]
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII
)
_UNIX = re.compile(r"\d{9,10}(\d{3})?", re.ASCII)
_SECONDS_DIGITS = 10
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(.*)", re.ASCII | re.DOTALL)


class Notation(Value, frozen=True):
    """
    How a file writes amounts and times.

    A `decimal` mark takes the place of all that its advertiser says of amounts: they
    are in units then. Without one they are written as it sends them. `zone` is
    where a time without an offset was; `dates` is how it is written where that cannot
    be told, in the codes of strftime.
    """

    decimal: Mark | None = None
    zone: str = "UTC"
    dates: str | None = None

    def read_time(self, text: str) -> datetime:
        """In UTC; raises ValueError for what is no time."""
        try:
            return _read_time(text, self.zone, self.dates)
        except (ValueError, OverflowError):
            raise ValueError(f"bad_time: {text[:40]!r}") from None

    def stamp(self, text: str) -> str:
        """
        A time as Postgres reads it, local unless it says otherwise.

        Raises ValueError for what is no time.
        """
        if self.dates or not _ISO.fullmatch(text):
            return self.read_time(text).isoformat()
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"bad_time: {text[:40]!r}") from None
        return text

    def numerals(self, advertiser: Advertiser) -> Numerals:
        """How sums are written: as the file does, else as the advertiser does."""
        return Numerals(self.decimal) if self.decimal else advertiser.numerals

    def rewrite(self, text: str) -> str:
        """A sum of the file without what is there for the eye; else as it came."""
        if self.decimal is None:
            return text
        try:
            amount = read_amount(text, Numerals(self.decimal))
        except ValueError:
            return text
        plain = f"{amount:f}"
        return plain.replace(".", ",") if self.decimal == "comma" else plain


class Line(Value, frozen=True, gc=False):
    """
    What one line of a statement says; None is not said.

    `status` is one of ours, or the word itself where nobody mapped it. `goal` is None
    too where the word is not known, which then is `other_goal`. `amount` and `revenue`
    of a refund are negative. `at` is in the time zone of the statement. `fault` says
    why the line cannot be read. `digest` is the same for lines that say the same.
    """

    number: int
    click_id: str | None = None
    transaction_id: str | None = None
    goal: str | None = None
    other_goal: str | None = None
    status: str | None = None
    amount: Decimal | None = None
    revenue: Decimal | None = None
    currency: str | None = None
    at: str | None = None
    fault: str = ""
    digest: int = 0


class LineReader:
    """
    Reads the lines of one file, in the words of the advertiser that it is of.

    A statement may have millions of lines: words that come again and again are looked
    up once.
    """

    def __init__(
        self,
        catalog: Catalog,
        advertiser: Advertiser,
        columns: Columns,
        notation: Notation,
    ) -> None:
        self._advertiser = advertiser
        self._notation = notation
        self._numerals = notation.numerals(advertiser)
        self._dialect = _beyond_names(catalog, advertiser)
        self._names = columns.names
        # What no column says is the blank behind the last one.
        places = dict(columns.places)
        self._pick = itemgetter(*(places.get(meaning, -1) for meaning in _READ))
        self._goals = _goals_of(catalog, advertiser)
        self._goal = lru_cache(maxsize=4096)(self._read_goal)
        self._sum = lru_cache(maxsize=65_536)(self._read_sum)
        self._status = lru_cache(maxsize=4096)(self._read_status)

    def read(self, number: int, cells: Sequence[str], fault: str = "") -> Line:
        """One line; what is wrong with it is said, and the rest of it read."""
        if fault:
            return Line(number, fault=fault)
        said: _Said = tuple(map(str.strip, self._pick((*cells, ""))))
        items: _Items = ()
        if self._dialect is not None:
            pairs = zip(self._names, cells, strict=True)
            said, items = _looked_into(said, self._dialect.read(pairs))
        try:
            return self._line(number, said, items)
        except ValueError as error:
            return self._line(number, (*said[:_NAMES], "", "", ""), (), str(error))

    def _line(self, number: int, said: _Said, items: _Items, fault: str = "") -> Line:
        click_id, transaction_id, goal_word, status_word, currency, *sums = said
        currency = self._advertiser.currencies.get(currency.lower(), currency)
        amount, revenue, at = sums
        if not click_id and not transaction_id:
            fault = fault or _NAMELESS
        goal, other_goal = self._goal(goal_word)
        status = self._status(status_word)
        line = Line(
            number,
            one_spelling(click_id) if click_id else None,
            transaction_id or None,
            goal,
            other_goal,
            status,
            self._sum(amount, currency) if amount else self._bought(items, currency),
            self._sum(revenue, currency) if revenue else None,
            currency.upper() if currency else None,
            self._notation.stamp(at) if at else None,
            fault,
            hash((said, items)),
        )
        return _taken_back(line) if status == REFUNDED else line

    def _read_sum(self, text: str, currency: str | None) -> Decimal:
        try:
            amount = read_amount(text, self._numerals)
        except ValueError:
            raise ValueError(f"bad_amount: {text[:40]!r}") from None
        return self._in_units(amount, currency)

    def _bought(self, items: _Items, currency: str | None) -> Decimal | None:
        """What they cost together; None for no items."""
        try:
            total = total_of(items, self._numerals)
        except ValueError as error:
            raise ValueError(f"bad_amount: {error}") from None
        return None if total is None else self._in_units(total, currency)

    def _in_units(self, amount: Decimal, currency: str | None) -> Decimal:
        if self._numerals.is_minor:
            return from_minor_unit(amount, (currency or "").upper())
        return amount

    def _read_goal(self, word: str | None) -> tuple[str | None, str | None]:
        """Ours, or the word itself as another one."""
        if not word:
            return None, None
        goal = meant_by(word, self._advertiser.goals, self._goals)
        return (goal, None) if goal in self._goals else (None, word)

    def _read_status(self, word: str | None) -> str | None:
        if not word:
            return None
        return meant_by(word.lower(), self._advertiser.statuses, OUR_WORDS)


def _taken_back(line: Line) -> Line:
    """What a refund is of, however the network writes it, is less than nothing."""
    amount, revenue = line.amount, line.revenue
    return line.but(
        amount=None if amount is None else -abs(amount),
        revenue=None if revenue is None else -abs(revenue),
    )


def _goals_of(catalog: Catalog, advertiser: Advertiser) -> frozenset[str]:
    offers = catalog.offers.values()
    own = [offer for offer in offers if offer.advertiser == advertiser.key]
    return frozenset(goal for offer in own for goal in offer.goals)


def _looked_into(said: _Said, statement: Statement) -> tuple[_Said, _Items]:
    """With what is found in the values, and what follows from them."""
    found: dict[str, str] = dict(statement.values.items())
    return tuple(map(found.get, _READ, said)), statement.items


def _beyond_names(catalog: Catalog, advertiser: Advertiser) -> Dialect | None:
    """Its dialect, where that finds in a value more than the value."""
    if advertiser.extract or advertiser.present or advertiser.items:
        return catalog.dialect(advertiser.key)
    return None


def read_amount(text: str, numerals: Numerals) -> Decimal:
    """
    A sum, also with what is there for the eye: `$1,234.50`, `(20.00)` for what is owed.

    Raises ValueError for what is no sum.
    """
    if not text.isascii() or not text[-1:].isdigit() or text.startswith("$"):
        text = "".join(c for c in text if unicodedata.category(c) != "Sc").strip()
    if text.startswith("(") and text.endswith(")"):
        text = f"-{text[1:-1].strip()}"
    return numerals.parse(text)


def _read_time(text: str, zone: str, dates: str | None) -> datetime:
    if dates:
        moment = datetime.strptime(text, dates)  # noqa: DTZ007 - its zone comes below
    elif text.isdigit() and _UNIX.fullmatch(text):
        seconds = int(text) / (1 if len(text) <= _SECONDS_DIGITS else 1000)
        return datetime.fromtimestamp(seconds, UTC)
    else:
        moment = datetime.fromisoformat(_as_iso(text))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(zone))
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _as_iso(text: str) -> str:
    """`31.12.2026 10:00` and `2026/12/31` can mean only one day."""
    if "." in text[:3] and (found := _DAY_FIRST.fullmatch(text)):
        day, month, year, rest = found.groups()
        return f"{year}-{month:>02}-{day:>02}{rest}"
    return text.replace("/", "-", 2) if text[4:5] == "/" else text


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)
