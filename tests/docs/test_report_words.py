from pathlib import Path

import pytest

from tracker.domain.report import DIMENSIONS, MEASURES

README = Path(__file__).parents[2].joinpath("README.md").read_text("utf-8")
REPORTS = README.partition("\n### Reports\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("label", [one.label for one in MEASURES.values()])
def test_every_column_of_a_report_says_what_it_is(label):
    columns = [row.split(" | ")[0] for row in REPORTS.splitlines() if row[:2] == "| "]
    named = {name.strip("| ") for row in columns for name in row.split(",")}

    assert label in named


@pytest.mark.parametrize("label", [one.label for one in DIMENSIONS.values()])
def test_everything_that_rows_can_be_for_is_named(label):
    said = REPORTS.replace("Sub1 to Sub10", ", ".join(f"Sub{n}" for n in range(1, 11)))

    assert f"{label}," in said or f"{label} " in said
