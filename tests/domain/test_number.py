"""Whole numbers that somebody wrote."""

import pytest

from tracker.domain.number import read_number


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1_0", "²", "٣", "9" * 5000])
def test_what_is_no_plain_number_is_none(text):
    assert read_number(text, 100) is None


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("100", 100), ("101", None), ("007", 7)]
)
def test_a_number_has_its_bound(text, number):
    assert read_number(text, 100) == number
