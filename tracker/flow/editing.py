"""
An operator edits partners.yaml in the console.

The file and Postgres agree afterwards. Whatever dies, the file is the later of the two:
it is replaced in the transaction that puts it in force, after everything that could
refuse it and just before the commit. If that does not come, the file is an edit like
any other, which a worker, or the next process that starts, puts in force.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from tracker.catalog import (
    Fault,
    Hint,
    hash_content,
    look_apart,
    put_in_place,
    resemble,
    written_beside,
)
from tracker.domain.errors import (
    CatalogError,
    CatalogOutpacedError,
    EditConflictError,
    RefusedChangeError,
    StoreUnavailableError,
)
from tracker.domain.line_end import with_line_ends
from tracker.failpoints import failpoint
from tracker.flow.catalog import File, follow_version, insert_version, look_at
from tracker.runtime import Runtime
from tracker.store.catalogs import InForce

log = structlog.get_logger()

MOST_SECONDS = 20.0
"""A check for somebody who types takes no longer."""

MOST_NAME = 200
"""Characters of a name that are kept with a version."""


@dataclass(frozen=True, slots=True)
class Base:
    """
    What an edit is made of: the file on this host, and the version in force.

    Where either is another when the edit is saved, somebody else was there.
    """

    file_hash: str
    version: int

    def __str__(self) -> str:
        return f"{self.version}-{self.file_hash}"


@dataclass(frozen=True, slots=True)
class Standing:
    """
    The file on this host beside the version in force, whose text is `content`.

    `problem` says why there is no file. It `is_newer` where it was written after what
    is in force: it is faulty then, or has not been taken yet.
    """

    in_force: InForce
    content: str
    file: File | None
    problem: str = ""

    @property
    def is_same(self) -> bool:
        """Whether the file is what is in force."""
        return self.file_hash == self.in_force.content_hash

    @property
    def is_newer(self) -> bool:
        """Whether the file is a later edit than what is in force."""
        if self.file is None or self.is_same:
            return False
        return self.file.edited_at > self.in_force.edited_at

    @property
    def file_hash(self) -> str:
        """What tells the file from others; "" where there is none."""
        return self.file.content_hash if self.file else ""

    @property
    def base(self) -> Base:
        """What an edit that begins now is made of."""
        return Base(self.file_hash, self.in_force.version)

    @property
    def file_text(self) -> str:
        """What the file says; "" where there is none."""
        return self.file.content.decode(errors="replace") if self.file else ""

    @property
    def latest(self) -> str:
        """Where an edit begins: the file if it is newer, else what is in force."""
        return self.file_text if self.is_newer else self.content


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is to say of a text: its faults, or else its hints."""

    faults: Sequence[Fault] = ()
    hints: Sequence[Hint] = ()


async def look_at_catalog(runtime: Runtime) -> Standing:
    """What is in force, and what lies on this host; CatalogError before the first."""
    found = await runtime.catalogs.list_in_force()
    if not found:
        raise CatalogError("no catalog is in force yet")
    (in_force,) = found
    content = await runtime.catalogs.get_content(in_force.version)
    try:
        file = await asyncio.to_thread(look_at, runtime.settings.catalog)
    except CatalogError as error:
        return Standing(in_force, content, None, str(error))
    return Standing(in_force, content, file)


async def find_faults(runtime: Runtime, text: str) -> Findings:
    """
    What is wrong in a text, or likely not meant; checked in a process apart.

    Raises CatalogError if that takes too long.
    """
    name = runtime.settings.catalog.name
    async with runtime.checks:
        found = await look_apart(
            text.encode(errors="replace"), name, runtime.secrets, seconds=MOST_SECONDS
        )
    return Findings(*found)


async def findings_of(runtime: Runtime, text: str) -> Findings:
    """The same, remembered as long as nobody asks for those of another text."""
    name = hash_content(text)
    if name not in runtime.findings:
        found = await find_faults(runtime, text)
        runtime.findings = {name: found}
    remembered: Findings = runtime.findings[name]
    return remembered


async def save_catalog(runtime: Runtime, text: str, base: Base, *, by: str) -> int:
    """
    Puts an edited text in force and into the file, both or neither; the version.

    Raises FaultyCatalogError for one with faults, EditConflictError where what it was
    made of is no more, RefusedChangeError where the file cannot be written, and
    StoreUnavailableError without Postgres.
    """
    standing = await _unchanged(runtime, base)
    written = with_line_ends(text, standing.latest)
    return await _save(runtime, written.encode(errors="replace"), standing, by)


async def restore_catalog(
    runtime: Runtime, version: int, base: Base, *, by: str
) -> int:
    """
    Puts an earlier version in force again, to the byte, as an edit of its own.

    Raises what `save_catalog` does, and NotFoundError for a version that never was.
    """
    content = await runtime.catalogs.get_content(version)
    standing = await _unchanged(runtime, base)
    return await _save(runtime, content.encode(), standing, by)


async def _unchanged(runtime: Runtime, base: Base) -> Standing:
    standing = await look_at_catalog(runtime)
    if standing.base != base:
        raise EditConflictError("it was changed by somebody else since you loaded it")
    return standing


async def _save(runtime: Runtime, raw: bytes, standing: Standing, by: str) -> int:
    is_in_force = hash_content(raw) == standing.in_force.content_hash
    if is_in_force and standing.is_same:
        return standing.in_force.version
    path = await asyncio.to_thread(_real_path, runtime.settings.catalog)
    async with _prepared(path, raw) as fresh:
        await _put(runtime, File(raw, _written_at(fresh)), standing, (fresh, path), by)
    await follow_version(runtime)
    return runtime.catalog.version


async def _put(
    runtime: Runtime,
    file: File,
    standing: Standing,
    places: tuple[Path, Path],
    by: str,
) -> None:
    """In force and in its place; which of the two failed is told apart."""
    placing = _Placing(*places, standing.file_hash)
    in_force = standing.in_force
    try:
        if file.content_hash == in_force.content_hash:
            await runtime.catalogs.guard(in_force.version, placing.place)
        else:
            await insert_version(
                runtime,
                file,
                [in_force],
                by=by[:MOST_NAME],
                confirm=placing.place,
            )
    except CatalogOutpacedError:
        raise EditConflictError("another version has just come into force") from None
    except StoreUnavailableError:
        if placing.is_done:
            raise StoreUnavailableError(
                "the file is written, but Postgres did not say that it is in force:"
                " a worker puts it in force as soon as it can"
            ) from None
        raise
    log.info("catalog.edited", by=by)


class _Placing:
    """Replaces the file, if it still is what the edit was made of."""

    def __init__(self, fresh: Path, path: Path, replaced_hash: str) -> None:
        self._fresh = fresh
        self._path = path
        self._replaced_hash = replaced_hash
        self.is_done = False

    async def place(self) -> None:
        """Nobody else who asks Postgres first does this at the same time."""
        failpoint("catalog.to_place")
        # A thread cannot be stopped half way, so nor may we be.
        await asyncio.shield(asyncio.to_thread(self._place))
        failpoint("catalog.placed")

    def _place(self) -> None:
        if look_at(self._path).content_hash != self._replaced_hash:
            raise EditConflictError("the file was changed by somebody else just now")
        try:
            put_in_place(self._fresh, self._path)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self.is_done = True


@asynccontextmanager
async def _prepared(path: Path, raw: bytes) -> AsyncIterator[Path]:
    """All of the writing, done beforehand: what is left can hardly fail."""
    opened = written_beside(path, raw)
    try:
        fresh = await asyncio.to_thread(opened.__enter__)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        await asyncio.to_thread(_fit, fresh, path)
        yield fresh
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)


def _fit(fresh: Path, path: Path) -> None:
    try:
        resemble(fresh, path)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise _unwritable(path, error) from error
        raise RefusedChangeError(
            f"{path.name} belongs to another user, and this process may not give a new"
            " one to them: edit it where it lies, or give it to the user that runs the"
            " console"
        ) from error


def _real_path(path: Path) -> Path:
    """What a link leads to: the link stays."""
    try:
        return path.resolve(strict=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> RefusedChangeError:
    because = error.strerror or "no reason given"
    return RefusedChangeError(
        f"{path.name} cannot be written on this host: {because}; nothing was changed"
    )


def _written_at(fresh: Path) -> datetime:
    return datetime.fromtimestamp(fresh.stat().st_mtime, UTC)
