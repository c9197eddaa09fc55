"""Who is let in: by a session's cookie, or by a token."""

from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import see
from tracker.domain.person import Permission, Person


async def admit(request: Request, needs: Permission | None) -> Response | None:
    """
    None to let the request through, with `request.state.person` who asks.

    Otherwise the answer: a stranger is shown where to sign in, anybody else that this
    is not theirs.
    """
    request.state.person = await identify(request)
    if needs is None:
        return None
    if request.state.person is None:
        return see("/sign-in")
    return None


async def identify(_: Request) -> Person | None:
    """Who asks; None for a stranger."""
    return None
