"""
Places where a test may end the process, or make a disk fail: what that leaves is seen.

    TRACKER_FAILPOINTS=postback.committed:kill@3,spool.write:error

Each entry is a place, what happens there, and at which time it is reached (1 unless
said). Inert unless set: to pass a place then costs one look at an empty mapping.
"""

import errno
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tracker.domain.errors import SettingsError

FAILPOINTS: Mapping[str, str] = {
    "click.drawn": "before Redis is told of a batch of clicks",
    "click.kept": "Redis has the batch, no visitor has been redirected",
    "spool.write": "before the spool writes a batch",
    "spool.written": "the spool has written a batch, and not committed it",
    "spool.committed": "the disk has the batch, nobody has been told",
    "spool.adopted": "a spool whose owner is gone was locked and opened",
    "drain.settled": "Postgres has a batch of a spool, the spool has it still",
    "drain.deleted": "the spool has forgotten a batch that Postgres has",
    "postback.locked": "the keys of a batch of postbacks are locked",
    "postback.written": "everything of the batch is written, and not committed",
    "postback.committed": "the batch is committed, nobody has been answered",
    "fold.read": "clicks were read from Redis, and are not in the click log",
    "fold.inserted": "the click log has them, Redis has them still",
    "fold.trimmed": "Redis has forgotten what the click log has",
    "claim.due": "before what is due is leased",
    "claim.leased": "deliveries are leased, no call was made",
    "send.built": "before a partner is called",
    "send.answered": "the partner has answered, it is not written down",
    "finish.written": "what came of calls is written, and not committed",
    "finish.committed": "what came of calls is committed",
    "lease.expired": "leases were found that ran out",
    "lease.ended": "their deliveries are due again",
    "sweep.step": "before a step of the sweep",
    "partitions.due": "before the days ahead get their partitions",
    "partitions.made": "they have them",
    "catalog.drafted": "an edit was compiled, and is not in force",
    "catalog.inserted": "an edit is in force, and nobody follows it",
    "catalog.loaded": "this process follows it, the copy on disk is the old one",
    "catalog.copied": "the copy on disk is that of the version in force",
}
"""Every place, and what has been done when it is reached."""


def _kill(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _error(name: str) -> None:
    raise OSError(errno.EIO, f"failpoint {name}")


_ACTIONS: Mapping[str, Callable[[str], None]] = {"kill": _kill, "error": _error}


@dataclass
class _Armed:
    act: Callable[[str], None]
    remaining: int


_armed: dict[str, _Armed] = {}


def failpoint(name: str) -> None:
    """Passes, unless this place was armed and is reached for the named time."""
    if _armed and name in _armed:
        _reach(name, _armed[name])


def arm(text: str) -> None:
    """Arms what the setting names, and nothing else; raises SettingsError."""
    _armed.clear()
    _armed.update(_read(entry) for entry in text.split(",") if entry)


def check(text: str) -> str:
    """The text, if it can be read; raises SettingsError."""
    for entry in filter(None, text.split(",")):
        _read(entry)
    return text


def _reach(name: str, armed: _Armed) -> None:
    armed.remaining -= 1
    if armed.remaining == 0:
        armed.act(name)


def _read(entry: str) -> tuple[str, _Armed]:
    name, _, what = entry.strip().partition(":")
    action, _, times = what.partition("@")
    if name not in FAILPOINTS:
        raise SettingsError(f"there is no failpoint {name!r}")
    if action not in _ACTIONS or not (times or "1").isdecimal():
        raise SettingsError(f"{entry!r} is not PLACE:{'|'.join(_ACTIONS)}@TIMES")
    return name, _Armed(_ACTIONS[action], int(times or "1"))
