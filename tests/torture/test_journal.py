import asyncio

from journal import Journal, read_journal


async def test_what_was_written_is_read_again_in_order(tmp_path):
    journal = Journal(tmp_path / "notes")
    await asyncio.gather(*(journal.write("visit", number=n) for n in range(50)))

    read = [facts["number"] for _, facts in read_journal(tmp_path / "notes")]
    assert read == list(range(50))


async def test_a_line_that_was_cut_off_was_never_written(tmp_path):
    notes = tmp_path / "notes"
    await Journal(notes).write("visit", number=1)
    with notes.open("ab") as file:
        file.write(b'["visit", {"num')

    assert list(read_journal(notes)) == [["visit", {"number": 1}]]


async def test_what_is_written_is_on_disk_when_it_returns(tmp_path, monkeypatch):
    """Each line is synced before its writer goes on; many share a sync."""
    synced = []
    notes = tmp_path / "notes"
    monkeypatch.setattr("os.fdatasync", lambda _: synced.append(notes.read_bytes()))
    journal = Journal(notes)
    await asyncio.gather(*(journal.write("visit", number=n) for n in range(50)))

    assert synced[-1].count(b"\n") == 50
    assert len(synced) < 50
