"""Templates that networks and trackers publish are spoken, in YAML alone."""

import re
from decimal import Decimal

import pytest
from listed import DIRECTIONS, FOLDER, Inbound, Outbound, list_cases

from tracker.catalog.presets import get_preset, list_presets

INBOUND, OUTBOUND = map(list_cases, DIRECTIONS)
ALL = [*INBOUND, *OUTBOUND]
JUDGED = [case for case in OUTBOUND if "answers" in case.said]

OURS = {"User-Agent", "X-Tracker-Delivery"}
"""What every call of ours says, whoever is called."""


def named(case):
    return f"{case.direction}/{case.key}"


def spelled(sum_or_text):
    is_sum = isinstance(sum_or_text, Decimal)
    return f"{sum_or_text:.2f}" if is_sum else sum_or_text


@pytest.mark.parametrize("case", INBOUND, ids=named)
def test_a_published_call_is_understood(case):
    sender = Inbound(case)

    for said in case.said["calls"]:
        outcome, conversion, answer = sender.call(said)
        found = {"verdict": str(outcome.verdict), "reason": str(outcome.reason)}
        if conversion is not None:
            assert conversion.click_id == sender.click_id
            money = ("amount", "revenue", "payout", "currency")
            found |= {one: str(getattr(conversion, one)) for one in ("goal", "status")}
            found |= {one: spelled(getattr(conversion.money, one)) for one in money}
            found["transaction_id"] = conversion.transaction_id
        then = {"verdict": "accepted", "reason": ""} | said["then"]
        assert {name: found.get(name) for name in then} == then
        assert answer == said.get("answer", answer)


@pytest.mark.parametrize("case", OUTBOUND, ids=named)
def test_a_published_call_is_made_byte_for_byte(case):
    told, wanted = Outbound(case), case.said["request"]

    request = told.request()

    assert request.url == wanted["url"]
    assert request.method == wanted.get("method", "GET")
    headers = {k: v for k, v in request.headers.items() if k not in OURS}
    assert headers == wanted.get("headers", {})
    assert request.body.decode() == told.expected_body(wanted.get("body", ""))


@pytest.mark.parametrize("case", JUDGED, ids=named)
def test_what_is_answered_is_judged_as_it_is_published(case):
    told = Outbound(case)

    for answer in case.said["answers"]:
        found = told.judged(answer["status"], answer["body"])
        assert (answer["body"], found) == (answer["body"], answer["is"])


def test_at_least_sixty_templates_of_different_makers_are_listed():
    makers = {case.key for case in ALL}

    assert len(makers) >= 60
    assert all(len(cases) >= 30 for cases in (INBOUND, OUTBOUND))


@pytest.mark.parametrize("case", ALL, ids=named)
def test_every_template_says_where_it_was_published_and_what_that_says(case):
    assert case.said["source"].startswith("http")
    assert all(case.said[key] for key in ("name", "says", "template"))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_side_of_every_preset_is_tried(direction):
    side = {"inbound": "advertiser", "outbound": "partner"}[direction]
    tried = {name for case in list_cases(direction) for name in case.presets()}

    assert {key for key in list_presets() if get_preset(key).side(side)} == tried


def test_the_index_lists_every_template_and_no_other():
    index = (FOLDER / "README.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| `(\S+)` \| (.*?) \| (\S+) \| <(\S+)> \|$", index)

    assert sorted(rows) == sorted(
        (case.key, case.said["name"], case.direction, case.said["source"])
        for case in ALL
    )
