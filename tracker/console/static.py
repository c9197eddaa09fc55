"""
What pages load: style sheets and scripts, all of them from here.

Each is served under a name that holds its hash, so that a browser may keep it for ever
and never has an old one.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_FOLDER = Path(__file__).parent / "static"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PREFIX = "/static/"


def _named(path: Path) -> str:
    digest = sha256(path.read_bytes()).hexdigest()[:12]
    return f"{path.stem}.{digest}{path.suffix}"


_FILES = {
    _named(path): path for path in sorted(_FOLDER.iterdir()) if path.suffix in _KINDS
}

STATIC_URLS: Mapping[str, str] = {
    path.name: _PREFIX + name for name, path in _FILES.items()
}
"""Where each file is served, by its own name."""


async def show_static(request: Request) -> Response:
    """One of the files."""
    path = _FILES.get(request.path_params["name"])
    if path is None:
        return PlainTextResponse("There is no such file.\n", 404)
    return Response(
        path.read_bytes(),
        media_type=_KINDS[path.suffix],
        headers={
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        },
    )
