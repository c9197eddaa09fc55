import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tracker.domain.errors import SpoolError
from tracker.failpoints import arm
from tracker.spool.file import Room, SpoolFile
from tracker.spool.frames import Kind

ROOM = Room(most=1 << 30, free=0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "owner.sqlite"


@pytest.fixture
def file(path):
    file = SpoolFile(path, ROOM)
    yield file
    file.close()


def bodies(number, size=100):
    return [str(n).encode().rjust(size, b".") for n in range(number)]


def kept(file):
    return [record.body for record in file.list_waiting(10_000)]


def reopened(path, room=ROOM):
    """As the next owner finds it."""
    file = SpoolFile(path, room)
    file.open()
    return file


@contextmanager
def abandoned(path, *sizes):
    """A file whose owner was killed: nothing was folded back into it."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tracker.spool.file import Room, SpoolFile\n"
        "from tracker.spool.frames import Kind\n"
        f"file = SpoolFile(Path({str(path)!r}), Room(1 << 30, 0))\n"
        f"for number, size in {sizes!r}:\n"
        "    bodies = [str(n).encode().rjust(size, b'.') for n in range(number)]\n"
        "    file.insert(Kind.CLICK, bodies)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGKILL
    yield path


def test_records_come_back_in_the_order_they_went(file):
    file.insert(Kind.CLICK, bodies(3))
    file.insert(Kind.POSTBACK, [b"last"])

    assert kept(file) == [*bodies(3), b"last"]
    assert [one.number for one in file.list_waiting(10)] == [1, 2, 3, 4]
    assert file.waiting == 4


def test_what_was_drained_is_forgotten(file, path):
    file.insert(Kind.CLICK, bodies(3))
    file.delete([1, 2])

    assert kept(file) == bodies(3)[2:]
    file.close()
    assert kept(reopened(path)) == bodies(3)[2:]


def test_a_refused_record_is_out_of_the_way_but_kept(file, path):
    file.insert(Kind.CLICK, bodies(2))
    file.refuse(1, "no store takes it")

    assert kept(file) == bodies(2)[1:]
    file.delete([2])
    assert not file.is_empty()


def test_a_killed_owner_leaves_everything_that_was_answered(path):
    with abandoned(path, (50, 100), (50, 20_000)):
        assert kept(reopened(path)) == [*bodies(50), *bodies(50, size=20_000)]


@pytest.mark.parametrize("flipped", [True, False], ids=["flipped", "cut"])
def test_damage_at_the_end_of_the_log_costs_no_whole_record(path, flipped):
    """SQLite drops the whole last batch; only one of its records is damaged."""
    with abandoned(path, (20, 100), (40, 1000)):
        log = path.with_name(f"{path.name}-wal")
        _damage(log, 5_000, flipped)
        found = kept(reopened(path))

    assert set(found) < {*bodies(20), *bodies(40, size=1000)}
    assert len(found) >= 20 + 40 - 6


@pytest.mark.parametrize("flipped", [True, False], ids=["flipped", "cut"])
def test_a_damaged_file_is_set_aside_and_its_whole_records_are_kept(path, flipped):
    file = SpoolFile(path, ROOM)
    file.insert(Kind.CLICK, bodies(200, size=1000))
    file.close()
    _damage(path, 20_000, flipped)

    found = kept(reopened(path))

    assert set(found) <= set(bodies(200, size=1000))
    assert len(found) >= 200 - 45
    assert found == sorted(found)


def test_a_damaged_record_does_not_stop_the_others(path):
    file = SpoolFile(path, ROOM)
    file.insert(Kind.CLICK, bodies(3))
    file.close()
    content = path.read_bytes()
    place = content.index(bodies(3)[1])
    path.write_bytes(content[:place] + b"X" + content[place + 1 :])

    file = reopened(path)

    assert kept(file) == [bodies(3)[0], bodies(3)[2]]
    assert not file.is_empty()


def test_what_is_no_spool_at_all_is_set_aside(path):
    path.write_bytes(b"not a database, and not empty" * 100)

    file = reopened(path)
    file.insert(Kind.CLICK, bodies(1))

    assert kept(file) == bodies(1)
    assert path.with_name("owner.sqlite.damaged-1").exists()


def test_a_full_spool_takes_no_more_and_loses_nothing(path):
    file = reopened(path, Room(most=1 << 20, free=0))
    taken = []

    def fill():
        for number in range(2000):
            body = b"%d" % number * 1000
            file.insert(Kind.CLICK, [body])
            taken.append(body)

    with pytest.raises(SpoolError, match="full"):
        fill()

    assert kept(file) == taken
    file.delete([record.number for record in file.list_waiting(10)])
    file.insert(Kind.CLICK, [b"there is room again"])


def test_a_disk_that_has_little_left_is_left_alone(path):
    file = SpoolFile(path, Room(most=1 << 30, free=1 << 62))

    with pytest.raises(SpoolError, match="too full"):
        file.insert(Kind.CLICK, bodies(1))


def test_a_disk_that_refuses_is_told_and_tried_again(file):
    file.insert(Kind.CLICK, [b"before"])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(SpoolError):
            file.insert(Kind.CLICK, [b"x" * 100_000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)

    file.insert(Kind.CLICK, [b"after"])
    assert kept(file) == [b"before", b"after"]


def test_a_write_error_leaves_what_was_there(file):
    file.insert(Kind.CLICK, [b"before"])
    arm("spool.written:error")
    try:
        with pytest.raises(SpoolError, match="failpoint"):
            file.insert(Kind.CLICK, [b"never"])
    finally:
        arm("")

    file.insert(Kind.CLICK, [b"after"])
    assert kept(file) == [b"before", b"after"]


def test_a_commit_that_failed_may_have_written_and_costs_no_later_one(file):
    """Its records are found when the file is opened anew, and their numbers kept."""
    arm("spool.committed:error")
    try:
        with pytest.raises(SpoolError, match="failpoint"):
            file.insert(Kind.CLICK, [b"unanswered"])
    finally:
        arm("")

    file.insert(Kind.CLICK, [b"after"])

    assert kept(file) == [b"unanswered", b"after"]
    assert file.waiting == 2


def test_nothing_to_forget_is_nothing_done(file):
    file.insert(Kind.CLICK, [b"kept"])
    file.delete([])
    assert kept(file) == [b"kept"]


def test_who_is_killed_while_recovering_leaves_everything_to_the_next(path):
    file = SpoolFile(path, ROOM)
    file.insert(Kind.CLICK, bodies(200, size=1000))
    file.close()
    _damage(path, 20_000, flipped=False)
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from tracker.spool.file import Room, SpoolFile\n"
        "path = Path(%r)\n"
        "file = SpoolFile(path, Room(1 << 30, 0))\n"
        "file._replace = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        "file.open()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program % str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL

    found = kept(reopened(path))

    assert len(found) >= 200 - 45
    assert path.with_name("owner.sqlite.damaged-1").exists()


def test_a_second_damage_is_kept_beside_the_first(path):
    for _ in range(2):
        path.write_bytes(b"not a database, and not empty" * 100)
        reopened(path).close()

    assert path.with_name("owner.sqlite.damaged-2").exists()


def test_a_file_that_was_removed_is_made_again(file, path):
    file.insert(Kind.CLICK, [b"gone"])
    file.close()
    path.unlink()

    file.insert(Kind.CLICK, [b"new"])

    assert kept(file) == [b"new"]


def test_a_spool_that_was_large_is_small_again_once_it_is_empty(path, monkeypatch):
    monkeypatch.setattr("tracker.spool.file._WASTE_BYTES", 1 << 20)
    file = reopened(path)
    file.insert(Kind.CLICK, bodies(200, size=20_000))
    file.close()
    file = reopened(path)
    assert path.stat().st_size > 1 << 20

    file.delete(list(range(1, 201)))
    file.close()

    assert path.stat().st_size < 1 << 20


def test_it_is_written_through_to_the_disk(file, path):
    """What was answered must survive a loss of power: WAL, and every commit synced."""
    file.open()
    with sqlite3.connect(path) as other:
        assert other.execute("pragma journal_mode").fetchone() == ("wal",)
    other.close()
    assert file._connection.execute("pragma synchronous").fetchone() == (2,)
    assert path.stat().st_mode & 0o077 == 0


def _damage(path, from_end, flipped):
    content = bytearray(path.read_bytes())
    place = len(content) - from_end
    if flipped:
        content[place] ^= 0xFF
    else:
        del content[place:]
    path.write_bytes(content)
