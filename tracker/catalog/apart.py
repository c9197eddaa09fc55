"""
Check and compile in a process of its own, so that the event loop stays free.

A thread would not do: ten thousand partners take seconds under the interpreter's
lock. The child gets its work on stdin and answers on stdout; secrets stand in
neither its arguments nor any file. It cannot outlive us by more than its work: it
ends when its pipes do, is killed when its caller is cancelled, and has a bound on
its time of computing.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tracker.catalog.check import check_text
from tracker.catalog.faults import Fault, FaultyCatalogError
from tracker.catalog.hints import Hint, find_hints
from tracker.catalog.snapshot import Draft, draft_catalog
from tracker.domain.errors import CatalogError

MOST_SECONDS = 120.0
"""A check that takes longer is given up."""


class Work(msgspec.Struct, array_like=True, frozen=True):
    """What the child is asked: to draft a file, or only to look at it."""

    raw: bytes
    name: str
    secrets: dict[str, str]
    previous: bytes | None
    only_looks: bool = False

    def __repr__(self) -> str:
        return f"Work({self.name!r})"


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """A draft or hints, or the faults, or why the snapshot of before cannot be used."""

    draft: Draft | None = None
    faults: list[Fault] | None = None
    message: str = ""
    hints: list[Hint] | None = None


async def draft_apart(
    raw: bytes,
    name: str,
    secrets: Mapping[str, str],
    previous: bytes | None = None,
    *,
    seconds: float = MOST_SECONDS,
) -> Draft:
    """
    What `check_text` and `draft_catalog` make of a file, at no cost to the loop.

    Raises FaultyCatalogError with the faults of the file, and CatalogError if
    `previous` is damaged, or the child died or took longer than `seconds`.
    """
    work = msgspec.msgpack.encode(Work(raw, name, dict(secrets), previous))
    answer = _read(await _ask_child(work, seconds))
    if answer.draft:
        return answer.draft
    if answer.faults:
        raise FaultyCatalogError(answer.faults)
    raise CatalogError(answer.message)


async def look_apart(
    raw: bytes, name: str, secrets: Mapping[str, str], *, seconds: float = MOST_SECONDS
) -> tuple[Sequence[Fault], Sequence[Hint]]:
    """
    The faults of a file, or where it has none its hints, at no cost to the loop.

    Raises CatalogError if the child died or took longer than `seconds`.
    """
    work = Work(raw, name, dict(secrets), None, only_looks=True)
    answer = _read(await _ask_child(msgspec.msgpack.encode(work), seconds))
    if answer.message:
        raise CatalogError(answer.message)
    return answer.faults or (), answer.hints or ()


def answer_work(data: bytes) -> bytes:
    """What the child does."""
    work = msgspec.msgpack.decode(data, type=Work)
    return msgspec.msgpack.encode(_answer(work))


def _answer(work: Work) -> Answer:
    try:
        checked = check_text(work.raw, work.name, work.secrets)
        if work.only_looks:
            return Answer(hints=find_hints(checked, work.secrets))
        return Answer(draft=draft_catalog(checked, work.previous))
    except FaultyCatalogError as error:
        return Answer(faults=list(error.faults))
    except CatalogError as error:
        return Answer(message=str(error))


async def _ask_child(work: bytes, seconds: float) -> bytes:
    child = await _start_child()
    try:
        async with asyncio.timeout(seconds):
            out, _ = await child.communicate(work)
    except TimeoutError:
        raise CatalogError(f"the check took longer than {seconds:g} s") from None
    finally:
        await asyncio.shield(_end(child))
    if child.returncode:
        raise CatalogError(f"the check ended with code {child.returncode}")
    return out


async def _start_child() -> Process:
    # Its own session: a signal to our whole group is for us to answer. Our import
    # path, and not the current folder: the child must be the code that we are.
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "tracker.catalog",
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": _import_path()},
        start_new_session=True,
    )


def _import_path() -> str:
    # An empty entry stands for the current folder.
    return os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)


async def _end(child: Process) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _read(out: bytes) -> Answer:
    try:
        return msgspec.msgpack.decode(out, type=Answer)
    except msgspec.MsgspecError as error:
        raise CatalogError("the check gave no answer") from error
