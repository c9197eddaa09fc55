"""
Which country an address is in, by data that is on this machine.

Bundled is what the regional registries say of the networks they gave away (iptocc);
an operator's own file in MaxMind's format takes its place. Neither is opened before an
offer asks for countries, or clicks are folded.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from tracker.domain.visitor import CountryOf

log = structlog.get_logger()


class Countries:
    """Answers with two capital letters, or "" where nobody knows."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._find: CountryOf | None = None
        self.fault = ""

    async def open(self) -> None:
        """Once: what is opened is read until the process ends."""
        if self._find is None:
            self._find = await asyncio.to_thread(self._opened)

    def find(self, address: str) -> str:
        """The country of an address; of none that is private, or not opened yet."""
        return self._find(address) if self._find else ""

    def _opened(self) -> CountryOf:
        """Where the operator's file cannot be read, the bundled data has to do."""
        if self._file is None:
            return _bundled()
        try:
            return _open_file(self._file)
        except (OSError, ValueError) as error:
            self.fault = f"{self._file} cannot be read: {error}"
            log.error("countries.unreadable", file=str(self._file), error=str(error))  # noqa: TRY400 - the sentence says it all
            return _bundled()


def _bundled() -> CountryOf:
    from iptocc import country_code  # noqa: PLC0415 - only if an offer asks

    return lambda address: country_code(address) or ""


def _open_file(path: Path) -> CountryOf:
    from maxminddb import InvalidDatabaseError, open_database  # noqa: PLC0415 - likewise

    try:
        reader = open_database(path)
    except InvalidDatabaseError as error:
        raise ValueError(str(error)) from error
    return partial(_found, reader.get)


def _found(get: Any, address: str) -> str:
    """Whatever is wrong with the file, the visitor arrives."""
    try:
        return _code(get(address))
    except Exception:  # noqa: BLE001 - a damaged file can fail in any way
        return ""


def _code(record: object) -> str:
    """As MaxMind and DB-IP write it, or as IPinfo does."""
    if not isinstance(record, Mapping):
        return ""
    country = record.get("country_code") or record.get("country") or ""
    code = country.get("iso_code") if isinstance(country, Mapping) else country
    return str(code or "").upper()
