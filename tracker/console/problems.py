"""What programs are told when something is refused: RFC 9457, problem details."""

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import HEADERS, page

API = "/api/"


def refuse(
    request: Request, status: int, detail: str, headers: dict[str, str] | None = None
) -> Response:
    """The refusal as a page, or for a program as a problem."""
    if request.url.path.startswith(API):
        return problem(status, detail, headers)
    answer = page(request, "error.html", status=status, said=detail)
    answer.headers.update(headers or {})
    return answer


def problem(
    status: int, detail: str, headers: dict[str, str] | None = None
) -> Response:
    """The type is always `about:blank`: the status says the kind, `detail` the rest."""
    said = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Response(
        msgspec.json.encode(said),
        status,
        {**HEADERS, **(headers or {})},
        "application/problem+json",
    )
