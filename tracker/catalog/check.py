"""A file is believed whole or not at all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from tracker.catalog.crosschecks import find_flaws
from tracker.catalog.document import Document
from tracker.catalog.expand import Expansion
from tracker.catalog.faults import MOST_FAULTS, Fault, FaultyCatalogError, Flaw
from tracker.catalog.nodes import MAX_BYTES
from tracker.catalog.reading import Source
from tracker.catalog.sections import KEY_FAULT


@dataclass(frozen=True, slots=True)
class CheckedCatalog:
    """
    A document that can be believed; `content_hash` is the file's SHA-256.

    Its `source` knows the line of everything.
    """

    document: Document = field(repr=False)
    content_hash: str
    source: Source = field(repr=False)


def check_file(path: Path, secrets: Mapping[str, str]) -> CheckedCatalog:
    """Check a file; raises FaultyCatalogError with all its faults."""
    return check_text(read_file(path), path.name, secrets)


def read_file(path: Path) -> bytes:
    """The content of a file, and no more of it than we take."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise FaultyCatalogError([Fault(path.name, 1, 1, "", message)]) from error


def check_text(
    raw: str | bytes, name: str, secrets: Mapping[str, str]
) -> CheckedCatalog:
    """
    Check the content of a file that is called `name`.

    `secrets` has the values of all `${NAME}` that may be used; none of them ever
    stands in a fault. Raises FaultyCatalogError with all faults, sorted by line.
    """
    source = Source(raw, name)
    document = _validated(source, secrets)
    return CheckedCatalog(document, hash_content(raw), source)


def hash_content(raw: str | bytes) -> str:
    """What tells one content of the file from another: SHA-256, in hex."""
    return sha256(raw.encode() if isinstance(raw, str) else raw).hexdigest()


def _validated(source: Source, secrets: Mapping[str, str]) -> Document:
    presets = Expansion(source.data)
    flaws = list(islice(find_flaws(source.data), MOST_FAULTS))
    document = None
    try:
        document = Document.model_validate(source.data, context={"secrets": secrets})
    except ValidationError as error:
        flaws += _flaws(error)
    flaws = [*presets.flaws, *presets.placed(flaws)]
    faults = [*source.faults, *(source.fault(flaw) for flaw in flaws)]
    if document is None or faults:
        raise FaultyCatalogError(faults)
    return document


def _flaws(error: ValidationError) -> Iterator[Flaw]:
    for detail in error.errors(include_url=False, include_input=False):
        yield Flaw(detail["loc"], detail["msg"], detail["type"] == KEY_FAULT)
