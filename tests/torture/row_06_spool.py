"""The spool on a disk that is full, that fails, and that forgets."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import spools
from row import Row, must, told
from stores import temporary_folder

from tracker.spool.file import SpoolFile
from tracker.spool.frames import Kind, Record, make_frame

AFTERWARDS = b"written by the next owner"


def attack(scale):
    with temporary_folder("/tmp") as folder:
        yield from _full(folder, scale)
        yield from _errors(folder, scale)
        yield from _damages(folder, scale)
        yield from _adopters(folder, scale)


def _full(folder, scale):
    path = folder / "full.sqlite"
    number = scale.pick(5000, 2000)
    said = spools.run("write_on_a_full_disk", str(path), str(scale.seed), str(number))
    yield from _kept_what_it_took("disk full", path, said, scale, number)


def _errors(folder, scale):
    path = folder / "errors.sqlite"
    number = scale.pick(2000, 200)
    said = spools.run("write_with_errors", str(path), str(scale.seed), str(number))
    yield from _kept_what_it_took("write errors", path, said, scale, number)


def _kept_what_it_took(what, path, said, scale, number):
    """What was answered is there; what was refused was refused, and no more."""
    sent = spools.bodies(scale.seed, number)
    taken = [sent[n] for n in _places(said, "taken")]
    refused = _places(said, "refused")
    found = _recovered(path)
    lost = len(set(taken) - set(found))
    yield told(f"{what}: taken, refused", f"{len(taken)}, {len(refused)}")
    yield must(f"{what}: it was met", len(refused), refused)
    yield must(f"{what}: records lost", lost, not lost)


def _damages(folder, scale):
    rounds = scale.pick(200, 4)
    with ThreadPoolExecutor(2) as threads:
        places = [(folder / f"{n}.sqlite", scale.seed + n) for n in range(rounds)]
        counts = Counter()
        for count in threads.map(lambda place: _damaged(*place), places):
            counts += count
    yield told("files cut or flipped", f"{rounds}, {counts['whole']} records in them")
    yield must("whole records lost", counts["lost"], not counts["lost"])
    yield must("records made up", counts["made_up"], not counts["made_up"])
    yield must("owners that could not go on", counts["stuck"], not counts["stuck"])


def _damaged(path, seed):
    chance = random.Random(seed)
    number = chance.randint(20, 400)
    spools.leave(path, seed, number)
    sent = spools.bodies(seed, number)
    for file in (path, path.with_name(f"{path.name}-wal")):
        if chance.random() < 0.7:
            _damage(file, chance)
    whole = {body for n, body in enumerate(sent, 1) if _is_in(n, body, path)}
    found = set(_recovered(path))
    return Counter(
        whole=len(whole),
        lost=len(whole - found),
        made_up=len(found.difference(sent)),
        stuck=not _goes_on(path),
    )


def _damage(file, chance):
    """Near the end: cut there, or a byte that is another."""
    content = bytearray(file.read_bytes())
    if not content:
        return
    place = max(0, len(content) - chance.randint(1, 60_000))
    if chance.random() < 0.5:
        del content[place:]
    else:
        content[place] ^= chance.randint(1, 255)
    file.write_bytes(content)


def _is_in(number, body, path):
    """In one piece, as the bytes of the files show: without any help of SQLite."""
    frame = make_frame(Record(number, Kind.CLICK, body))
    log = path.with_name(f"{path.name}-wal")
    return frame in path.read_bytes() or frame in log.read_bytes()


def _recovered(path):
    file = SpoolFile(path, spools.ROOM)
    try:
        file.open()
        return [record.body for record in file.list_waiting(1_000_000)]
    finally:
        file.close()


def _goes_on(path):
    """It is opened and written to again and again, as by a process that restarts."""
    for _ in range(3):
        file = SpoolFile(path, spools.ROOM)
        file.insert(Kind.CLICK, [AFTERWARDS])
        file.close()
    return _recovered(path).count(AFTERWARDS) == 3


def _adopters(folder, scale):
    files, number = scale.pick(20, 4), scale.pick(200, 50)
    crowd = folder / "crowd"
    crowd.mkdir()
    for owner in range(files):
        spools.leave(crowd / f"{owner}.sqlite", scale.seed + owner, number)
    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(lambda _: spools.run("adopt", str(crowd)), range(2)))
    lines = [line for heard in said for line in heard.splitlines()]
    times = Counter(line for line in lines if line.startswith("found "))
    twice = sum(count > 1 for count in times.values())
    yield told("two adopters: files, records", f"{files}, {len(times)}")
    yield must(
        "found by nobody", files * number - len(times), len(times) == files * number
    )
    yield must("found by both", twice, not twice)
    left = sum(1 for _ in crowd.iterdir())
    yield must("files left behind", left, not left)


def _places(said, word):
    lines = (line.split() for line in said.splitlines())
    return [int(place) for verdict, place in lines if verdict == word]


ROW = Row(6, "a spool whose disk is full, fails, or forgets; two adopters", attack)
