from collections.abc import Callable
from textwrap import dedent

import pytest

from tracker.catalog import CheckedCatalog, FaultyCatalogError, check_text

SECRETS = {
    "ACME_TOKEN": "the-token-of-acme-is-secret",
    "SIGNING": "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=",
    "BASE": "https://shop.acme.example",
    "EMPTY": "",
    "UNUSED": "an-unrelated-secret",
}

GOOD = """\
version: 1
currency: USD
advertisers:
  acme:
    auth: {token: "${ACME_TOKEN}"}
offers:
  shoes:
    advertiser: acme
    url: https://shop.acme.example/?cid={click_id}
    goals:
      sale: {payout: 8%, revenue: 12%}
partners:
  best:
    offers: [shoes]
    postbacks:
      - id: sales
        url: https://best.example/pb?cid={sub1}
"""


@pytest.fixture
def secrets() -> dict[str, str]:
    return dict(SECRETS)


@pytest.fixture
def check() -> Callable[[str], CheckedCatalog]:
    return lambda text: check_text(dedent(text), "partners.yaml", SECRETS)


@pytest.fixture
def faults_of() -> Callable[[str | bytes], list[str]]:
    """Each as `line:column: path: message`."""

    def faults(text: str | bytes) -> list[str]:
        raw = dedent(text) if isinstance(text, str) else text
        with pytest.raises(FaultyCatalogError) as caught:
            check_text(raw, "partners.yaml", SECRETS)
        lines = str(caught.value).splitlines()
        assert len(lines) == len(caught.value.faults)
        return [line.removeprefix("partners.yaml:") for line in lines]

    return faults


@pytest.fixture
def good() -> str:
    """A small catalog that is right; a test changes one thing."""
    return GOOD


@pytest.fixture
def changed(good) -> Callable[[str, str], str]:
    """The good catalog with one piece of text replaced."""

    def change(old: str, new: str) -> str:
        assert good.count(old) == 1, old
        return good.replace(old, new)

    return change
