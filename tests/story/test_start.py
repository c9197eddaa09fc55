import pytest

from tracker.domain.errors import MigrationError, SettingsError, StoreUnavailableError
from tracker.flow.start import start
from tracker.runtime import open_runtime
from tracker.settings import Settings


async def test_a_process_with_other_keys_does_not_start(settings, app):
    """It would call the click ids of the others forged."""
    other = Settings(**{**settings.model_dump(), "secret_keys": f"0:{'11' * 16}"})
    async with open_runtime(other) as runtime:
        with pytest.raises(SettingsError, match="key 0 is not the one"):
            await start(runtime)


async def test_a_further_key_is_welcome(settings, app):
    keys = f"1:{'11' * 16},0:{'00' * 16}"
    rotated = Settings(**{**settings.model_dump(), "secret_keys": keys})
    async with open_runtime(rotated) as runtime:
        await start(runtime)
        assert runtime.catalog.version == 1


async def test_keys_are_taken_on_trust_while_postgres_is_away(
    settings, app, monkeypatch
):
    async with open_runtime(settings) as runtime:

        async def is_away(*_):
            raise StoreUnavailableError

        monkeypatch.setattr(runtime.keys, "insert", is_away)
        await start(runtime)
        assert runtime.catalog.version == 1


async def test_a_database_without_our_schema_is_named_so(settings, empty_database_url):
    bare = Settings(**{**settings.model_dump(), "database_url": empty_database_url})
    async with open_runtime(bare) as runtime:
        with pytest.raises(MigrationError, match="run tracker migrate"):
            await start(runtime)


async def test_a_copy_that_cannot_be_written_costs_no_catalog(settings, tmp_path):
    """The disk is full, or the folder is gone: visitors are redirected all the same."""
    nowhere = settings.model_copy(update={"data_dir": tmp_path / "nowhere"})
    async with open_runtime(nowhere) as runtime:
        await start(runtime)
        assert runtime.catalog.version == 1
