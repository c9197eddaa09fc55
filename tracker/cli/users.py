# ruff: noqa: PLC0415 - imported where it is used, so that --help is fast
"""`tracker users`: who may use the console."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.options import AsDocument, AsJson, By, operator_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from tracker.domain.person import Actor
    from tracker.runtime import Runtime
    from tracker.store.people import KnownPerson

    Story = Callable[[Runtime, Actor], Awaitable[dict[str, Any]]]

app = typer.Typer(no_args_is_help=True, help="Who may use the console.")

COLUMNS = ("name", "role", "partner", "last signed in", "")

Name = Annotated[str, typer.Argument(metavar="NAME", help="What they sign in by.")]
RoleOf = Annotated[
    str, typer.Option("--role", help="viewer, operator, admin or partner.")
]
PartnerOf = Annotated[
    str, typer.Option("--partner", metavar="KEY", help="Whose, for that role.")
]


@app.command("list")
def list_users(*, as_json: AsJson = False) -> None:
    """Everybody, those that were ended last."""
    from tracker.cli.joining import open_database, run
    from tracker.cli.output import print_json, print_list
    from tracker.store.people import PeopleStore

    async def story() -> "list[KnownPerson]":
        async with open_database() as pool:
            return await PeopleStore(pool).list_people()

    people = run(story())
    if as_json:
        for one in people:
            print_json(_told(one))
        return
    print_list(people, COLUMNS, _cells, as_json=False, folds={"name"})


@app.command()
def add(
    name: Name,
    *,
    role: RoleOf = "viewer",
    partner: PartnerOf = "",
    by: By = None,
    as_json: AsDocument = False,
) -> None:
    """
    Add somebody at once; the password is asked for, or a line of stdin.

    `invite` lets them choose it themselves.
    """

    async def story(runtime: "Runtime", actor: "Actor") -> "dict[str, Any]":
        from tracker.flow.people import add_person, known_standing

        standing = await known_standing(runtime, role, partner)
        await add_person(runtime, name, standing, password, actor)
        return {"added": name, "role": role}

    password = _asked_password()
    _run(story, by, as_json=as_json, knows_catalog=role == "partner")


@app.command()
def invite(
    name: Name,
    *,
    role: RoleOf = "viewer",
    partner: PartnerOf = "",
    by: By = None,
    as_json: AsDocument = False,
) -> None:
    """Make a link by which somebody new chooses a password; pass it on."""

    async def story(runtime: "Runtime", actor: "Actor") -> "dict[str, Any]":
        from tracker.flow.people import invite_person, known_standing

        standing = await known_standing(runtime, role, partner)
        return {"link": await invite_person(runtime, name, standing, actor)}

    _run(story, by, as_json=as_json, knows_catalog=role == "partner")


@app.command()
def reset(name: Name, *, by: By = None, as_json: AsDocument = False) -> None:
    """Make a link by which somebody chooses another password; pass it on."""

    async def story(runtime: "Runtime", actor: "Actor") -> "dict[str, Any]":
        from tracker.flow.people import reset_password

        person = await _find(runtime, name)
        return {"link": await reset_password(runtime, person, actor)}

    _run(story, by, as_json=as_json)


@app.command()
def end(name: Name, *, by: By = None, as_json: AsDocument = False) -> None:
    """Let nobody in by that name, nor by a token of theirs."""

    async def story(runtime: "Runtime", actor: "Actor") -> "dict[str, Any]":
        from tracker.flow.people import end_person

        person = await _find(runtime, name)
        await end_person(runtime, person.id, actor)
        return {"ended": person.name}

    _run(story, by, as_json=as_json)


async def _find(runtime: "Runtime", name: str) -> "KnownPerson":
    from tracker.domain.person import spell_name

    return await runtime.people.get_named(spell_name(name))


def _asked_password() -> str:
    """Never an argument: those are seen by everybody on the machine."""
    if sys.stdin.isatty():
        asked: str = typer.prompt(
            "Password", hide_input=True, confirmation_prompt=True, err=True
        )
        return asked
    return sys.stdin.readline().rstrip("\r\n")


def _run(
    story: "Story", by: str | None, *, as_json: bool, knows_catalog: bool = False
) -> None:
    from tracker.cli.joining import open_tracker, open_tracker_in_force, run
    from tracker.cli.output import print_json, print_lines
    from tracker.domain.person import Actor

    opened = open_tracker_in_force if knows_catalog else open_tracker

    async def told() -> "dict[str, Any]":
        async with opened() as runtime:
            return await story(runtime, Actor(operator_name(by)))

    said = run(told())
    if as_json:
        print_json(said)
    elif "link" in said:
        print(said["link"])
    else:
        print_lines(said.items())


def _cells(one: "KnownPerson") -> tuple[str, ...]:
    from tracker.cli.output import short_time

    seen = short_time(one.signed_in_at) if one.signed_in_at else "never"
    return (
        one.name,
        one.role,
        one.partner or "",
        seen,
        "ended" if one.ended_at else "",
    )


def _told(one: "KnownPerson") -> "dict[str, Any]":
    return {
        "name": one.name,
        "role": one.role,
        "partner": one.partner,
        "created_at": one.created_at,
        "signed_in_at": one.signed_in_at,
        "ended_at": one.ended_at,
    }
