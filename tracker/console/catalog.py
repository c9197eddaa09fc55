"""`/catalog`: what is in force, how it came to be, and how it is edited."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from tracker.catalog import Fault, FaultyCatalogError
from tracker.console.pages import (
    Page,
    form_of,
    page,
    person_of,
    runtime_of,
    see,
)
from tracker.console.wording import list_entries
from tracker.domain.difference import Difference, compare
from tracker.domain.errors import (
    CatalogError,
    EditConflictError,
    NotFoundError,
    RefusedChangeError,
    StoreUnavailableError,
)
from tracker.domain.number import read_number
from tracker.domain.person import Permission
from tracker.domain.spelling import sentence
from tracker.flow.editing import (
    Base,
    Findings,
    Standing,
    find_faults,
    findings_of,
    look_at_catalog,
    restore_catalog,
    save_catalog,
)
from tracker.flow.veiling import veil
from tracker.store.catalogs import ListedVersion

SECTIONS = ("offers", "partners", "advertisers")
VERSIONS_PER_PAGE = 50
MOST_FOUND = 200
"""Faults and hints that a page has."""

_NONE = Findings()
_LATEST = 2**31 - 2


@dataclass(frozen=True, slots=True)
class Draft:
    """A text in the editor, what it was made of, and what became of it so far."""

    text: str
    base: Base
    findings: Findings = field(default_factory=Findings)
    refused: str = ""
    done: str = ""
    theirs: Difference | None = None
    standing: Standing | None = None


async def show_catalog(request: Request) -> Response:
    """What is in force, in words, and whether the file says the same."""
    runtime = runtime_of(request)
    query = request.query_params
    section = query.get("show", SECTIONS[0])
    wanted, after = query.get("q", ""), query.get("after", "")
    standing = await look_at_catalog(runtime)
    entries, following = list_entries(
        runtime.catalog, section if section in SECTIONS else SECTIONS[0], wanted, after
    )
    (latest,) = await runtime.catalogs.list_versions(standing.in_force.version + 1, 1)
    return page(
        request,
        "catalog.html",
        standing=standing,
        latest=latest,
        findings=await _remembered(request, standing),
        most=MOST_FOUND,
        catalog=runtime.catalog,
        sections={one: len(getattr(runtime.catalog, one)) for one in SECTIONS},
        section=section,
        wanted=wanted,
        entries=entries,
        older=_link("/catalog", show=section, q=wanted, after=following),
        difference=await _of_file(request, standing),
        said=_said(query.get("saved", ""), standing.in_force.version),
    )


async def show_versions(request: Request) -> Response:
    """Every version that was ever in force: who edited it, and when."""
    runtime = runtime_of(request)
    before = _number(request.query_params.get("before", ""))
    listed = await runtime.catalogs.list_versions(before, VERSIONS_PER_PAGE + 1)
    shown = listed[:VERSIONS_PER_PAGE]
    has_more = len(listed) > VERSIONS_PER_PAGE
    older = str(shown[-1].version) if has_more else ""
    return page(
        request,
        "catalog_versions.html",
        versions=shown,
        in_force=runtime.catalog.version,
        older=_link("/catalog/versions", before=older),
    )


async def show_version(request: Request) -> Response:
    """One of them, and what it changed."""
    return await _version_page(request, _number(request.path_params["version"]))


async def restore_version(request: Request) -> Response:
    """Puts an earlier version in force again, unless somebody was quicker."""
    runtime, person = runtime_of(request), person_of(request)
    version = _number(request.path_params["version"])
    base = _base(await form_of(request))
    try:
        now = await restore_catalog(runtime, version, base, by=person.name)
    except _REFUSALS as error:
        return await _not_restored(request, version, error)
    return see(f"/catalog?saved={now}")


async def show_editor(request: Request) -> Response:
    """The newest text there is, to be edited."""
    standing = await look_at_catalog(runtime_of(request))
    findings = await _remembered(request, standing)
    return _editor(
        request, Draft(standing.latest, standing.base, findings, standing=standing)
    )


async def save_edit(request: Request) -> Response:
    """Checks what was typed, or puts it in force; of what was typed nothing is lost."""
    runtime, person = runtime_of(request), person_of(request)
    form = await form_of(request)
    text, base = form.get("text", ""), _base(form)
    if form.get("do") == "check":
        draft = await _checked(request, text, base)
        return _editor(request, draft)
    try:
        version = await save_catalog(runtime, text, base, by=person.name)
    except EditConflictError as error:
        return await _conflict(request, text, base, error)
    except _REFUSALS as error:
        draft = _refused(text, base, error)
        return _editor(request, draft, status=_status(error))
    return see(f"/catalog?saved={version}")


async def check_typed(request: Request) -> Response:
    """What is wrong with what is being typed; nothing is written."""
    form = await form_of(request)
    draft = await _checked(request, form.get("text", ""), _base(form))
    return page(request, "catalog_findings.html", draft=draft, most=MOST_FOUND)


_REFUSALS = (
    CatalogError,
    EditConflictError,
    RefusedChangeError,
    StoreUnavailableError,
)


def _status(error: Exception) -> int:
    if isinstance(error, CatalogError):
        return 422
    return 503 if isinstance(error, StoreUnavailableError) else 409


async def _checked(request: Request, text: str, base: Base) -> Draft:
    try:
        findings = await find_faults(runtime_of(request), text)
    except CatalogError as error:
        return Draft(text, base, refused=str(error))
    if findings.faults:
        return Draft(text, base, findings)
    return Draft(text, base, findings, done="It is good, and can be put in force.")


def _refused(text: str, base: Base, error: Exception) -> Draft:
    if isinstance(error, FaultyCatalogError):
        findings = Findings(faults=error.faults)
        said = "It has faults: nothing was changed."
        return Draft(text, base, findings, refused=said)
    return Draft(text, base, refused=_sentence(error))


async def _conflict(
    request: Request, text: str, base: Base, error: Exception
) -> Response:
    """Both versions and their difference; what was typed stays in the editor."""
    standing = await look_at_catalog(runtime_of(request))
    theirs = compare(standing.latest.splitlines(), text.splitlines())
    draft = Draft(
        text, base, refused=_sentence(error), theirs=theirs, standing=standing
    )
    return _editor(request, draft, status=409)


def _editor(request: Request, draft: Draft, status: int = 200) -> Response:
    return page(
        request,
        "catalog_edit.html",
        status=status,
        draft=draft,
        count=draft.text.count("\n") + 1,
        most=MOST_FOUND,
        name=runtime_of(request).settings.catalog.name,
    )


async def _not_restored(request: Request, version: int, error: Exception) -> Response:
    if not isinstance(error, FaultyCatalogError):
        refused = _sentence(error)
        return await _version_page(request, version, _status(error), refused)
    refused = "It has faults by now: nothing was changed."
    found = Findings(faults=error.faults)
    return await _version_page(request, version, _status(error), refused, found)


async def _version_page(
    request: Request,
    version: int,
    status: int = 200,
    refused: str = "",
    findings: Findings = _NONE,
) -> Response:
    runtime = runtime_of(request)
    listed = await _version(request, version)
    lines = await _shown(request, await runtime.catalogs.get_content(version))
    before = await _shown(request, await _content_before(request, version))
    return page(
        request,
        "catalog_version.html",
        status=status,
        version=listed,
        standing=await look_at_catalog(runtime),
        difference=compare(before, lines),
        lines=lines if "whole" in request.query_params else [],
        findings=findings,
        refused=refused,
    )


async def _version(request: Request, version: int) -> ListedVersion:
    for one in await runtime_of(request).catalogs.list_versions(version + 1, 1):
        if one.version == version:
            return one
    raise NotFoundError(f"There was no catalog version {version}.")


async def _content_before(request: Request, version: int) -> str:
    if version <= 1:
        return ""
    return await runtime_of(request).catalogs.get_content(version - 1)


async def _remembered(request: Request, standing: Standing) -> Findings:
    """A check that takes too long is worth no page."""
    try:
        return await findings_of(runtime_of(request), standing.latest)
    except CatalogError as error:
        name = runtime_of(request).settings.catalog.name
        return Findings(faults=[Fault(name, 1, 1, "", str(error))])


async def _of_file(request: Request, standing: Standing) -> Difference | None:
    """From what is in force to what the file says."""
    if standing.is_same or standing.file is None:
        return None
    old, new = standing.content, standing.file_text
    return compare(await _shown(request, old), await _shown(request, new))


async def _shown(request: Request, text: str) -> Sequence[str]:
    """Who may edit sees all of it; who may not, no literal secret."""
    if person_of(request).may(Permission.EDIT):
        return text.splitlines()
    # Of a large catalog it takes seconds.
    return await asyncio.to_thread(veil, text)


def _base(form: Mapping[str, str]) -> Base:
    """
    What the edit was made of.

    After a conflict that is what somebody else made of it, once it is said to be seen.
    """
    said = form.get("seen") or form.get("base", "")
    version, _, file_hash = said.partition("-")
    return Base(file_hash, _number(version))


def _said(saved: str, version: int) -> str:
    return f"Version {version} is in force." if saved == str(version) else ""


def _sentence(error: Exception) -> str:
    return sentence(str(error) or "a store does not answer; try again later")


def _number(text: str) -> int:
    """A number of a version; the highest there can be where it is none."""
    number = read_number(text, _LATEST)
    return _LATEST if number is None else number


def _link(path: str, **query: str) -> str:
    """The next page; "" where there is none."""
    *_, last = query.values()
    said = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(said)}" if last else ""


PAGES = (
    Page("/catalog", show_catalog, needs=Permission.SEE),
    Page("/catalog/versions", show_versions, needs=Permission.SEE),
    Page("/catalog/versions/{version}", show_version, needs=Permission.SEE),
    Page(
        "/catalog/versions/{version}/restore",
        restore_version,
        needs=Permission.EDIT,
        methods=("POST",),
    ),
    Page("/catalog/edit", show_editor, needs=Permission.EDIT),
    Page("/catalog/edit", save_edit, needs=Permission.EDIT, methods=("POST",)),
    Page(
        "/catalog/check",
        check_typed,
        needs=Permission.EDIT,
        methods=("POST",),
        notes=False,
    ),
)
