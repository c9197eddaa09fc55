"""The dialects that have a name, listed and shown."""

import json


def test_every_preset_is_a_line_with_what_it_has_to_be_told(tracker):
    said = tracker("presets")

    lines = [line.split() for line in said.out.splitlines()]
    assert (said.code, lines[0]) == (0, ["preset", "to", "tell", "it", "calls", "us"])
    assert ["keitaro", "host", "key", "[click]", "yes"] in lines
    assert ["digistore24", "\N{EN DASH}", "yes"] in lines
    assert all(len(line) <= 80 for line in said.out.splitlines())


def test_presets_are_listed_for_machines(tracker):
    listed = [
        json.loads(line) for line in tracker("presets", "--json").out.splitlines()
    ]

    keitaro = next(one for one in listed if one["key"] == "keitaro")
    assert keitaro["source"][0].startswith("https://docs.keitaro.io/")
    assert keitaro["partner"]["needs"]["click"]["unless_set"] == "{sub1}"


def test_one_is_shown_as_it_is_written(tracker):
    said = tracker("presets", "taboola")

    assert (said.code, said.out[:14]) == (0, "name: Taboola\n")
    assert "\n    url: https://trc.taboola.com/actions-handler/" in said.out
    assert tracker("presets", "taboola", "--json").document["name"] == "Taboola"


def test_one_that_there_is_not_is_not_found_and_a_near_one_named(tracker):
    said = tracker("presets", "tabola")

    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "tracker: there is no preset 'tabola'; did you mean 'taboola'?\n"
    )
