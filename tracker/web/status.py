"""`/healthz`, `/readyz` and `/metrics`: what operators and their monitors ask."""

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tracker import metrics
from tracker.flow.catalog import describe_file
from tracker.runtime import Runtime
from tracker.store.postgres import is_answering
from tracker.store.redis import UNAVAILABLE, faults_of


async def healthz(_: Request) -> Response:
    """The process is alive."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """
    200 as long as visitors are redirected, with everything degraded by name.

    Visitors are redirected as soon as there is a catalog, whatever store is down.
    """
    runtime: Runtime = request.app.state.runtime
    degraded = await list_degraded(runtime)
    is_ready = runtime.catalog.version > 0
    return JSONResponse(
        {
            "ready": is_ready,
            "catalog_version": runtime.catalog.version,
            "degraded": degraded,
        },
        200 if is_ready else 503,
    )


async def render_metrics(_: Request) -> Response:
    """Every counter, in the text format of Prometheus."""
    return Response(metrics.render(), media_type=metrics.CONTENT_TYPE)


async def list_degraded(runtime: Runtime) -> dict[str, str]:
    """What does not work as it should, and how."""
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
