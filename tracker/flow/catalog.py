"""
An operator edits partners.yaml, and every process follows.

Postgres names the version in force. A worker checks an edited file and puts it in
force; everyone else asks Postgres twice a second and loads what is new in slices,
so that no request waits for it. A copy on disk serves a start without Postgres.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from tracker import metrics
from tracker.catalog import (
    COPY,
    Draft,
    FaultyCatalogError,
    draft_apart,
    hash_content,
    load_snapshot,
    read_copy,
    read_facts,
    read_file,
    seal_draft,
    write_copy,
)
from tracker.domain.catalog import Numbers
from tracker.domain.errors import (
    CatalogError,
    CatalogOutpacedError,
    StoreUnavailableError,
)
from tracker.domain.macros import BASE_URL
from tracker.domain.postback import tokens_of
from tracker.domain.signature import secrets_of
from tracker.failpoints import failpoint
from tracker.logs import hide
from tracker.runtime import Runtime
from tracker.store.catalogs import Confirm, Edit, InForce, nothing

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class File:
    """partners.yaml as it lies there; `touched` changes whenever it is written."""

    content: bytes
    edited_at: datetime

    @property
    def content_hash(self) -> str:
        """What a version in force is compared by."""
        return hash_content(self.content)


async def open_catalog(runtime: Runtime) -> None:
    """
    The catalog for a process that starts, a newer file than the one in force included.

    With Postgres down it is the copy on disk. Raises CatalogError where there is
    neither, or where the first file of all is faulty.
    """
    try:
        await _apply_newer_file(runtime)
        await follow_version(runtime)
    except StoreUnavailableError:
        await _load(runtime, await asyncio.to_thread(read_copy, _copy_path(runtime)))
        log.warning("catalog.from_copy", version=runtime.catalog.version)


async def follow_catalog(runtime: Runtime, *, applies_edits: bool) -> None:
    """Keeps `runtime.catalog` what is in force, until it is cancelled."""
    touched = _touched(runtime)
    while True:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        try:
            if applies_edits and _touched(runtime) != touched:
                latest = _touched(runtime)
                await _apply_edit(runtime)
                touched = latest
            await follow_version(runtime)
        except StoreUnavailableError:
            log.warning("catalog.waits", because="Postgres does not answer")
        except CatalogError as error:
            log.warning("catalog.not_followed", error=str(error))
        except Exception:
            # Whatever it was, the next edit must not find nobody listening.
            log.exception("catalog.failed")


async def describe_file(runtime: Runtime) -> str:
    """Whether the file is what is in force; "" if so, else what an operator can do."""
    try:
        file = await asyncio.to_thread(look_at, runtime.settings.catalog)
    except CatalogError as error:
        return str(error)
    if file.content_hash == runtime.catalog_hash:
        return ""
    return (
        f"{runtime.settings.catalog.name} is not version {runtime.catalog.version},"
        " which is in force: it is faulty (see tracker check), older, or still waits"
    )


async def _apply_newer_file(runtime: Runtime) -> None:
    """
    At a start the newest edit wins.

    A host that comes back with an old file must not undo what others have edited
    since; an operator who means it saves the file again.
    """
    in_force = await runtime.catalogs.list_in_force()
    try:
        file = await asyncio.to_thread(look_at, runtime.settings.catalog)
        if not in_force or file.edited_at > in_force[0].edited_at:
            await _put_in_force(runtime, file)
    except CatalogError as error:
        if not in_force:
            raise
        _report(runtime, error)


async def _apply_edit(runtime: Runtime) -> None:
    """A file that was written while we run is what the operator wants now."""
    try:
        file = await asyncio.to_thread(look_at, runtime.settings.catalog)
        await _put_in_force(runtime, file)
    except CatalogError as error:
        _report(runtime, error)


async def _put_in_force(runtime: Runtime, file: File) -> None:
    """Once per content: whoever is outpaced looks again at what is in force."""
    while True:
        in_force = await runtime.catalogs.list_in_force()
        if in_force and in_force[0].content_hash == file.content_hash:
            return
        try:
            await insert_version(runtime, file, in_force)
        except CatalogOutpacedError:
            continue
        return


async def insert_version(
    runtime: Runtime,
    file: File,
    in_force: Sequence[InForce],
    *,
    by: str | None = None,
    confirm: Confirm = nothing,
) -> None:
    """
    Puts the file in force after that version, if `confirm` does its part.

    Raises FaultyCatalogError, and CatalogOutpacedError if another was first.
    """
    previous = in_force[0].snapshot if in_force else None
    name = runtime.settings.catalog.name
    draft = await draft_apart(file.content, name, runtime.secrets, previous)
    failpoint("catalog.drafted")
    edit = Edit(
        content=file.content.decode(),
        content_hash=draft.content_hash,
        edited_at=file.edited_at,
        follows=draft.follows,
        keys=draft.keys,
        caps=draft.caps,
        edited_by=by,
    )
    version = await runtime.catalogs.insert(
        edit, partial(_sealed, draft), confirm=confirm
    )
    failpoint("catalog.inserted")
    log.info("catalog.in_force", version=version)


def _sealed(draft: Draft, version: int, numbers: Numbers) -> bytes:
    return seal_draft(draft, version=version, numbers=numbers)


async def follow_version(runtime: Runtime) -> None:
    """Loads the version in force, if it is another one."""
    if await runtime.catalogs.get_version() == runtime.catalog.version:
        return
    for in_force in await runtime.catalogs.list_in_force():
        await _load(runtime, in_force.snapshot)
        failpoint("catalog.loaded")
        await _write_copy(runtime, in_force.snapshot)
        failpoint("catalog.copied")
        log.info("catalog.followed", version=in_force.version)


async def _write_copy(runtime: Runtime, snapshot: bytes) -> None:
    """A disk that is full costs a start without Postgres, and nothing else."""
    try:
        await asyncio.to_thread(write_copy, _copy_path(runtime), snapshot)
    except OSError as error:
        log.warning("catalog.not_copied", error=str(error))


async def _load(runtime: Runtime, snapshot: bytes) -> None:
    catalog = await load_snapshot(snapshot, runtime.secrets)
    hide(value for name, value in catalog.secrets.items() if name != BASE_URL)
    # These may also stand in the file as they are.
    for one in catalog.advertisers.values():
        hide([*tokens_of(one, catalog), *secrets_of(one, catalog)])
    hide(text for one in catalog.all_postbacks() for text in one.credentials)
    if catalog.asks_for_countries:
        await runtime.countries.open()
    runtime.catalog_hash = read_facts(snapshot).content_hash
    runtime.catalog = catalog
    metrics.CATALOG_VERSION.set(catalog.version)


def _report(runtime: Runtime, error: CatalogError) -> None:
    """Faults are named one by one; the last good version stays in force."""
    metrics.CATALOG_FAULTS.inc()
    faults = error.faults if isinstance(error, FaultyCatalogError) else [error]
    log.error(
        "catalog.refused",
        faults=[str(fault) for fault in faults],
        version_in_force=runtime.catalog.version,
    )


def look_at(path: Path) -> File:
    """The file as it lies there now; raises FaultyCatalogError if it cannot be read."""
    content = read_file(path)
    return File(content, datetime.fromtimestamp(path.stat().st_mtime, UTC))


def _touched(runtime: Runtime) -> tuple[int, int, int]:
    """Changes whenever the file is written or replaced; zeros where there is none."""
    try:
        facts = runtime.settings.catalog.stat()
    except OSError:
        return (0, 0, 0)
    return (facts.st_mtime_ns, facts.st_size, facts.st_ino)


def _copy_path(runtime: Runtime) -> Path:
    return runtime.settings.data_dir / COPY
