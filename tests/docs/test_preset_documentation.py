"""Every preset stands in the README, with what it has to be told, and no other."""

import re
from pathlib import Path

import pytest

from tracker.catalog.presets import get_preset, list_presets

README = Path(__file__).parents[2] / "README.md"
NOTHING = "\N{EN DASH}"

ROWS = {
    key: [cell.strip() for cell in cells]
    for key, *cells in re.findall(
        r"(?m)^\| `([^`]+)` \|(.*)\|(.*)\|(.*)\|$",
        re.split(r"(?m)^## ", README.read_text("utf-8").split("\n## Presets\n")[1])[0],
    )
}


def needed(side) -> str:
    if side is None:
        return NOTHING
    needs = side.needs.items()
    spelled = (f"`{k}`" if one.is_required else f"[`{k}`]" for k, one in needs)
    return " ".join(spelled) or "yes"


@pytest.mark.parametrize("key", list_presets())
def test_every_preset_stands_with_its_arguments(key):
    preset = get_preset(key)

    assert ROWS[key] == [
        preset.name,
        needed(preset.partner),
        needed(preset.advertiser),
    ]


def test_no_preset_stands_that_there_is_not():
    assert set(ROWS) == set(list_presets())
