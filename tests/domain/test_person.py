"""Passwords that people may choose."""

import pytest

from tracker.domain.errors import RefusedChangeError
from tracker.domain.person import MIN_PASSWORD, read_password

GOOD = "annual rings of an oak"


@pytest.mark.parametrize("name", ["a", "an", "ann", "oak"])
def test_a_short_name_begins_many_a_good_password(name):
    assert read_password(GOOD, name) == GOOD


@pytest.mark.parametrize(
    "password", ["annual rings", "ANNUAL-2026!", "a" * MIN_PASSWORD, "x" * 5]
)
def test_what_is_guessed_first_is_refused(password):
    with pytest.raises(RefusedChangeError, match=r"guessed|characters"):
        read_password(password, "annual")
