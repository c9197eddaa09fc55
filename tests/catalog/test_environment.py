"""Secrets come from the environment, and over it from a file."""

import pytest

from tracker.catalog import read_secrets
from tracker.domain.errors import CatalogError


def test_the_file_wins_over_the_environment(tmp_path):
    path = tmp_path / "secrets"
    path.write_text("# ours\n\nA=1\nexport B = 'two = 2' \nC=\"${A}\"\nD=\n")

    secrets = read_secrets({"A": "0", "Z": "9"}, path)

    assert secrets == {"A": "1", "B": "two = 2", "C": "${A}", "D": "", "Z": "9"}


def test_the_environment_is_enough():
    assert read_secrets({"A": "1"}) == {"A": "1"}


def test_a_bad_line_is_named_and_not_shown(tmp_path):
    path = tmp_path / "secrets"
    path.write_text("A=1\nhunter2-is-my-token\n")

    with pytest.raises(CatalogError) as caught:
        read_secrets({}, path)
    assert str(caught.value) == "secrets:2: write NAME=value"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "secrets"
    if content:
        path.write_bytes(content)

    with pytest.raises(CatalogError, match="secrets: cannot be read"):
        read_secrets({}, path)
