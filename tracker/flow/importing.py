"""An advertiser's conversions come in a file, and are judged like its postbacks."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from psycopg import Rollback

from tracker.domain.columns import Asked, Columns, find_columns
from tracker.domain.conversion import Ledger
from tracker.domain.filed import FiledRow, RowReader
from tracker.domain.identity import ConversionId, PostbackId
from tracker.domain.lines import Notation
from tracker.domain.outcome import Outcome, Verdict
from tracker.flow.occurrences import Occurrences
from tracker.flow.postback import (
    POSTBACK_BOUNDS,
    Hearing,
    accept_postbacks,
    catch_up,
    conclude,
    forgotten,
    hear,
    repeated,
    use_of_row,
)
from tracker.flow.reconciling import Told, local
from tracker.runtime import Runtime
from tracker.sheet import Row, Sheet

AT_ONCE = 256
UNREAD = "unread"
"""What is answered of a row that cannot be a postback; all others have a verdict."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator asks for; `name` is what the file is called in the record."""

    advertiser: str
    operator: str
    name: str
    notation: Notation
    columns: Asked
    is_rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What became of a row.

    `reason` is one of a postback's; of a row that cannot be read, a sentence. A
    rehearsal names only conversions that there are.
    """

    line: int
    verdict: str
    reason: str = ""
    conversion_id: ConversionId | None = None
    postback_id: PostbackId | None = None


@dataclass(slots=True)
class Imported:
    """How many rows had which verdict, and by which columns they were read."""

    columns: Mapping[str, str]
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def is_clean(self) -> bool:
        """Whether nobody has to look at anything."""
        return not any(verdict in _OPEN for verdict, _ in self.counts)


_OPEN = {UNREAD, Verdict.QUARANTINED}


class Import:
    """One file on its way in."""

    def __init__(self, runtime: Runtime, sheet: Sheet, wanted: Wanted) -> None:
        """Raises SheetError and NotFoundError like `reconcile`."""
        catalog = runtime.catalog
        advertiser = catalog.advertiser(wanted.advertiser)
        vocabulary = catalog.vocabulary(advertiser.key)
        columns = find_columns(sheet.header, vocabulary, wanted.columns)
        self._runtime = runtime
        self._sheet = sheet
        self._decide = (
            _Rehearsal(runtime).decide if wanted.is_rehearsal else self._accept
        )
        self._reader = _reader(runtime, wanted, columns)
        self.imported = Imported(columns.found)

    async def answers(self, told: Told) -> AsyncIterator[Answer]:
        """
        What became of each row, in order, once that is committed.

        A row that came before, in this run or another one, is known by what it says and
        by how many times the file has said it until there: so a file that was broken
        off is imported again, and goes on where it stopped. Raises
        StoreUnavailableError while Postgres is away.
        """
        with Occurrences() as occurrences:
            rows = iter(self._sheet)
            while batch := list(islice(rows, AT_ONCE)):
                await catch_up(self._runtime)
                filed = [self._filed(row, occurrences) for row in batch]
                for answer in await self._answer(filed):
                    self.imported.counts[answer.verdict, answer.reason] += 1
                    yield answer
                told(self._sheet.position, self.imported.counts.total())

    def _filed(self, row: Row, occurrences: Occurrences) -> FiledRow:
        if row.fault:
            return FiledRow(row.line, fault=row.fault)
        occurrence = occurrences.count(row.cells)
        return self._reader.read(row.line, row.cells, occurrence, datetime.now(UTC))

    async def _answer(self, filed: Sequence[FiledRow]) -> list[Answer]:
        known = await self._known(filed)
        fresh = [one for one in filed if one.postback and one.line not in known]
        rules = self._runtime.rules()
        hearings = [hear(one.postback, rules) for one in fresh if one.postback]
        outcomes = await self._decide(hearings)
        decided = {
            one.line: outcome for one, outcome in zip(fresh, outcomes, strict=True)
        }
        return [_answer(one, known | decided) for one in filed]

    async def _known(self, filed: Sequence[FiledRow]) -> dict[int, Outcome]:
        """What became of the rows that came before."""
        rows = [(one, one.postback) for one in filed if one.postback]
        uses = {use: row for row in rows if (use := use_of_row(row[1]))}
        async with self._runtime.conversions.transaction() as opened:
            used = await opened.list_uses([*uses])
            firsts = await opened.list_outcomes({use.postback_id for use in used})
        by_key = {use.key: use.postback_id for use in used}
        return {
            one.line: repeated(postback, firsts.get(first) or forgotten(first))
            for use, (one, postback) in uses.items()
            if (first := by_key.get(use.key))
        }

    async def _accept(self, hearings: Sequence[Hearing]) -> list[Outcome]:
        together = self._runtime.together
        return await asyncio.gather(
            *(together(accept_postbacks, one, POSTBACK_BOUNDS) for one in hearings)
        )


class _Rehearsal:
    """
    Decides as in earnest, and rolls back.

    What the rows before would have made is remembered, about 2 KB of each.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ledger = Ledger({}, [])

    async def decide(self, hearings: Sequence[Hearing]) -> list[Outcome]:
        """The outcome of each, in order; none of their conversions will be there."""
        proposals = [one.proposal for one in hearings if one.proposal]
        async with self._runtime.conversions.transaction() as opened:
            found = await opened.lock(proposals, self._runtime.catalog)
            self._ledger.take_in(found)
            raise Rollback
        judged = conclude(hearings, self._ledger, self._runtime.rules(), {})
        made = {one.id for one in self._ledger.created}
        return [_without(one.outcome, made) for one in judged]


def _reader(runtime: Runtime, wanted: Wanted, columns: Columns) -> RowReader:
    return RowReader(
        catalog=runtime.catalog,
        advertiser=runtime.catalog.advertiser(wanted.advertiser),
        hasher=runtime.hasher,
        columns=columns,
        notation=local(wanted.notation, runtime.catalog),
        operator=wanted.operator,
        name=wanted.name,
    )


def _without(outcome: Outcome, made: set[ConversionId]) -> Outcome:
    return outcome.but(conversion_id=None) if outcome.conversion_id in made else outcome


def _answer(filed: FiledRow, outcomes: Mapping[int, Outcome]) -> Answer:
    if filed.postback is None:
        return Answer(filed.line, UNREAD, filed.fault)
    outcome = outcomes[filed.line]
    return Answer(
        filed.line,
        outcome.verdict,
        outcome.reason,
        outcome.conversion_id,
        outcome.postback_id,
    )
