"""
A table in a file, as networks send it: unpacked, decoded, and cut into rows.

Plain or gzip; UTF-8, UTF-16 with its mark, or what Excel on Windows writes
(windows-1252); cells between commas, semicolons, tabs or bars. It is read as it comes:
nothing is kept but the row at hand.
"""

import codecs
import csv
import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

from tracker.domain.errors import SheetError
from tracker.domain.value import Value

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    Bytes = io.BufferedReader[Any] | gzip.GzipFile

STDIN = "-"
"""In place of a path."""

SAMPLE_BYTES = 1 << 16
"""As much of the beginning tells how the rest is encoded."""

LINE_CHARACTERS = 1 << 20
CELL_CHARACTERS = 1 << 17
"""What is longer is no table, and is not waited for."""

_DELIMITERS = ",;\t|"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_CENT = Decimal("0.01")
_GZIP = b"\x1f\x8b"
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_EXCEL = "sep="


class Row(Value, frozen=True, gc=False):
    """The cells of a line; `fault` says why there are none. Lines count from 1."""

    line: int
    cells: list[str]
    fault: str = ""


class Sheet:
    """
    The rows of a table, below those that are blank and the one that names columns.

    `size` are the bytes of the file, None where nobody knows, and `position` is how
    far it has been read.
    """

    def __init__(self, text: TextIO, size: int | None, tell: Callable[[], int]) -> None:
        self.size = size
        self._tell = tell
        self._skipped = 0
        first = self._first_line(text)
        self.delimiter = _delimiter(first)
        self._lines = _Lines(first, text)
        self._reader = csv.reader(self._lines, delimiter=self.delimiter)
        self.header = self._header()

    @property
    def position(self) -> int:
        """In bytes of the file, as it lies there."""
        return self._tell()

    def __iter__(self) -> Iterator[Row]:
        """Those that are not blank; one that cannot be read is a row with a fault."""
        width = len(self.header)
        for cells, fault in self._read():
            line = self._skipped + self._lines.number
            if not fault and len(cells) == width and any(cells):
                yield Row(line, cells)
            elif any(map(str.strip, cells)) or fault:
                yield self._repaired(line, cells, fault)

    def _read(self) -> Iterator[tuple[list[str], str]]:
        """
        The cells of each row, or what is wrong with it.

        A quote that nothing closes would take in all that follows: the lines behind
        its own are read again, as rows.
        """
        csv.field_size_limit(CELL_CHARACTERS)
        taken, reader = self._lines.taken, self._reader
        while True:
            taken.clear()
            try:
                cells = next(reader)
            except csv.Error as error:
                yield [], self._give_back(f"not a row: {error}")
            except (OSError, EOFError, zlib.error, UnicodeError) as error:
                raise SheetError(f"the file breaks off: {error}") from error
            except StopIteration:
                return
            else:
                if self._lines.has_ended:
                    yield [], self._give_back("not a row")
                else:
                    yield cells, ""

    def _give_back(self, fault: str) -> str:
        """Gives back a row's lines but its first; the fault names first and last."""
        last = self._skipped + self._lines.number
        first = last - len(self._lines.taken) + 1
        if first == last:
            return fault
        self._lines.give_back()
        return f"{fault}: a quote is open from line {first} to line {last}"

    def _repaired(self, line: int, cells: list[str], fault: str) -> Row:
        """Empty cells behind the last column are nobody's."""
        width, lines = len(self.header), len(self._lines.taken)
        if fault:
            return Row(line, cells, fault)
        if len(cells) >= width and not any(map(str.strip, cells[width:])):
            return Row(line, cells[:width])
        fault = f"{len(cells)} cells, where the header has {width}"
        if lines > 1:
            fault += f", in lines {line - lines + 1} to {line}"
        return Row(line, cells, fault)

    def _header(self) -> list[str]:
        for cells, fault in self._read():
            if fault:
                raise SheetError(f"the first row has to name the columns: {fault}")
            names = [cell.strip() for cell in cells]
            while names and not names[-1]:
                names.pop()
            if names:
                return names
        raise SheetError("the file is empty: its first row has to name the columns")

    def _first_line(self, text: TextIO) -> str:
        """Excel may say on a line of its own what stands between cells."""
        try:
            first = text.readline(LINE_CHARACTERS)
            while first and (not first.strip() or first.lower().startswith(_EXCEL)):
                self._skipped += 1
                first = text.readline(LINE_CHARACTERS)
        except (OSError, EOFError, zlib.error, UnicodeError) as error:
            raise SheetError(f"the file cannot be read: {error}") from error
        return first


@contextmanager
def open_sheet(path: str) -> Iterator[Sheet]:
    """
    The table in a file, or on standard input for `-`.

    Raises SheetError for one that cannot be opened, or has no row that names columns.
    """
    with _opened(path) as raw, _text(_unpacked(raw)) as text:
        size = None if path == STDIN else Path(path).stat().st_size
        yield Sheet(text, size, lambda: raw.bytes_read)


def _opened(path: str) -> "_Counted":
    """Standard input as bytes, which `sys.stdin` has decoded already."""
    try:
        if path == STDIN:
            return _Counted(0, closefd=False)
        return _Counted(path)
    except OSError as error:
        raise SheetError(f"{path}: {error.strerror}") from error


def safe(value: object) -> str:
    """
    A cell as it may be written for a spreadsheet.

    A text that a stranger sent must not become a formula when somebody opens the file
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}Z"
    if isinstance(value, Decimal):
        return plain(value) or ""
    text = str(value)
    is_formula = isinstance(value, str) and text.startswith(_FORMULAS)
    return f"'{text}" if is_formula else text


def plain(value: Decimal | None) -> str | None:
    """A sum with two decimals, or as many as it has."""
    if value is None:
        return None
    cents = value.quantize(_CENT)
    return f"{cents if cents == value else value.normalize():f}"


class SheetWriter:
    """A table that is written row by row; a cell is made safe on its way."""

    def __init__(self, file: TextIO, columns: Sequence[str]) -> None:
        self._writer = csv.writer(file)
        self._columns = columns
        self._writer.writerow(columns)

    def write(self, row: Mapping[str, object]) -> None:
        """One row, by the names of columns; what it lacks is empty."""
        self._writer.writerow([safe(row.get(name)) for name in self._columns])


@contextmanager
def write_sheet(path: str | None, columns: Sequence[str]) -> Iterator[SheetWriter]:
    """Into a file, or standard output for `-`; without a path it goes nowhere."""
    if path == STDIN:
        yield SheetWriter(sys.stdout, columns)
        return
    with _created(Path(path or os.devnull)) as file:
        yield SheetWriter(file, columns)


def _created(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise SheetError(f"{path}: {error.strerror}") from error


class _Counted(io.FileIO):
    """Bytes on their way, counted: standard input cannot tell how far it is."""

    bytes_read = 0

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        number = super().readinto(buffer)
        self.bytes_read += number or 0
        return number


def _unpacked(raw: io.FileIO) -> "Bytes":
    """Known by what it begins with, whatever it is called."""
    packed = io.BufferedReader(raw, SAMPLE_BYTES)
    if not _beginning(packed).startswith(_GZIP):
        return packed
    return gzip.GzipFile(fileobj=packed)


def _text(data: "Bytes") -> TextIO:
    return io.TextIOWrapper(data, _encoding(data), errors="replace", newline="")


def _encoding(data: "Bytes") -> str:
    try:
        sample = _beginning(data)
    except (OSError, EOFError, zlib.error) as error:
        raise SheetError(f"the file cannot be unpacked: {error}") from error
    for mark, name in _MARKS.items():
        if sample.startswith(mark):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _beginning(data: "Bytes") -> bytes:
    """A pipe may have little at first; what is there is enough to know a mark by."""
    return data.peek(SAMPLE_BYTES)


class _Lines:
    """
    The lines of a text, of which some may be given back and come again.

    `taken` are those since it was cleared, `number` counts all but those given back. A
    line without an end is cut: no file may fill the memory.
    """

    def __init__(self, first: str, text: TextIO) -> None:
        self.taken: list[str] = []
        self.number = 0
        self.has_ended = False
        self._given_back = [first]
        self._readline = partial(text.readline, LINE_CHARACTERS)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._given_back.pop() if self._given_back else self._readline()
        if not line:
            self.has_ended = True
            raise StopIteration
        self.number += 1
        self.taken.append(line)
        return line

    def give_back(self) -> None:
        """All that were taken, but the first."""
        self._given_back += self.taken[:0:-1]
        self.number -= len(self.taken) - 1
        self.has_ended = False


def _delimiter(header: str) -> str:
    """What stands most often between the names of columns."""
    unquoted = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=unquoted.count)
