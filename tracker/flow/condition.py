"""What does not work as it should, by name: what monitors and operators ask first."""

from tracker.flow.catalog import describe_file
from tracker.runtime import Runtime
from tracker.store.postgres import is_answering
from tracker.store.redis import UNAVAILABLE, faults_of


async def list_degraded(runtime: Runtime) -> dict[str, str]:
    """What is degraded, and how; empty when all is well."""
    found = {
        "postgres": "" if await is_answering(runtime.pool) else "does not answer",
        "redis": await _redis_fault(runtime),
        "catalog": await describe_file(runtime),
        "spool": _spool_fault(runtime),
        "countries": runtime.countries.fault,
    }
    return {name: fault for name, fault in found.items() if fault}


def _spool_fault(runtime: Runtime) -> str:
    spools = runtime.spools
    waiting = f"records that wait: {spools.waiting}" if spools.waiting else ""
    return "; ".join(filter(None, [spools.fault, waiting]))


async def _redis_fault(runtime: Runtime) -> str:
    try:
        return "; ".join(await faults_of(runtime.redis))
    except UNAVAILABLE as error:
        return f"does not answer: {type(error).__name__}"
