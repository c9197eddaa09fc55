import asyncio
import errno
import subprocess
import sys

import pytest

from tracker.domain.errors import SpoolError
from tracker.spool import Kind, Room, SpoolFolder
from tracker.spool.lock import FileLock

ROOM = Room(most=1 << 30, free=0)
SECONDS = 10


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
async def process(folder):
    """Another process on the same host, as far as locks can tell."""
    opened = []

    def process():
        opened.append(SpoolFolder(folder, ROOM))
        return opened[-1]

    yield process
    for one in opened:
        await one.close()


def leave(folder, *bodies):
    """Spools something in a process that is then killed."""
    program = (
        "import asyncio, os, signal\n"
        "from pathlib import Path\n"
        "from tracker.spool import Kind, Room, SpoolFolder\n"
        "async def main():\n"
        f"    folder = SpoolFolder(Path({str(folder)!r}), Room(1 << 30, 0))\n"
        f"    await folder.insert(Kind.CLICK, {bodies!r}, 10)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False)


async def kept(folder):
    return [r.body for one in folder.spools for r in await one.list_waiting(100)]


async def test_a_process_finds_what_a_killed_one_has_left(folder, process):
    leave(folder, b"one", b"two")
    heir = process()

    await heir.adopt()

    assert await kept(heir) == [b"one", b"two"]


async def test_what_a_living_process_holds_is_left_alone(process):
    owner, other = process(), process()
    await owner.insert(Kind.CLICK, [b"mine"], SECONDS)

    await other.adopt()

    assert (await kept(owner), await kept(other)) == ([b"mine"], [])


async def test_of_two_that_adopt_one_does(folder, process):
    for body in (b"one", b"two", b"three"):
        leave(folder, body)
    heirs = [process() for _ in range(4)]

    await asyncio.gather(*(heir.adopt() for heir in heirs))

    adopted = [body for heir in heirs for body in await kept(heir)]
    assert sorted(adopted) == [b"one", b"three", b"two"]


async def test_an_adopted_one_that_is_drained_leaves_nothing_behind(folder, process):
    leave(folder, b"one")
    heir = process()
    await heir.adopt()
    (spool,) = heir.spools

    await spool.delete([1])
    await heir.let_go(spool)

    assert list(folder.iterdir()) == []


async def test_one_that_still_holds_a_refused_record_is_kept(folder, process):
    leave(folder, b"one")
    heir = process()
    await heir.adopt()
    (spool,) = heir.spools

    await spool.refuse(1, "nobody takes it")
    await heir.let_go(spool)
    await heir.adopt()

    assert heir.spools == [spool]


async def test_a_process_that_ends_with_something_left_can_be_followed(folder, process):
    owner, heir = process(), process()
    await owner.insert(Kind.POSTBACK, [b"left"], SECONDS)

    await owner.close()
    await heir.adopt()

    assert await kept(heir) == [b"left"]


async def test_a_process_that_ends_with_nothing_left_leaves_no_file(folder, process):
    owner = process()
    await owner.open_own()

    await owner.close()

    assert list(folder.iterdir()) == []


async def test_a_lock_whose_file_is_gone_is_removed(folder, process):
    folder.mkdir()
    (folder / "1-0.lock").touch()
    (folder / "1-0.sqlite").touch()
    heir = process()

    await heir.adopt()
    (spool,) = heir.spools
    await heir.let_go(spool)

    assert list(folder.iterdir()) == []


async def test_what_cannot_be_opened_does_not_stop_the_others(folder, process):
    leave(folder, b"one")
    (folder / "0-0.sqlite").mkdir()
    heir = process()

    await heir.adopt()

    assert await kept(heir) == [b"one"]


async def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "spool").write_text("in the way")
    folder = SpoolFolder(tmp_path / "spool", ROOM)

    with pytest.raises(SpoolError):
        await folder.insert(Kind.CLICK, [b"one"], SECONDS)

    assert "spool" in folder.fault


async def test_a_folder_that_cannot_be_synced_is_told_and_leaves_no_lock(
    folder, process, monkeypatch
):
    def refuse(_):
        raise OSError(errno.EINVAL, "no sync here")

    owner = process()
    monkeypatch.setattr("tracker.spool.folder.sync_folder", refuse)
    for _ in range(3):
        with pytest.raises(SpoolError, match="no sync"):
            await owner.insert(Kind.CLICK, [b"one"], SECONDS)

    assert len(list(folder.glob("*.lock"))) == 1
    monkeypatch.undo()
    await owner.insert(Kind.CLICK, [b"two"], SECONDS)
    assert await kept(owner) == [b"two"]


async def test_a_disk_that_hangs_is_not_waited_for(process, monkeypatch):
    """The first waits as long as it may, the others not at all; then it goes on."""
    owner = process()
    spool = await owner.open_own()
    hung, let_go = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang():
        loop.call_soon_threadsafe(hung.set)
        asyncio.run_coroutine_threadsafe(let_go.wait(), loop).result()

    hanging = loop.run_in_executor(spool._thread, hang)
    await hung.wait()
    with pytest.raises(SpoolError, match="in time"):
        await owner.insert(Kind.CLICK, [b"first"], 0.01)
    with pytest.raises(SpoolError, match="hangs"):
        await owner.insert(Kind.CLICK, [b"second"], SECONDS)

    let_go.set()
    await hanging
    await spool.is_empty()
    await owner.insert(Kind.CLICK, [b"third"], SECONDS)
    assert await kept(owner) == [b"first", b"third"]


def test_a_lock_is_held_once(tmp_path):
    lock = FileLock.take(tmp_path / "one.lock")
    with pytest.raises(BlockingIOError):
        FileLock.take(tmp_path / "one.lock")

    lock.release()
    FileLock.take(tmp_path / "one.lock").release()
