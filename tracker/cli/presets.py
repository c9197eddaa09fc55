# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""The command that shows which dialects have a name."""

from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import AsDocument

if TYPE_CHECKING:
    from tracker.catalog.presets import Preset, Side

COLUMNS = ("preset", "to tell it", "calls us")
NOTHING, EVERYTHING = "\N{EN DASH}", "yes"


def presets(
    name: Annotated[
        str | None, typer.Argument(help="One of them; else all are listed.")
    ] = None,
    *,
    as_json: AsDocument = False,
) -> None:
    """
    List the presets of partners.yaml, or show one as it is written.

    Beside each stand its arguments; those in brackets may be left out.
    """
    from tracker.catalog.presets import get_preset, list_presets, read_preset
    from tracker.cli.output import print_json, print_list

    if name is None:
        all_of_them = [get_preset(key) for key in list_presets()]
        print_list(all_of_them, COLUMNS, _cells, as_json=as_json, folds=COLUMNS[1:2])
    elif as_json:
        print_json(get_preset(name))
    else:
        print(read_preset(name), end="")


def _cells(preset: "Preset") -> tuple[str, str, str]:
    return preset.key, _needed(preset.partner), _needed(preset.advertiser)


def _needed(side: "Side | None") -> str:
    if side is None:
        return NOTHING
    spelled = (
        name if argument.is_required else f"[{name}]"
        for name, argument in side.needs.items()
    )
    return " ".join(spelled) or EVERYTHING
