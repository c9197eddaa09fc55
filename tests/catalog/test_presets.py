"""A preset is put into what a file says; what the file says itself wins."""

import json

import pytest

from tracker.catalog import json_schema
from tracker.catalog.expand import Expansion
from tracker.catalog.nodes import Bare
from tracker.catalog.presets import ARGUMENT, get_preset, list_presets
from tracker.domain.errors import NotFoundError

PLAIN = "- id: sales\n        url: https://best.example/pb?cid={sub1}"


@pytest.fixture
def told(check, changed):
    """The postback that a partner has when it says this."""

    def told(said):
        document = check(changed(PLAIN, f"- {said}")).document
        return document.partners["best"].postbacks[0]

    return told


@pytest.fixture
def wrong(faults_of, changed):
    """What is wrong with a partner's postback that says this, without its place."""

    def wrong(said):
        faults = faults_of(changed(PLAIN, f"- {said}"))
        return [fault.partition("partners.best.postbacks[0].")[2] for fault in faults]

    return wrong


def test_a_preset_is_a_postback_whose_arguments_are_put_in(told):
    postback = told("{preset: voluum, with: {host: track.example, click: '{sub3}'}}")

    assert postback.id == "voluum"
    assert postback.url == (
        "https://track.example/postback?cid={sub3}&payout={payout}"
        "&txid={conversion_id}&currency={currency}"
    )
    assert postback.when.statuses == ("approved",)


def test_an_argument_may_name_a_secret(told):
    postback = told("{preset: keitaro, with: {host: k.example, key: '${SIGNING}'}}")

    assert postback.url.startswith("https://k.example/${SIGNING}/postback?subid={sub1}")


def test_what_the_file_says_itself_wins_key_by_key(told):
    postback = told(
        "{preset: voluum, with: {host: a.example}, id: mine, when: {goals: sale}}"
    )

    assert (postback.id, postback.when.goals) == ("mine", ("sale",))
    assert postback.when.statuses == ("approved",)


def test_a_key_with_nothing_after_it_takes_the_presets_away(told):
    postback = told("{preset: voluum, with: {host: a.example}, when: {statuses: }}")

    assert postback.when.statuses == ()


def test_what_misses_an_optional_argument_vanishes(told):
    short = told("{preset: tune, with: {host: t.example}}")
    long = told("{preset: tune, with: {host: t.example, offer: 26, token: x}}")

    assert short.url.startswith("https://t.example/aff_lsr?transaction_id={sub1}&")
    assert "offer_id=26&transaction_id" in long.url
    assert long.url.endswith("&security_token=x")


def test_a_port_is_part_of_a_host(told):
    url = told("{preset: voluum, with: {host: 'track.example:8443'}}").url

    assert url.startswith("https://track.example:8443/postback?")


def test_a_key_with_no_preset_after_it_counts_as_absent(told):
    assert told("{preset: , with: , id: a, url: 'https://a.example/'}").id == "a"


WRONG = {
    "a name that is misspelt": (
        "{preset: volum}",
        "preset: no preset 'volum'; did you mean 'voluum'?",
    ),
    "a name like no other": (
        "{preset: zzz}",
        "preset: no preset 'zzz'; 'tracker presets' lists them",
    ),
    "no name": ("{preset: [a]}", "preset: must be the name of a preset, not a list"),
    "arguments of nothing": (
        "{id: a, url: 'https://a.example/', with: {a: b}}",
        "with: arguments of a preset, but no 'preset' beside them",
    ),
    "arguments that are none": (
        "{preset: voluum, with: x}",
        "with: must be a mapping ('key: value'), not text",
    ),
    "an argument too few": (
        "{preset: voluum}",
        ("preset: needs 'with: {host: …}': its tracking domain, such as track.example"),
    ),
    "an argument too many": (
        "{preset: voluum, with: {host: a.example, clik: x}}",
        "with.clik: voluum takes no such argument; did you mean 'click'?",
    ),
    "a URL for a host": (
        "{preset: voluum, with: {host: 'https://a.example'}}",
        (
            "with.host: must be a host name alone, such as track.example"
            "; a port may follow"
        ),
    ),
    "a list amid text": (
        "{preset: voluum, with: {host: a.example, click: [x]}}",
        "with.click: must be text, not a list",
    ),
    "the other side": (
        "{preset: digistore24}",
        "preset: the preset digistore24 is for advertisers, not for telling others",
    ),
    "an argument with a fault": (
        "{preset: voluum, with: {host: a.example, click: '{sbu1}'}}",
        "preset: unknown macro {sbu1}; did you mean {sub1}? (in the preset voluum)",
    ),
    "a fault beside the preset": (
        "{preset: voluum, with: {host: a.example}, when: {statuses: [aproved]}}",
        (
            "when.statuses[0]: must be pending, approved or rejected"
            "; did you mean 'approved'?"
        ),
    ),
    "a fault beside it, without brackets": (
        "{preset: voluum, with: {host: a.example}, when: {goals: nothing}}",
        "when.goals: no offer has a goal 'nothing'",
    ),
}


@pytest.mark.parametrize(("said", "fault"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_preset_is_said_once_and_where(wrong, said, fault):
    assert wrong(said) == [fault]


def test_an_advertiser_may_have_a_preset(check, changed):
    said = 'auth: {token: "${ACME_TOKEN}"}\n    postback: {preset: affise}'
    acme = check(changed('auth: {token: "${ACME_TOKEN}"}', said)).document.advertisers

    assert acme["acme"].postback.params["click_id"] == ("clickid", "click_id")


def test_an_advertiser_is_not_told(faults_of, changed):
    said = 'auth: {token: "${ACME_TOKEN}"}\n    postback: {preset: voluum2}'
    (fault,) = faults_of(changed('auth: {token: "${ACME_TOKEN}"}', said))

    assert fault.startswith("6:24: advertisers.acme.postback.preset: no preset")


def test_offers_and_everybody_may_be_told_by_a_preset():
    said = {"preset": "voluum", "with": {"host": "a.example"}}
    data = {"postbacks": [dict(said)], "offers": {"shoes": {"postbacks": [dict(said)]}}}

    Expansion(data)

    for told in (data["postbacks"][0], data["offers"]["shoes"]["postbacks"][0]):
        assert told["id"] == "voluum"
        assert "preset" not in told


def test_the_operator_may_be_told_by_a_preset(check, good):
    text = good + "postbacks:\n  - {preset: slack, with: {path: '${SIGNING}'}}\n"

    (told,) = check(text).document.postbacks

    assert (told.id, told.json_["text"][:19]) == ("slack", "{partner}, {offer}:")


def test_an_argument_that_stands_alone_is_typed_where_the_preset_lets_it():
    data = {
        "postbacks": [{"preset": "meta-capi", "with": {"pixel": "1", "token": "t"}}]
    }
    data["postbacks"][0]["with"] |= {"value": Bare("12"), "event": Bare("7")}

    Expansion(data)

    event = data["postbacks"][0]["json"]["data"][0]
    assert isinstance(event["custom_data"]["value"], Bare)
    assert not isinstance(event["event_name"], Bare)


@pytest.mark.parametrize("key", list_presets())
def test_every_preset_says_where_it_comes_from_and_asks_for_what_it_uses(key):
    preset = get_preset(key)

    assert preset.name
    assert preset.seen
    assert all(source.startswith("http") for source in preset.source)
    assert preset.source
    assert preset.sides
    for side in map(preset.side, preset.sides):
        used = ARGUMENT.findall(json.dumps(dict(side.postback)))
        assert set(used) == set(side.needs)


def test_a_preset_that_is_not_there_is_not_found():
    with pytest.raises(NotFoundError):
        get_preset("nothing")


def test_editors_complete_presets_and_miss_nothing_beside_one():
    defined = json.loads(json.dumps(json_schema()))["$defs"]

    partner = defined["PostbackSection"]
    assert "voluum" in partner["properties"]["preset"]["enum"]
    assert "digistore24" not in partner["properties"]["preset"]["enum"]
    assert {"required": ["preset"]} in partner["anyOf"]
    advertiser = defined["AdvertiserPostbackSection"]["properties"]["preset"]
    assert "digistore24" in advertiser["enum"]


ODD = {
    "nothing": {"partners": None, "offers": [], "advertisers": "x", "postbacks": {}},
    "no entries": {"partners": {"best": None}, "advertisers": {"acme": ["x"]}},
    "no calls": {"partners": {"best": {"postbacks": [None, "x", ["y"]]}}},
    "empty names": {"postbacks": [{"preset": None}, {"with": None, "preset": ""}]},
    "empty arguments": {"postbacks": [{"preset": "voluum", "with": {"host": None}}]},
    "odd arguments": {
        "postbacks": [{"preset": "voluum", "with": {"host": {"a": "b"}}}]
    },
    "odd keys": {"postbacks": [{"preset": "richads", "url": ["x"], "when": "y"}]},
    "an odd advertiser": {"advertisers": {"acme": {"postback": {"with": ["x"]}}}},
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_whatever_a_file_says_its_presets_are_put_in_or_faulty(data):
    expansion = Expansion(data)

    for flaw in expansion.flaws:
        assert {"preset", "with"} & {*flaw.loc[-2:]}
    assert not list(expansion.placed(expansion.flaws))
