"""What a row of a report says of the days before."""

from decimal import Decimal

import pytest

from tracker.domain.report import ReportRow


@pytest.mark.parametrize(
    ("value", "before", "more"),
    [
        (15, 10, "0.5"),
        (Decimal(-5), Decimal(-10), "0.5"),
        (Decimal(5), Decimal(-10), "1.5"),
        (0, 10, "-1"),
        (10, 0, None),
        (None, 10, None),
        (10, None, None),
    ],
)
def test_more_is_more_of_a_loss_too(value, before, more):
    row = ReportRow((), {"profit": value}, {"profit": before})

    assert row.change("profit") == (more and Decimal(more))
