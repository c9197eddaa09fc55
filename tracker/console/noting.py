"""What is done in the console is noted, whichever page it is done on."""

from http import HTTPStatus

import structlog
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.console.pages import Page, runtime_of
from tracker.console.session import actor_of
from tracker.domain.errors import StoreUnavailableError
from tracker.flow.people import note_action

log = structlog.get_logger()

_TELLING = frozenset({"do", "id", "lane", "click", "waive", "amount", "status", "note"})
"""Fields of forms that say what was done; others may hold what is nobody's business."""

_MAX_VALUE = 200


async def note_done(request: Request, declared: Page, answer: Response) -> None:
    """After it was done: if it cannot be noted, that is logged, and it stays done."""
    if "POST" not in declared.methods or request.method != "POST" or not declared.notes:
        return
    if answer.status_code >= HTTPStatus.BAD_REQUEST or declared.needs is None:
        return
    await note(request, declared.endpoint.__name__, _told(await request.form()))


async def note(request: Request, action: str, detail: str = "") -> None:
    """One line of the audit log about what this request did."""
    actor, about = actor_of(request), request.url.path
    try:
        await note_action(runtime_of(request), actor, action, about, detail)
    except StoreUnavailableError:
        log.error("audit.lost", action=action, about=about, by=actor.name)  # noqa: TRY400 - no trace says more


def _told(form: FormData) -> str:
    said = [
        f"{name}={value[:_MAX_VALUE]}"
        for name, value in sorted(form.multi_items(), key=_is_one_of_many)
        if name in _TELLING and isinstance(value, str) and value
    ]
    return " ".join(said)


def _is_one_of_many(pair: tuple[str, object]) -> bool:
    """Of two hundred ids the last are cut off, and nothing else."""
    return pair[0] == "id"
