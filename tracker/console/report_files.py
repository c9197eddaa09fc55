"""`/report.csv` and `/report.json`: all rows of a report, few of them in memory."""

import csv
import io
from collections.abc import AsyncGenerator, Callable, Container
from contextlib import AbstractAsyncContextManager, ExitStack, aclosing
from datetime import UTC, datetime
from decimal import Decimal
from tempfile import SpooledTemporaryFile
from typing import IO, Any, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tracker.console.pages import HEADERS, person_of, runtime_of
from tracker.console.problems import problem
from tracker.domain.errors import TooLongError
from tracker.domain.report import ReportHead, ReportQuery, ReportRow
from tracker.domain.report_reading import Fault, ReadQuery, read_query
from tracker.sheet import safe
from tracker.store.analysis import Rows

Lines: TypeAlias = AsyncGenerator[str, None]
Source: TypeAlias = AbstractAsyncContextManager[tuple[ReportHead, Rows]]

AT_ONCE = 500
"""Rows that are written between two breaths."""

IN_MEMORY = 1_000_000
PIECE = 65_536
"""Bytes."""

_encode = msgspec.json.Encoder().encode


def read_report(request: Request, leave_out: Container[str] = ()) -> ReadQuery:
    """What the address asks for; a partner's is of that partner, whatever it says."""
    pairs = request.query_params.multi_items()
    return read_query(
        [(name, value) for name, value in pairs if name not in leave_out],
        runtime_of(request).catalog,
        now=datetime.now(UTC),
        partner=person_of(request).scope,
    )


async def show_csv(request: Request) -> Response:
    """One line for each row, none for the totals; money with its currency."""
    return await _streamed(request, write_csv, "text/csv; charset=utf-8", "csv")


async def show_json(request: Request) -> Response:
    """One document, the totals of all rows before these; decimals are texts."""
    return await _streamed(request, write_json, "application/json", "json")


async def write_csv(source: Source, query: ReportQuery) -> Lines:
    """Cells that would be formulas to a spreadsheet are made safe."""
    async with source as (_, rows):
        yield _line([*query.by, *_columns(query), "currency"])
        lines: list[str] = []
        async for row in rows:
            values = map(_plain, [*row.values.values(), *row.before.values()])
            lines.append(_line([*map(safe, row.keys), *values, row.currency]))
            if len(lines) == AT_ONCE:
                yield "".join(lines)
                lines.clear()
        yield "".join(lines)


async def write_json(source: Source, query: ReportQuery) -> Lines:
    """Written piece by piece: nobody holds all rows at once."""
    async with source as (head, rows):
        yield _beginning(head, query)
        pieces: list[str] = []
        begun = False
        async for row in rows:
            pieces.append(_encode(_row(row, query)).decode())
            if len(pieces) == AT_ONCE:
                yield ("," if begun else "") + ",".join(pieces)
                pieces.clear()
                begun = True
        yield ("," if begun and pieces else "") + ",".join(pieces) + "]}\n"


def _beginning(head: ReportHead, query: ReportQuery) -> str:
    said = {
        "from": query.days.first,
        "to": query.days.last,
        "zone": query.days.zone,
        "basis": query.basis,
        "by": query.by,
        "compared_with": _earlier(query),
        "currency": head.currency,
        "is_converted": head.is_converted,
        "without_rate": head.unrated or None,
        "clicks_from": head.clicks_from,
        "count": head.count,
        "totals": _values(head.totals),
    }
    return _encode(said).decode()[:-1] + ',"rows":['


def _earlier(query: ReportQuery) -> dict[str, Any] | None:
    days = query.earlier
    return {"from": days.first, "to": days.last} if days else None


def _row(row: ReportRow, query: ReportQuery) -> dict[str, Any]:
    keys = dict(zip(query.by, row.keys, strict=True))
    return {**keys, **_values(row), "currency": row.currency}


def _values(row: ReportRow) -> dict[str, Any]:
    before = {f"{name}_before": value for name, value in row.before.items()}
    return {**row.values, **before}


def _columns(query: ReportQuery) -> list[str]:
    earlier = [f"{name}_before" for name in query.columns if query.compare]
    return [*query.columns, *earlier]


def _plain(value: int | Decimal | None) -> str:
    """A loss begins with a minus, and is no formula of a stranger's."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "" if value is None else f"{value}"


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


class _Stream(StreamingResponse):
    """An answer whose source is closed also where its reader goes away."""

    def __init__(self, pieces: AsyncGenerator[bytes], **answer: Any) -> None:
        super().__init__(pieces, **answer)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._pieces):
            await super().__call__(scope, receive, send)


async def _streamed(
    request: Request,
    write: Callable[[Source, ReportQuery], Lines],
    media_type: str,
    ending: str,
) -> Response:
    """
    The file, or a refusal while there can still be one.

    It is made whole before the answer begins: however slowly somebody reads it, that
    keeps no connection to Postgres, and nobody gets half of it.
    """
    asked = read_report(request)
    if asked.faults:
        return problem(400, "; ".join(map(_said, asked.faults)))
    runtime, query = runtime_of(request), asked.query
    try:
        file = await _made(
            write(runtime.analysis.stream(query, runtime.catalog), query)
        )
    except TooLongError as error:
        return problem(503, f"{error}: ask for fewer days, or fewer dimensions")
    name = f"report-{query.days.first}-{query.days.last}.{ending}"
    how = "attachment" if ending == "csv" else "inline"
    headers = {**HEADERS, "Content-Disposition": f'{how}; filename="{name}"'}
    return _Stream(_read(file), media_type=media_type, headers=headers)


async def _made(lines: Lines) -> IO[bytes]:
    """All of it, on disk where it is large."""
    with ExitStack() as stack:
        file = stack.enter_context(SpooledTemporaryFile(max_size=IN_MEMORY))
        async with aclosing(lines):
            async for line in lines:
                file.write(line.encode())
        file.seek(0)
        stack.pop_all()
    return file


async def _read(file: IO[bytes]) -> AsyncGenerator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece


def _said(fault: Fault) -> str:
    return f"{fault.parameter}: {fault.sentence}"
