"""The catalog: what is in force, what was, what a text would be, and another one."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.catalog import Fault, FaultyCatalogError
from tracker.console.api.calls import (
    CURSOR,
    LIMIT,
    Call,
    Parameter,
    answer,
    answer_list,
    limit_of,
    read_text,
)
from tracker.console.noting import note
from tracker.console.pages import person_of, runtime_of
from tracker.domain.errors import CatalogError, EditConflictError, NotFoundError
from tracker.domain.number import read_number
from tracker.domain.person import Permission
from tracker.flow.cap import ListedCap, list_caps
from tracker.flow.editing import (
    Base,
    Findings,
    find_faults,
    look_at_catalog,
    restore_catalog,
    save_catalog,
)
from tracker.flow.veiling import veil
from tracker.store.catalogs import ListedVersion

_MOST_SAID = 20
_LATEST = 2**31 - 2


@dataclass(frozen=True, slots=True)
class Text:
    """
    A catalog's text; `base` is for `If-Match`, "" of a version that was.

    Who may not edit sees no literal secret in it.
    """

    version: int
    text: str
    base: str = ""
    is_file_same: bool = True
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """The version that is in force now."""

    version: int


async def show(request: Request) -> Response:
    """What an edit begins with."""
    standing = await look_at_catalog(runtime_of(request))
    text = await _shown(request, standing.latest)
    base = str(standing.base)
    version = standing.in_force.version
    made = answer(Text(version, text, base, standing.is_same, standing.problem))
    made.headers["ETag"] = f'"{base}"'
    return made


async def put(request: Request) -> Response:
    """Another one, unless somebody was quicker."""
    base, text = _base(request), await _text(request)
    runtime, name = runtime_of(request), person_of(request).name
    version = await _changed(save_catalog(runtime, text, base, by=name))
    await note(request, "save_edit", f"version={version}")
    return answer(Saved(version))


async def restore(request: Request) -> Response:
    """One that was in force, to the byte; likewise."""
    base, number = _base(request), _asked(request)
    runtime, name = runtime_of(request), person_of(request).name
    version = await _changed(restore_catalog(runtime, number, base, by=name))
    await note(request, "restore_version", f"version={version}")
    return answer(Saved(version))


async def check(request: Request) -> Response:
    """What is wrong with a text; nothing is written."""
    text = await _text(request)
    try:
        return answer(await find_faults(runtime_of(request), text))
    except CatalogError as error:
        raise HTTPException(422, str(error)) from error


async def versions(request: Request) -> Response:
    """The newest first."""
    limit, before = limit_of(request), _version(request.query_params.get("cursor"))
    listed = await runtime_of(request).catalogs.list_versions(before, limit + 1)
    shown = listed[:limit]
    return answer_list(shown, str(shown[-1].version) if len(listed) > limit else "")


async def version(request: Request) -> Response:
    """The text of one that was in force."""
    number = _asked(request)
    content = await runtime_of(request).catalogs.get_content(number)
    return answer(Text(number, await _shown(request, content)))


async def caps(request: Request) -> Response:
    """Every cap, and what has been taken of it."""
    return answer(await list_caps(runtime_of(request), datetime.now(UTC)))


async def _changed(change: Awaitable[int]) -> int:
    """The version that it made."""
    try:
        return await change
    except EditConflictError as error:
        raise HTTPException(412, str(error)) from error
    except FaultyCatalogError as error:
        raise HTTPException(422, _faults(error.faults)) from error
    except CatalogError as error:
        raise HTTPException(422, str(error)) from error


def _asked(request: Request) -> int:
    number: int = request.path_params["version"]
    if number > _LATEST:
        raise NotFoundError(f"There was no catalog version {number}.")
    return number


async def _shown(request: Request, text: str) -> str:
    if person_of(request).may(Permission.EDIT):
        return text
    return "\n".join(await asyncio.to_thread(veil, text))


def _base(request: Request) -> Base:
    # A proxy that packs an answer calls its tag a weak one.
    said = request.headers.get("if-match", "").strip().removeprefix("W/").strip('"')
    number, _, file_hash = said.partition("-")
    if not said:
        raise HTTPException(428, "If-Match must say what you have read: its `base`")
    return Base(file_hash, _version(number) if number else 0)


def _version(text: str | None) -> int:
    version = read_number(text, _LATEST) if text else _LATEST
    if not version:
        raise HTTPException(400, f"{text!r:.42} is no version")
    return version


async def _text(request: Request) -> str:
    try:
        return (await read_text(request)).decode()
    except UnicodeDecodeError as error:
        raise HTTPException(400, f"the body is not UTF-8: {error}") from error


def _faults(faults: Sequence[Fault]) -> str:
    return "; ".join(map(str, faults[:_MOST_SAID]))


_IF_MATCH = Parameter(
    "If-Match", "The `base` of what was read.", is_required=True, is_header=True
)

CALLS = (
    Call(
        "GET",
        "/catalog",
        show,
        Permission.SEE,
        "The newest text, and what to send with the next in `If-Match`",
        answer=Text,
    ),
    Call(
        "PUT",
        "/catalog",
        put,
        Permission.EDIT,
        "Puts the body, YAML, in force; `If-Match` is the `base` of what was read",
        answer=Saved,
        parameters=(_IF_MATCH,),
        body=str,
        body_type="application/yaml",
    ),
    Call(
        "POST",
        "/catalog/check",
        check,
        Permission.EDIT,
        "What is wrong with the body, YAML; nothing is written",
        answer=Findings,
        body=str,
        body_type="application/yaml",
    ),
    Call(
        "GET",
        "/catalog/versions",
        versions,
        Permission.SEE,
        "Every version that was in force, the newest first",
        answer=ListedVersion,
        parameters=(CURSOR, LIMIT),
        is_list=True,
    ),
    Call(
        "GET",
        "/catalog/versions/{version:int}",
        version,
        Permission.SEE,
        "The text of one version",
        answer=Text,
        parameters=(Parameter("version", "Its number.", "integer"),),
    ),
    Call(
        "POST",
        "/catalog/versions/{version:int}/restore",
        restore,
        Permission.EDIT,
        "Puts an earlier version in force again; `If-Match` as for `PUT`",
        answer=Saved,
        parameters=(Parameter("version", "Its number.", "integer"), _IF_MATCH),
    ),
    Call(
        "GET",
        "/caps",
        caps,
        Permission.SEE,
        "Every cap, and what has been taken of it",
        answer=list[ListedCap],
    ),
)
