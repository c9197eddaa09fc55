"""How a page is declared, and how it is made."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tracker.console.formats import FILTERS
from tracker.console.static import STATIC_URLS
from tracker.domain.person import Permission, Person
from tracker.domain.postback import clean
from tracker.runtime import Runtime

Endpoint = Callable[[Request], Awaitable[Response]]

MOST_FIELD = 3 * 32 * 1024 * 1024
"""Bytes of a field: the largest catalog, with all of it encoded."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
"""Of every answer: nothing comes from elsewhere, no script stands in a page."""


@dataclass(frozen=True, slots=True)
class Page:
    """
    An address of the console and what it takes to be let in.

    `needs` is None only for what a stranger may see. There is no other way to serve
    anything, so that nobody can forget to ask. `takes_token` is False where a person
    must be signed in, and `notes` where what is done is not noted by the guard: it
    changes nothing, or writes its own line of the audit log.
    """

    path: str
    endpoint: Endpoint
    needs: Permission | None
    methods: tuple[str, ...] = ("GET",)
    takes_token: bool = True
    notes: bool = True


def personal(path: str, endpoint: Endpoint, *, needs: Permission) -> Page:
    """What changes who gets in: by a person alone, noted with what it changes."""
    return Page(
        path, endpoint, needs, methods=("POST",), takes_token=False, notes=False
    )


def runtime_of(request: Request) -> Runtime:
    """What is open while the console runs."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def person_of(request: Request) -> Person:
    """Who asks; there is somebody wherever a page needs a permission."""
    person: Person = request.state.person
    return person


def page(
    request: Request, template: str, *, status: int = 200, **values: object
) -> Response:
    """The page of that template, which also knows who asks and what may be done."""
    person: Person | None = getattr(request.state, "person", None)
    shared = {
        "path": request.url.path,
        "person": person,
        "may": _permissions(person),
        "csrf": getattr(request.state, "csrf", ""),
    }
    text = _PAGES.get_template(template).render(shared | values)
    return HTMLResponse(text, status, headers=HEADERS)


async def form_of(request: Request) -> Mapping[str, str]:
    """What a form says, each field as text; a catalog fits into one."""
    form = await request.form(max_part_size=MOST_FIELD)
    return {name: value for name, value in form.items() if isinstance(value, str)}


def piece(template: str, macro: str, *values: object) -> str:
    """What a macro of that template makes: a part of a page that comes by itself."""
    made: str = getattr(_PAGES.get_template(template).module, macro)(*values)
    return made


def see(path: str) -> Response:
    """Where to go after something was done, so that a reload does not do it again."""
    return RedirectResponse(path, 303, headers=HEADERS)


def _permissions(person: Person | None) -> Mapping[str, bool]:
    granted: Iterable[Permission] = person.permissions if person else ()
    return {one.value: one in granted for one in Permission}


def _environment() -> Environment:
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    pages.filters.update(FILTERS)
    pages.globals["static"] = STATIC_URLS
    return pages


def _printable(value: object) -> object:
    """A NUL or half a surrogate pair has no place in a page."""
    return clean(value) if type(value) is str else value


_PAGES = _environment()
