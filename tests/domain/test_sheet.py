"""Tables as networks send them: packed, encoded and cut in every way."""

import codecs
import gzip
import tracemalloc

import pytest

from tracker.domain.errors import SheetError
from tracker.flow.occurrences import Occurrences
from tracker.sheet import open_sheet, safe

TEXT = "click_id;total\r\nabc;12,50\r\n"
ROWS = [["abc", "12,50"]]


@pytest.fixture
def read(tmp_path):
    """The rows of a file with these bytes, as cells or as the fault."""

    def read(data):
        file = tmp_path / "file"
        file.write_bytes(data)
        with open_sheet(str(file)) as sheet:
            return [row.fault or row.cells for row in sheet]

    return read


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        gzip.compress(TEXT.encode()),
        TEXT.replace(";", "\t").encode(),
        TEXT.replace(";", "|").encode(),
        TEXT.replace("\r\n", "\r").encode(),
        b"sep=;\r\n" + TEXT.encode(),
        b"\n\n" + TEXT.encode() + b"\n;;\n",
        TEXT.replace("12,50", "12,50;;").encode(),
    ],
)
def test_however_it_is_written_the_same_rows_come_out(read, data):
    assert read(data) == ROWS


def test_an_umlaut_of_windows_is_one(read):
    assert read("name,city\na,Köln\n".encode("cp1252")) == [["a", "Köln"]]


def test_a_quoted_line_break_is_part_of_its_cell(read):
    assert read(b'a,b\n"one\ntwo","x,""y"""\n3,4\n') == [
        ["one\ntwo", 'x,"y"'], ["3", "4"]
    ]  # fmt: skip


def test_what_is_no_row_is_answered_and_the_next_one_read(read):
    broken = b'a,b\n1\n"' + b"x" * 200_000 + b"\n2,3\n"

    short, endless, *_ = read(broken)

    assert short == "1 cells, where the header has 2"
    assert "field larger than field limit" in endless


@pytest.mark.parametrize("fill", ["", "x" * 200_000])
def test_an_open_quote_takes_nothing_else_in(tmp_path, fill):
    file = tmp_path / "file.csv"
    file.write_text(f'a,b\n"1\n1",2\n"3,4\n5,6\n7,8\n{fill}')

    with open_sheet(str(file)) as sheet:
        rows = {row.line: row.fault or row.cells for row in sheet}

    last = 7 if fill else 6
    assert f"a quote is open from line 4 to line {last}" in rows[4]
    assert (rows[3], rows[5], rows[6]) == (["1\n1", "2"], ["5", "6"], ["7", "8"])


def test_a_quote_that_takes_in_lines_is_named_by_them(read):
    said = read(b'a,b\n"1,2\n3,"4"\n5,6\n')

    assert said == ["1 cells, where the header has 2, in lines 2 to 3", ["5", "6"]]


def test_lines_are_counted_as_an_editor_does(tmp_path):
    file = tmp_path / "file.csv"
    file.write_text('sep=,\na,b\n"1\n1",2\n3,4\n')

    with open_sheet(str(file)) as sheet:
        assert [row.line for row in sheet] == [4, 5]


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", gzip.compress(b"a,b\n1,2\n")[:-9], b"\x1f\x8bnonsense"]
)
def test_a_file_that_is_no_table_is_refused(read, data):
    with pytest.raises(SheetError):
        read(data)


@pytest.mark.parametrize("sign", "=+-@\t\r")
def test_no_cell_becomes_a_formula(sign):
    assert safe(f"{sign}cmd|' /C calc'!A0") == f"'{sign}cmd|' /C calc'!A0"


def test_a_row_is_counted_by_what_it_says():
    with Occurrences() as seen:
        rows = (["a", "b"], ["ab", ""], ["a", "b"])
        assert [seen.count(row) for row in rows] == [1, 1, 2]


def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path):
    file = tmp_path / "long.csv"
    row = f"{'x' * 32},order-1,sale,50.00\n"
    file.write_text("click_id,order,goal,amount\n" + row * 20_000)

    tracemalloc.start()
    with open_sheet(str(file)) as sheet, Occurrences() as seen:
        rows = sum(1 for one in sheet if seen.count(one.cells))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert rows == 20_000
    assert peak < 1_000_000
