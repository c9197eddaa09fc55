"""`/healthz`, `/readyz` and `/metrics`: what operators and their monitors ask."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tracker import metrics
from tracker.flow.condition import list_degraded

if TYPE_CHECKING:
    from tracker.runtime import Runtime


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
