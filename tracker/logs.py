"""
Logs: one JSON object a line on stderr, one event per fact, no secret in any of them.

    {"event": "postback.accepted", "level": "info", "at": "2026-11-22T10:00:00.123456Z"}

Whatever libraries say through `logging` goes the same way. A value is masked when
its key names a secret, when it stands where a URL keeps one, or when it is itself
a secret that was registered with `hide`.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"

MIN_HIDDEN = 6
"""Shorter values are not hidden: masking them would blacken everything else."""

_WORDS = (
    r"token|secret|password|passwd|passphrase|authorization|cookie|signature|sig|hmac"
    r"|api_?key|secret_?keys?|private_?key|credentials?|session_?id"
)
_SECRET_NAME = re.compile(rf"(?:^|[^a-z])(?:{_WORDS})s?(?:$|[^a-z])", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://)[^\s/?#]*@")
# A name is taken whole and never given back, so a long text costs one pass.
_PARAMETER = re.compile(r"""(?<![\w.%\[\]-])([\w.%\[\]-]++)=[^&;\s"'#]+""")
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_CREDENTIALS = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]+", re.IGNORECASE)

_hidden: dict[str, set[str]] = {}
"""Secrets by how they begin: ten thousand of them are as soon looked for as one."""


def configure_logs(level: str = "info") -> None:
    """Send everything from `level` up to stderr; called once, when a process starts."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_SHARED, *_FINISH, _encode],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    _route_logging(number)


def hide(values: Iterable[str]) -> None:
    """Mask these secrets from now on, wherever they appear, encoded as well."""
    for value in values:
        if len(value) >= MIN_HIDDEN:
            for spelled in _spellings(value):
                _hidden.setdefault(spelled[:MIN_HIDDEN], set()).add(spelled)
    _mask_name.cache_clear()


def _spellings(value: str) -> set[str]:
    """As it is, and as URLs, JSON and HTML have it: a server may say it back."""
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    lower = {_ESCAPE.sub(lambda match: match[0].lower(), text) for text in quoted}
    in_json = json.dumps(value)[1:-1]
    in_text = {in_json, in_json.replace("/", "\\/"), escape(value)}
    return {value, *quoted, *lower, *in_text}


def mask_url(text: str) -> str:
    """A stranger's URL without what stands where a URL keeps secrets."""
    if "@" in text:
        text = _USER_INFO.sub(f"{MASK}@", text)
    if "=" in text:
        text = _PARAMETER.sub(_mask_parameter, text)
    return text


def mask(text: str) -> str:
    """The text without the secrets in it."""
    text = mask_url(_without_hidden(text))
    if " " in text:
        text = _CREDENTIALS.sub(rf"\g<1> {MASK}", text)
    return text


# Few names make up all events, so each is looked through once.
_mask_name = lru_cache(maxsize=1024)(mask)


def _without_hidden(text: str) -> str:
    """The longest first, or a secret that starts another would show its tail."""
    if not _hidden:
        return text
    starts = {text[at : at + MIN_HIDDEN] for at in range(len(text) - MIN_HIDDEN + 1)}
    found = [value for start in starts & _hidden.keys() for value in _hidden[start]]
    for value in sorted(found, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def _mask_parameter(match: re.Match[str]) -> str:
    return f"{match[1]}={MASK}" if names_secret(match[1]) else match[0]


@lru_cache(maxsize=1024)
def names_secret(name: str) -> bool:
    """Whether what has this name is a secret, mostly."""
    return _SECRET_NAME.search(unquote(name)) is not None


_OURS = frozenset({
    "level", "at", "reason", "outcome", "click_id", "postback_id", "conversion_id",
    "delivery_id",
})  # fmt: skip
"""Keys whose values are made here, and so hold no secret of anybody's."""


def mask_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The processor: every value masked, and nothing left that is not plain."""
    name = _mask_name(str(event.pop("event", "")))
    values = {
        key: value if key in _OURS and isinstance(value, str) else _masked(key, value)
        for key, value in event.items()
    }
    return {"event": name, **values}


def _masked(key: str, value: Any) -> Any:
    return MASK if value and names_secret(key) else _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case str():
            return mask(value)
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(key): _masked(str(key), inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return mask(str(value))


def _encode(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    return msgspec.json.encode(event)


def _route_logging(level: int) -> None:
    """The root logger takes all; uvicorn's own handlers would say it twice."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_FINISH,
                lambda *described: _encode(*described).decode(),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


_SHARED: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
]
_FINISH: list[Processor] = [structlog.processors.format_exc_info, mask_event]
