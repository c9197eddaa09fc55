"""Around partners.yaml: check it, describe it, make a link of it."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tracker.domain.click import Visit
from tracker.flow.redirect import redirect_visitor

BASE = "http://127.0.0.1:8080"


@pytest.fixture
def without_stores(environ):
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEYS"):
        del environ[f"TRACKER_{name}"]
    return environ


def test_a_good_file_is_summed_up(tracker, without_stores):
    said = tracker("check")

    hint, good = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert hint.startswith("partners.yaml:14:3: hint: offers.hats: no partner may")
    assert good == "partners.yaml is good: 1 advertiser, 2 offers, 1 partner"


def test_of_many_hints_of_a_kind_a_few_are_printed(
    tracker, without_stores, catalog_file
):
    """A thousand partners may all lack the same."""
    idle = "".join(f"  idle{n}: {{offers: []}}\n" for n in range(25))
    catalog_file.write_text(catalog_file.read_text() + idle)

    said, machine = tracker("check"), tracker("check", "--json")

    assert said.out.count("may promote nothing") == 10
    assert "15 more like these (idle_partner); --json has them" in said.out
    kinds = [one["kind"] for one in machine.document["hints"]]
    assert (kinds.count("idle_partner"), kinds.count("idle_offer")) == (25, 1)


def test_every_fault_is_a_line(tracker, without_stores, catalog_file):
    good = catalog_file.read_text()
    bad = catalog_file.with_name("bad.yaml")
    bad.write_text(good.replace("acme:", "acmee:").replace("USD", "dollars"))

    said = tracker("check", str(bad))

    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("bad.yaml:2:11: currency: ")
    assert "bad.yaml:8:17: offers.shoes.advertiser: " in said.err


def test_faults_for_machines(tracker, without_stores, catalog_file):
    good = tracker("check", "--json").document
    catalog_file.write_text("version: 2")

    said = tracker("check", "--json")

    assert (good["is_good"], good["offers"]) == (True, 2)
    assert (said.code, said.document["is_good"]) == (1, False)
    assert said.document["hints"] == []
    assert said.document["faults"][0].keys() >= {"line", "column", "path", "message"}


def test_a_file_that_is_not_there_is_a_fault(tracker, without_stores):
    said = tracker("check", "nowhere.yaml")

    assert said.code == 1
    assert "nowhere.yaml:1:1: cannot be read" in said.err


def test_the_schema_is_json(tracker, without_stores):
    schema = tracker("schema").document

    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"advertisers", "offers", "partners"} <= schema["properties"].keys()


def test_a_link_that_the_file_lists(tracker, without_stores):
    said = tracker("link", "bestdeals", "shoes", "--sub1", "a b&c", "--sub10", "é")

    assert said.out == f"{BASE}/c/bestdeals/shoes?sub1=a%20b%26c&sub10=%C3%A9\n"


@pytest.mark.parametrize(
    ("partner", "offer", "hint"),
    [
        ("bestdeal", "shoes", "did you mean the partner 'bestdeals'?"),
        ("bestdeals", "shoe", "did you mean the offer of bestdeals 'shoes'?"),
        ("bestdeals", "boots", "no link bestdeals/boots; the offers of bestdeals are"),
        ("bestdeals", "hats", "may not promote hats; the offers of bestdeals are sh"),
    ],
)
def test_a_link_that_is_not_listed(tracker, without_stores, partner, offer, hint):
    said = tracker("link", partner, offer)

    assert (said.code, said.out) == (1, "")
    assert hint in said.err


async def test_the_catalog_in_force_decides(tracker, runtime, catalog_file):
    """A link of a file that nobody serves yet would lead nowhere."""
    served = catalog_file.read_text()
    catalog_file.write_text(served.replace("offers: [shoes]", "offers: all"))

    assert tracker("link", "bestdeals", "hats").code == 1
    assert tracker("link", "bestdeals", "shoes").code == 0


@pytest.mark.parametrize("host", ["shop.acme.example", "elsewhere.example"])
async def test_a_deep_link_leads_where_it_says(tracker, runtime, host):
    """Signed where its host is not on the offer's list."""
    page = f"https://{host}/sale?size=42"

    (url,) = tracker("link", "bestdeals", "shoes", "--deeplink", page).out.split()

    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    arrived = await redirect_visitor(runtime, Visit("bestdeals", "shoes", asked))
    assert arrived.startswith(f"{page}&cid=")
    assert ("deeplink_signature" in asked) == (host == "elsewhere.example")


async def test_a_deep_link_that_is_no_address(tracker, runtime):
    assert tracker("link", "bestdeals", "shoes", "--deeplink", "javascript:x").code == 2
