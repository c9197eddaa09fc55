"""Where visitors go and when, and what is reviewed, as the file says it."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tracker.catalog import compile_catalog, load_snapshot, take_snapshot
from tracker.domain.targeting import Destination, Rule

NUMBERS = {("partner", "best"): 1, ("offer", "shoes"): 7}
URL = "    url: https://shop.acme.example/?cid={click_id}\n"
SHOP = "https://shop.acme.example"


@pytest.fixture
def offer(check, changed, secrets):
    """The offer, with more lines to it."""

    def offer(lines, url=URL):
        checked = check(changed(URL, url + lines))
        catalog = compile_catalog(checked, secrets, version=1, numbers=NUMBERS)
        return catalog.offers["shoes"]

    return offer


def test_one_destination_needs_no_targeting(offer):
    assert offer("").targeting is None


def test_weighted_destinations_stand_in_place_of_the_url(offer):
    shoes = offer(
        "    destinations:\n"
        f"      - {{url: '{SHOP}/a?c={{click_id}}', weight: 70}}\n"
        f"      - {{url: '{SHOP}/b?c={{click_id}}'}}\n",
        url="",
    )
    first, second = f"{SHOP}/a?c={{click_id}}", f"{SHOP}/b?c={{click_id}}"

    assert shoes.url == first
    assert shoes.targeting.destinations == (
        Destination(first, 70),
        Destination(second, 1),
    )


RULES = """\
    targeting:
      - {countries: [us, NO], url: "https://a.example/?c={click_id}&k=${BASE}"}
      - devices: mobile
        languages: [DE, pt_BR]
        except: {countries: [CH, unknown]}
        to: fallback
"""


def test_rules_are_read_as_they_are_meant(offer):
    known, sent_away = offer(RULES).targeting.rules

    where = Destination("https://a.example/?c={click_id}&k=${BASE}")
    assert known == Rule({"countries": {"US", "NO"}}, destinations=(where,))
    assert sent_away == Rule(
        {"devices": {"mobile"}, "languages": {"de", "pt-br"}},
        {"countries": {"CH", "unknown"}},
    )


def test_the_rules_that_the_readme_shows_are_right(check, changed):
    readme = Path(__file__).parents[2].joinpath("README.md").read_text("utf-8")
    (shown,) = re.findall(r"(?ms)^```yaml\n(    targeting:.*?)^```", readme)

    assert check(changed(URL, URL + shown))


async def test_a_snapshot_carries_it_all_and_the_names_of_its_secrets(
    check, changed, secrets
):
    more = f"{URL}{RULES}    starts: 2026-12-01\n    dedup: 10m\n"
    checked = check(changed(URL, more))
    snapshot = take_snapshot(checked, version=1, numbers=NUMBERS)

    loaded = await load_snapshot(snapshot, secrets)
    assert loaded == compile_catalog(checked, secrets, version=1, numbers=NUMBERS)
    assert loaded.asks_for_countries
    assert loaded.secrets["BASE"] == secrets["BASE"]


def test_a_catalog_without_countries_asks_for_none(check, changed, secrets):
    only_devices = f"{URL}    targeting: [{{devices: bot, to: fallback}}]\n"
    checked = check(changed(URL, only_devices))

    catalog = compile_catalog(checked, secrets, version=1, numbers=NUMBERS)
    assert not catalog.asks_for_countries


def test_a_schedule_is_in_the_time_zone_of_the_offer(offer):
    shoes = offer(
        "    timezone: America/New_York\n"
        "    starts: 2026-12-01\n    ends: 2026-12-24T18:00\n"
    )
    assert shoes.schedule.starts == datetime(2026, 12, 1, 5, tzinfo=UTC)
    assert shoes.schedule.ends == datetime(2026, 12, 24, 23, tzinfo=UTC)


def test_a_day_is_the_last_one(offer):
    assert offer("    ends: 2026-12-24\n").schedule.ends == datetime(
        2026, 12, 25, tzinfo=UTC
    )


def test_a_goal_may_be_reviewed_and_has_its_time(check, changed, secrets):
    terms = "payout: 8%, revenue: 12%"
    text = changed(terms, f"{terms}, review: true, approve_after: 14d")
    catalog = compile_catalog(check(text), secrets, version=1, numbers=NUMBERS)

    assert catalog.offers["shoes"].goals["sale"].review
    assert catalog.patience == [("shoes", "sale", timedelta(days=14))]


def test_a_window_for_those_who_come_again(offer):
    assert offer("    dedup: 10m\n").dedup == timedelta(minutes=10)


PLACES = f"{{url: '{SHOP}/a?c={{click_id}}', weight: 0}}"


FAULTS = {
    "dedup: 0s": "dedup: must be more than zero, and at most 30d",
    "dedup: 31d": "dedup: must be more than zero, and at most 30d",
    "starts: 2026-02-30": "starts: there is no such day or time",
    "starts: tomorrow": (
        "starts: must be a time such as 2026-12-01T00:00, or a day; it is in the"
        " offer's time zone"
    ),
    "starts: 2026-12-02\n    ends: 2026-12-01": "ends before it starts",
    f"destinations: [{PLACES}]": "has a url or destinations, not both",
    "targeting: [{to: fallback}]": (
        "targeting[0]: say whom it is for: countries, devices, languages or except;"
        " whom no rule fits goes to the offer's url"
    ),
    "targeting: [{countries: US}]": (
        "targeting[0]: needs one of url, destinations or 'to: fallback'"
    ),
    "targeting: [{countries: UK, to: fallback}]": (
        "targeting[0].countries: there is no country 'UK'; did you mean 'GB'?"
    ),
    "targeting: [{countries: USA, to: fallback}]": (
        "targeting[0].countries: there is no country 'USA'; write two letters"
        " such as US"
    ),
    "targeting: [{devices: [phone], to: fallback}]": (
        "targeting[0].devices[0]: must be mobile, tablet, desktop, tv, bot or other"
    ),
    "targeting: [{languages: [german], to: fallback}]": (
        "targeting[0].languages[0]: must be a language such as de, or de-ch"
    ),
    f"targeting: [{{countries: US, url: '{SHOP}/'}}]": (
        "targeting[0].url: must contain {click_id},"
        " or no postback could ever name its click"
    ),
    f"targeting: [{{countries: US, destinations: [{PLACES}]}}]": (
        "targeting[0]: one weight at least must be more than 0"
    ),
    f"targeting: [{{countries: US, destinations: [{PLACES}, {PLACES}]}}]": (
        "targeting[0]: the same url stands twice: give it one weight"
    ),
}


@pytest.mark.parametrize(("line", "said"), FAULTS.items())
def test_what_cannot_be_meant_is_named(faults_of, changed, line, said):
    (fault,) = faults_of(changed(URL, f"{URL}    {line}\n"))

    assert fault.partition(": offers.shoes")[2].lstrip(".: ") == said


def test_an_offer_leads_somewhere(faults_of, changed):
    (fault,) = faults_of(changed(URL, ""))

    assert fault.endswith("offers.shoes: 'url' is missing: where visitors go")
