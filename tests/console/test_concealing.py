"""What somebody pasted or was answered is shown without the secrets in it."""

import pytest

from tracker.catalog import check_text, compile_catalog
from tracker.domain.answer import Answer
from tracker.domain.delivery import Delivered
from tracker.flow.concealing import conceal_headers, without_values
from tracker.flow.sending import MOST_SHOWN, SentCall

CATALOG = """\
version: 1
currency: USD
advertisers:
  acme:
    auth: {token: "${TOKEN}"}
    postback: {params: {token: "header:X-Pass"}}
"""


@pytest.fixture(scope="module")
def vocabulary():
    """Of an advertiser that shows its token in a header of its own."""
    secrets = {"TOKEN": "the-token-of-acme"}
    checked = check_text(CATALOG, "partners.yaml", secrets)
    catalog = compile_catalog(checked, secrets, version=1, numbers={})
    return catalog.vocabulary("acme")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("?note=a+b%2Fc&x=1", "?note=***&x=1"),
        ("?note=a%20b%2Fc", "?note=***"),
        ("it said: a b/c.", "it said: ***."),
    ],
)
def test_a_secret_is_masked_however_it_is_encoded(text, shown):
    assert without_values(text, {"a b/c"}) == shown


def test_of_two_secrets_the_longer_leaves_nothing_over():
    assert without_values("abcdef", {"abc", "abcdef"}) == "***"


def test_a_header_is_masked_by_the_advertiser_s_own_name_for_its_token(vocabulary):
    pasted = "X-Pass: hunter22\nX-Other: hunter22"

    assert conceal_headers(pasted, vocabulary) == "X-Pass: ***\nX-Other: hunter22"


def test_an_answer_is_cut_where_no_secret_is_cut_in_two():
    body = b"x" * (MOST_SHOWN - 11) + b" token=hunter22"
    sent = SentCall(None, Answer(200, body), Delivered())

    assert "hun" not in sent.said
    assert len(sent.said) <= MOST_SHOWN
