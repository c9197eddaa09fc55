"""How what we know is written for people."""

import pytest

from tracker.domain.spelling import sentence


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("no delivery dl_1", "No delivery dl_1."),
        ("This name is taken.", "This name is taken."),
        ("did you mean 'acme'?", "Did you mean 'acme'?"),
        ("é", "É."),
    ],
)
def test_an_error_is_a_sentence_on_a_page(said, written):
    assert sentence(said) == written
