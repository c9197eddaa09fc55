"""
A report's query as it stands in a URL, read with a clear word on what is wrong.

Whatever cannot be understood leaves its default, and is said: a filter that nobody
reads would show figures that are true of something else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from itertools import islice
from typing import Final, TypeVar, get_args
from zoneinfo import available_timezones

from tracker.domain.calendar import Bucket, Days, cut, day_of
from tracker.domain.catalog import Catalog
from tracker.domain.comparison import Compare
from tracker.domain.offer import Status
from tracker.domain.report import (
    DIMENSIONS,
    MOST_DAYS,
    MOST_DAYS_BY_HOUR,
    MOST_DIMENSIONS,
    Basis,
    ReportQuery,
    default_columns,
    default_sort,
    dimensions_for,
    measures_for,
)
from tracker.domain.traffic import COUNTED_TRAFFIC, DEVICES

PERIODS: Final = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "month": "This month",
    "last-month": "Last month",
}
"""Days that move with the calendar; those that go on include today."""

DEFAULT_PERIOD = "7d"

MOST_CHARACTERS = 1000
MOST_VALUES = 100
MOST_FAULTS = 10

_FIRST_YEAR, _LAST_YEAR = 2020, 2100
_DAY = timedelta(days=1)
_KNOWN = {
    "status": tuple(Status),
    "device": ("", *DEVICES),
    "traffic": ("", *COUNTED_TRAFFIC),
}
_CODES = {"country": (2, "two"), "currency": (3, "three")}
_OWN = (
    "from", "to", "period", "zone", "by", "basis", "compare", "sort", "columns", "hour",
)  # fmt: skip

Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a parameter, in a sentence for whoever wrote it."""

    parameter: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """A query, with defaults for what was wrong."""

    query: ReportQuery
    faults: tuple[Fault, ...]


def read_query(
    pairs: Iterable[tuple[str, str]],
    catalog: Catalog,
    *,
    now: datetime,
    partner: str | None,
) -> ReadQuery:
    """
    What the parameters of a URL ask for.

    `partner` is whose report it is, None for staff; a partner may ask for fewer
    dimensions and measures, and no word of the URL changes whose it is.
    """
    reading = _Reading(catalog, now, partner, _gathered(pairs))
    return ReadQuery(reading.query(), tuple(reading.faults))


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {}
    for name, value in pairs:
        said.setdefault(name, []).append(value)
    return said


@dataclass
class _Reading:
    """One reading, and the faults that it has found."""

    catalog: Catalog
    now: datetime
    partner: str | None
    said: Mapping[str, list[str]]
    faults: list[Fault] = field(default_factory=list)

    def query(self) -> ReportQuery:
        self._refuse_unknown()
        days, period = self._days(self._zone())
        by = self._by(days)
        columns = self._columns()
        return ReportQuery(
            days=days,
            period=period,
            by=by,
            columns=columns,
            sort=self._sort(by, columns),
            filters=self._filters(),
            basis=self._word("basis", get_args(Basis), "click"),
            compare=self._word("compare", get_args(Compare), ""),
            hour=self._hour(days),
            partner=self.partner,
        )

    def _refuse_unknown(self) -> None:
        known = (*_OWN, *self._filterable())
        for name in self.said:
            if name not in known:
                self._fault(
                    name, f"there is no such parameter{self._hint(name, known)}"
                )

    def _zone(self) -> str:
        asked = self._one("zone")
        if not asked or asked in list_zones():
            return asked or self.catalog.timezone
        hint = self._hint(asked, list_zones())
        self._fault("zone", f"{_cut(asked)!r} is no time zone{hint}")
        return self.catalog.timezone

    def _days(self, zone: str) -> tuple[Days, str]:
        """Days win over a period: a form sends both, and only these can be changed."""
        today = day_of(self.now, zone)
        period = self._one("period")
        default = _period(DEFAULT_PERIOD, today, zone)
        said = bool(self._one("from") or self._one("to"))
        if period and period not in PERIODS:
            hint = self._hint(period, PERIODS)
            self._fault("period", f"{_cut(period)!r} is no period{hint}")
            return default, DEFAULT_PERIOD
        if not said:
            period = period or DEFAULT_PERIOD
            return _period(period, today, zone), period
        days = self._between(today, zone) or default
        return days, period if period and days == _period(period, today, zone) else ""

    def _between(self, today: date, zone: str) -> Days | None:
        """One day alone where only one end is given: it goes on until today."""
        first, last = self._day("from"), self._day("to")
        before = len(self.faults)
        first = first or min(last or today, today)
        last = last or max(first, today)
        if last < first:
            self._fault("to", f"{last} is before {first}, where the report begins")
        elif (last - first).days >= MOST_DAYS:
            self._fault("to", f"a report has at most {MOST_DAYS} days")
        return Days(first, last, zone) if len(self.faults) == before else None

    def _day(self, name: str) -> date | None:
        text = self._one(name)
        if not text:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            self._fault(name, f"{_cut(text)!r} is no day; write 2026-11-30")
            return None
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            self._fault(name, f"{day} is not a day of ours")
            return None
        return day

    def _by(self, days: Days) -> tuple[str, ...]:
        if "by" not in self.said:
            return ("day",)
        asked = self._known("by", dimensions_for(self.partner), "dimension")
        if len(asked) > MOST_DIMENSIONS:
            self._fault("by", f"at most {MOST_DIMENSIONS} dimensions at a time")
        if "hour" in asked and len(days) > MOST_DAYS_BY_HOUR:
            sentence = f"by hour a report has at most {MOST_DAYS_BY_HOUR} days"
            self._fault("by", sentence)
            asked = tuple(name for name in asked if name != "hour")
        return asked[:MOST_DIMENSIONS]

    def _columns(self) -> tuple[str, ...]:
        asked = self._known("columns", measures_for(self.partner), "column")
        return asked or default_columns(self.partner)

    def _known(
        self, parameter: str, known: Sequence[str], what: str
    ) -> tuple[str, ...]:
        """Words between commas or in several parameters, each once."""
        said = ",".join(self.said.get(parameter, ())).split(",")
        words = list(dict.fromkeys(word.strip() for word in said if word.strip()))
        for word in words:
            if word not in known:
                hint = self._hint(word, known)
                self._fault(parameter, f"there is no {what} {_cut(word)!r}{hint}")
        return tuple(word for word in words if word in known)

    def _sort(self, by: Sequence[str], columns: Sequence[str]) -> str:
        """By a dimension that the report has not any more it is sorted as usual."""
        asked = self._one("sort")
        known = (*by, *measures_for(self.partner))
        name = asked.removeprefix("-")
        if name in known:
            return asked
        if not asked or name in dimensions_for(self.partner):
            return default_sort(by, columns)
        hint = self._hint(name, known)
        self._fault("sort", f"the report has no {_cut(asked)!r} to sort by{hint}")
        return default_sort(by, columns)

    def _filterable(self) -> tuple[str, ...]:
        names = dimensions_for(self.partner)
        return tuple(name for name in names if not DIMENSIONS[name].is_time)

    def _filters(self) -> dict[str, tuple[str, ...]]:
        asked = {name: self._values(name) for name in self._filterable()}
        return {name: values for name, values in asked.items() if values}

    def _values(self, name: str) -> tuple[str, ...]:
        """Every value once, in the spelling of its kind; those that cannot be, not."""
        values = dict.fromkeys(self.said.get(name, ()))
        if len(values) > MOST_VALUES:
            self._fault(name, f"at most {MOST_VALUES} values")
            return ()
        spelled = [self._spelled(name, value) for value in values]
        return tuple(value for value in spelled if value is not None)

    def _text(self, name: str, value: str) -> str | None:
        if len(value) <= MOST_CHARACTERS and _is_storable(value):
            return value
        self._fault(name, f"{_cut(value)!r} cannot be the value of a click")
        return None

    def _spelled(self, name: str, value: str) -> str | None:
        """A value as it is stored; None, and a fault, for one that cannot be."""
        if name in _CODES:
            return self._code(name, value)
        known = {
            "partner": self.catalog.partners,
            "offer": self.catalog.offers,
            "advertiser": self.catalog.advertisers,
            **_KNOWN,
        }.get(name)
        # Which offers there are is nothing that a partner may find out.
        if known is None or (name == "offer" and self.partner is not None):
            return self._text(name, value)
        return self._of(name, value, list(known))

    def _code(self, name: str, value: str) -> str | None:
        length, what = _CODES[name]
        is_code = len(value) == length and value.isascii() and value.isalpha()
        if not is_code and (value or name == "currency"):
            self._fault(name, f"{_cut(value)!r} is no {name}; write {what} letters")
            return None
        return value.upper()

    def _of(self, name: str, value: str, known: Sequence[str]) -> str | None:
        if value in known:
            return value
        said = f"{_cut(value)!r}" if value else "that is empty"
        self._fault(name, f"there is no {name} {said}{self._hint(value, known)}")
        return None

    def _hour(self, days: Days) -> Bucket | None:
        text = self._one("hour")
        if not text:
            return None
        hours = cut(days, "hour") if len(days) <= MOST_DAYS_BY_HOUR else ()
        for one in hours:
            if one.label == text:
                return one
        self._fault("hour", f"{_cut(text)!r} is no hour of these days")
        return None

    def _word(self, name: str, known: Sequence[Word], default: Word) -> Word:
        asked = self._one(name)
        for word in known:
            if word == asked:
                return word
        if asked:
            hint = self._hint(asked, known)
            self._fault(name, f"{_cut(asked)!r} is none of {_listed(known)}{hint}")
        return default

    def _one(self, name: str) -> str:
        """A form may leave it empty, and say nothing by that."""
        values = [value for value in self.said.get(name, ()) if value]
        if len(set(values)) > 1:
            self._fault(name, "is given more than once")
        return values[0].strip() if values else ""

    def _fault(self, parameter: str, sentence: str) -> None:
        """As many as somebody may mend at a time."""
        fault = Fault(_cut(parameter), sentence)
        if fault not in self.faults and len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)

    def _hint(self, word: str, known: Iterable[str]) -> str:
        """Looked for only while there are few faults: each takes a while."""
        return _near(word, known) if len(self.faults) < MOST_FAULTS else ""


def _period(name: str, today: date, zone: str) -> Days:
    month = today.replace(day=1)
    first, last = {
        "today": (today, today),
        "yesterday": (today - _DAY, today - _DAY),
        "7d": (today - 6 * _DAY, today),
        "30d": (today - 29 * _DAY, today),
        "month": (month, today),
        "last-month": ((month - _DAY).replace(day=1), month - _DAY),
    }[name]
    return Days(first, last, zone)


def _near(word: str, known: Iterable[str]) -> str:
    """Which word was likely meant, if one is close; among many it is not looked for."""
    folded = {one.casefold(): one for one in islice(known, _MOST_COMPARED)}
    close = get_close_matches(_cut(word).casefold(), folded, n=1)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(filter(None, words))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _is_storable(value: str) -> bool:
    """Postgres holds neither a NUL nor half a surrogate pair."""
    return not any(one == "\0" or "\ud800" <= one <= "\udfff" for one in value)


@cache
def list_zones() -> tuple[str, ...]:
    """Every time zone that a report can be in."""
    return tuple(sorted(available_timezones() - {"localtime", "Factory"}))


_MOST_SHOWN = 60
_MOST_COMPARED = 1000
