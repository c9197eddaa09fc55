"""What every process does before its work begins."""

import structlog

from tracker.domain.errors import StoreUnavailableError
from tracker.flow.catalog import open_catalog
from tracker.runtime import Runtime

log = structlog.get_logger()


async def start(runtime: Runtime) -> None:
    """
    The keys are this database's, and there is a catalog.

    Raises SettingsError or CatalogError otherwise. With Postgres down the keys are
    taken on trust: visitors must still be redirected.
    """
    try:
        await runtime.keys.insert(runtime.settings.signing_keys.fingerprints())
    except StoreUnavailableError:
        log.warning("keys.unchecked", because="Postgres does not answer")
    await open_catalog(runtime)
