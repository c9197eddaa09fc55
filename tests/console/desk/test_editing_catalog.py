"""An edit in the console: into the file and in force, whatever comes in between."""

import asyncio
import os
import stat

import pytest

from tracker.catalog import FaultyCatalogError
from tracker.domain.errors import (
    EditConflictError,
    RefusedChangeError,
    StoreUnavailableError,
)
from tracker.domain.line_end import with_line_ends
from tracker.flow import editing
from tracker.flow.catalog import follow_catalog, open_catalog
from tracker.flow.editing import (
    Base,
    find_faults,
    look_at_catalog,
    restore_catalog,
    save_catalog,
)
from tracker.runtime import open_runtime


def renamed(text, name="Better Shoes"):
    return text.replace("name: Shoes", f"name: {name}")


async def test_an_edit_is_in_force_and_in_the_file_at_once(runtime, catalog_file, rows):
    """Every byte that was not edited stays, and so does the file's mode."""
    catalog_file.chmod(0o640)
    before = await look_at_catalog(runtime)

    version = await save_catalog(runtime, renamed(before.latest), before.base, by="Ada")

    after = await look_at_catalog(runtime)
    assert version == runtime.catalog.version == 2
    assert runtime.catalog.offers["shoes"].name == "Better Shoes"
    assert catalog_file.read_text() == renamed(before.content) == after.content
    assert stat.S_IMODE(catalog_file.stat().st_mode) == 0o640
    assert after.is_same
    assert await rows("select version, edited_by from catalog_versions") == [
        (1, None), (2, "Ada"),
    ]  # fmt: skip
    assert list(catalog_file.parent.iterdir()) == [catalog_file]


async def test_a_worker_that_sees_the_edit_makes_no_version_of_it(
    runtime, settings, rows
):
    async with open_runtime(settings) as worker:
        await open_catalog(worker)
        task = asyncio.create_task(follow_catalog(worker, applies_edits=True))
        standing = await look_at_catalog(runtime)
        await save_catalog(runtime, renamed(standing.latest), standing.base, by="Ada")
        async with asyncio.timeout(5):
            while worker.catalog.version < 2:  # noqa: ASYNC110 - nothing rings
                await asyncio.sleep(0.02)
        await asyncio.sleep(1)
        task.cancel()

    assert await rows("select version, edited_by from catalog_versions") == [
        (1, None), (2, "Ada"),
    ]  # fmt: skip


async def test_a_faulty_text_changes_nothing(runtime, catalog_file, rows):
    standing = await look_at_catalog(runtime)
    faulty = standing.latest.replace("payout: 2.50", "payout: two")

    with pytest.raises(FaultyCatalogError, match=r"partners\.yaml:16:"):
        await save_catalog(runtime, faulty, standing.base, by="Ada")

    assert catalog_file.read_text() == standing.content
    assert await rows("select count(*) from catalog_versions") == [(1,)]
    assert list(catalog_file.parent.iterdir()) == [catalog_file]


async def test_of_two_editors_the_second_is_told(runtime, settings, catalog_file):
    standing = await look_at_catalog(runtime)
    async with open_runtime(settings) as other:
        await open_catalog(other)
        ended = await asyncio.gather(
            save_catalog(
                runtime, renamed(standing.latest, "One"), standing.base, by="Ada"
            ),
            save_catalog(
                other, renamed(standing.latest, "Two"), standing.base, by="Bo"
            ),
            return_exceptions=True,
        )

    after = await look_at_catalog(runtime)
    assert sorted(type(one) for one in ended if not isinstance(one, int)) == [
        EditConflictError
    ]
    assert 2 in ended
    assert after.in_force.version == 2
    assert after.is_same


async def test_an_edit_from_outside_is_never_written_over(runtime, catalog_file):
    standing = await look_at_catalog(runtime)
    catalog_file.write_text(renamed(standing.content, "By vi"))

    with pytest.raises(EditConflictError):
        await save_catalog(runtime, renamed(standing.latest), standing.base, by="Ada")

    assert "By vi" in catalog_file.read_text()
    assert (await look_at_catalog(runtime)).is_newer


async def test_an_edit_from_outside_at_the_last_moment_wins(
    runtime, catalog_file, monkeypatch, rows
):
    """Even one that comes while the new version is in its transaction."""
    standing = await look_at_catalog(runtime)
    monkeypatch.setattr(
        editing,
        "failpoint",
        lambda _: catalog_file.write_text(renamed(standing.content, "By vi")),
    )

    with pytest.raises(EditConflictError):
        await save_catalog(runtime, renamed(standing.latest), standing.base, by="Ada")

    assert "By vi" in catalog_file.read_text()
    assert await rows("select count(*) from catalog_versions") == [(1,)]


@pytest.mark.parametrize(
    ("place", "in_file", "versions"),
    [("catalog.to_place", "Shoes", 1), ("catalog.placed", "Better Shoes", 1)],
)
async def test_file_and_postgres_agree_whatever_dies_in_between(
    runtime, settings, catalog_file, rows, monkeypatch, place, in_file, versions
):
    """A file that is ahead is an edit that the next process puts in force."""
    standing = await look_at_catalog(runtime)

    class DeadError(BaseException):
        pass

    def die(name):
        if name == place:
            raise DeadError

    monkeypatch.setattr(editing, "failpoint", die)
    with pytest.raises(DeadError):
        await save_catalog(runtime, renamed(standing.latest), standing.base, by="Ada")
    assert f"name: {in_file}\n" in catalog_file.read_text()
    assert await rows("select count(*) from catalog_versions") == [(versions,)]

    async with open_runtime(settings) as next_one:
        await open_catalog(next_one)
        assert (await look_at_catalog(next_one)).is_same
        assert next_one.catalog.offers["shoes"].name == in_file


async def test_a_commit_that_is_not_confirmed_is_said_and_made_up_for(
    runtime, settings, catalog_file, rows, monkeypatch
):
    standing = await look_at_catalog(runtime)

    def lose(name):
        if name == "catalog.placed":
            raise StoreUnavailableError

    monkeypatch.setattr(editing, "failpoint", lose)
    with pytest.raises(StoreUnavailableError, match="the file is written"):
        await save_catalog(runtime, renamed(standing.latest), standing.base, by="Ada")

    assert "Better Shoes" in catalog_file.read_text()
    async with open_runtime(settings) as worker:
        await open_catalog(worker)
        assert worker.catalog.version == 2


async def test_a_file_that_cannot_be_written_is_said_before_anything_is(
    runtime, catalog_file, rows, monkeypatch
):
    standing = await look_at_catalog(runtime)

    def is_read_only(*_, **__):
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("tempfile.mkstemp", is_read_only)
    with pytest.raises(RefusedChangeError, match="Read-only file system"):
        await save_catalog(runtime, renamed(standing.latest), standing.base, by="Ada")

    assert await rows("select count(*) from catalog_versions") == [(1,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_a_file_of_somebody_else_s_stays_theirs(
    runtime, catalog_file, rows, monkeypatch
):
    standing = await look_at_catalog(runtime)
    os.chown(catalog_file, 12345, 12345)

    def is_not_ours_to_give(*_):
        raise PermissionError(1, os.strerror(1))

    monkeypatch.setattr("os.chown", is_not_ours_to_give)
    with pytest.raises(RefusedChangeError, match="another user"):
        await save_catalog(runtime, renamed(standing.latest), standing.base, by="Ada")

    assert catalog_file.read_text() == standing.content
    assert await rows("select count(*) from catalog_versions") == [(1,)]


async def test_a_host_without_the_file_edits_nothing(runtime, catalog_file, rows):
    catalog_file.unlink()
    standing = await look_at_catalog(runtime)
    assert "cannot be read" in standing.problem

    with pytest.raises(RefusedChangeError, match="No such file"):
        await save_catalog(runtime, renamed(standing.latest), standing.base, by="Ada")

    assert await rows("select count(*) from catalog_versions") == [(1,)]


async def test_a_link_stays_a_link(runtime, settings, tmp_path):
    """Deployments often put the file elsewhere and link to it."""
    real = tmp_path / "elsewhere.yaml"
    settings.catalog.rename(real)
    settings.catalog.symlink_to(real)
    standing = await look_at_catalog(runtime)

    await save_catalog(runtime, renamed(standing.latest), standing.base, by="Ada")

    assert settings.catalog.is_symlink()
    assert "Better Shoes" in real.read_text()


async def test_an_older_file_of_this_host_is_replaced_by_what_is_edited(
    runtime, catalog_file
):
    """An edit begins with what is in force, where that came from another host."""
    old = catalog_file.read_text().replace("Best Deals", "Old Deals")
    catalog_file.write_text(old)
    os.utime(catalog_file, (-10, -10))
    standing = await look_at_catalog(runtime)
    assert not standing.is_newer
    assert standing.latest == standing.content

    await save_catalog(runtime, renamed(standing.latest), standing.base, by="Ada")

    assert (await look_at_catalog(runtime)).is_same


async def test_a_faulty_file_gives_way_to_what_is_in_force(runtime, catalog_file, rows):
    """No version is made for that; only the file is put right."""
    catalog_file.write_text("version: 2\n")
    standing = await look_at_catalog(runtime)
    assert standing.is_newer

    version = await restore_catalog(runtime, 1, standing.base, by="Ada")

    assert version == 1
    assert catalog_file.read_text() == standing.content
    assert await rows("select count(*) from catalog_versions") == [(1,)]


async def test_an_earlier_version_comes_back_as_a_new_one(runtime, catalog_file, rows):
    first = await look_at_catalog(runtime)
    await save_catalog(runtime, renamed(first.latest), first.base, by="Ada")
    second = await look_at_catalog(runtime)

    version = await restore_catalog(runtime, 1, second.base, by="Bo")

    assert version == 3
    assert catalog_file.read_text() == first.content
    assert await rows("select edited_by from catalog_versions where version = 3") == [
        ("Bo",)
    ]


async def test_a_file_keeps_the_ends_of_its_lines(runtime, catalog_file, settings):
    """A browser sends CR LF whatever the file has."""
    standing = await look_at_catalog(runtime)
    typed = renamed(standing.latest).replace("\n", "\r\n")

    await save_catalog(runtime, typed, standing.base, by="Ada")

    assert b"\r" not in catalog_file.read_bytes()


@pytest.mark.parametrize(
    ("typed", "like", "kept"),
    [
        ("a\r\nb\r\n", "a\nb\n", "a\nb\n"),
        ("a\r\nB\r\n", "a\r\nb\r\n", "a\r\nB\r\n"),
        ("a\r\nB\r\nc\r\nd", "a\r\nb\nc\r\nd", "a\r\nB\r\nc\r\nd"),
        ("a\nb\nnew\nc", "a\nb\r\nc", "a\nb\r\nnew\nc"),
        ("", "a\r\n", ""),
    ],
)
def test_each_line_keeps_its_end(typed, like, kept):
    assert with_line_ends(typed, like) == kept


async def test_faults_and_hints_of_a_text_are_found_by_line(runtime):
    standing = await look_at_catalog(runtime)

    good = await find_faults(runtime, standing.latest)
    faulty = await find_faults(runtime, standing.latest.replace("2.50", "two"))

    assert not good.faults
    assert good.hints
    assert [fault.line for fault in faulty.faults] == [16]
    assert not faulty.hints


async def test_what_was_never_loaded_is_not_saved(runtime):
    standing = await look_at_catalog(runtime)

    with pytest.raises(EditConflictError):
        await save_catalog(runtime, standing.latest, Base("", 1), by="Ada")
