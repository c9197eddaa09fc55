"""
Parts of a call that an advertiser uses as parameters: path segments and headers.

They are read where its names ask for them, and then are parameters as all others:
`path:2` is the second segment behind `/postback/ADVERTISER/`, `path:ref` what stands in
one that is `ref:…`, wherever it is, and `header:x-click-id` a header.
"""

from collections.abc import Sequence
from urllib.parse import unquote

from starlette.types import Scope

from tracker.domain.postback import conceal_segment
from tracker.domain.vocabulary import HEADER, PATH, Vocabulary, find_segment, is_part

PREFIX = "/postback"

Pairs = list[tuple[str, str]]


def parts_of(scope: Scope, names: Sequence[str]) -> Pairs:
    """Those that are there, in the order of their names."""
    segments = _segments(scope)
    found: Pairs = []
    for name in names:
        if name.startswith(PATH):
            values = find_segment(segments, name)
        else:
            values = _headers(scope, name.removeprefix(HEADER))
        found += [(name, one) for one in values]
    return found


def without_parts(pairs: Pairs) -> Pairs:
    """What was sent under such a name is none: a part cannot be made up."""
    return [pair for pair in pairs if not is_part(pair[0].lower())]


def conceal_path(scope: Scope, vocabulary: Vocabulary) -> str:
    """The path without the segments that hold a secret."""
    route, *others = _segments(scope)
    kept = [
        conceal_segment(number, one, vocabulary) for number, one in enumerate(others, 1)
    ]
    return f"{PREFIX}/{'/'.join([route, *kept])}"


def _segments(scope: Scope) -> list[str]:
    """The route and what follows, decoded each for itself: %2F is no slash."""
    raw = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1").removeprefix(PREFIX).lstrip("/")
    return [unquote(segment, errors="replace") for segment in path.split("/")]


def _headers(scope: Scope, name: str) -> list[str]:
    wanted = name.encode()
    return [value.decode("latin-1") for key, value in scope["headers"] if key == wanted]
