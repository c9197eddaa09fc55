"""Owners of spools that come to a bad end, each a process of its own."""

import os
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

from tracker.domain.errors import SpoolError
from tracker.failpoints import arm
from tracker.spool import Kind, Room, SpoolFolder
from tracker.spool.file import SpoolFile

ROOM = Room(most=1 << 30, free=0)
HERE = Path(__file__).parent
PACKAGE = HERE.parents[1]


def bodies(seed, number):
    """Clicks as large as clicks are, now and then one of many pages."""
    chance = random.Random(seed)
    return [_body(chance, place) for place in range(number)]


def _body(chance, place):
    large = chance.random() < 0.01
    size = chance.randint(20_000, 60_000) if large else chance.randint(150, 2500)
    return b"%08d" % place + chance.randbytes(size)


def leave(path, seed, number):
    """Fills a spool in batches, in a process that is then killed."""
    run("write_and_die", str(path), str(seed), str(number))


def run(*words):
    """One of the functions below, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, str(HERE / "spools.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{PACKAGE}"},
    )
    if ended.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"{words}: {ended.returncode}\n{ended.stderr}")
    return ended.stdout


def write_and_die(path, seed, number):
    file = SpoolFile(Path(path), ROOM)
    waiting = bodies(int(seed), int(number))
    while waiting:
        batch, waiting = waiting[:16], waiting[16:]
        file.insert(Kind.CLICK, batch)
    os.kill(os.getpid(), signal.SIGKILL)


def write_on_a_full_disk(path, seed, number):
    """No file grows beyond a few megabytes; says which records were taken."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
    _write_each(SpoolFile(Path(path), ROOM), seed, number)


def write_with_errors(path, seed, number):
    """Every fifth write meets an error: before it, in it, or once it is there."""
    file = SpoolFile(Path(path), ROOM)
    places = ("spool.write", "spool.written", "spool.committed")
    for place, body in enumerate(bodies(int(seed), int(number))):
        arm(f"{places[place // 5 % 3]}:error" if place % 5 == 0 else "")
        _write(file, place, body)


def _write_each(file, seed, number):
    for place, body in enumerate(bodies(int(seed), int(number))):
        _write(file, place, body)


def _write(file, place, body):
    try:
        file.insert(Kind.CLICK, [body])
    except SpoolError:
        print("refused", place)
    else:
        print("taken", place)


def adopt(folder):
    """Adopts what is there, says what it found, and forgets it."""
    import asyncio  # noqa: PLC0415 - only here is there a loop

    asyncio.run(_adopt(SpoolFolder(Path(folder), ROOM)))


async def _adopt(folder):
    await folder.adopt()
    for spool in folder.spools:
        while records := await spool.list_waiting(100):
            for record in records:
                print("found", spool.name, record.number)
            await spool.delete([record.number for record in records])
        await folder.let_go(spool)
    await folder.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
