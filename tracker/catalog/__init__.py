"""
partners.yaml: read, checked, compiled, and carried from process to process.

    check_text, check_file      the file to a document, or all its faults at once
    find_hints                  what is likely not meant in a file that is good
    draft_apart                 the same and compiled, in a process of its own
    look_apart                  faults and hints of a file, likewise
    seal_draft                  with version and numbers it becomes a snapshot
    load_snapshot               a snapshot to the catalog, in slices
    write_copy, read_copy       the snapshot on disk
    written_beside, resemble, put_in_place      how the file itself is replaced
    read_secrets                the values of `${NAME}`
    json_schema                 the schema, for editors

`compile_catalog` goes from the file to the catalog at once, for commands and tests.
"""

from tracker.catalog.apart import draft_apart, look_apart
from tracker.catalog.check import (
    CheckedCatalog,
    check_file,
    check_text,
    hash_content,
    read_file,
)
from tracker.catalog.compile import compile_catalog
from tracker.catalog.disk import (
    COPY,
    put_in_place,
    read_copy,
    resemble,
    write_copy,
    written_beside,
)
from tracker.catalog.document import json_schema
from tracker.catalog.environment import read_secrets
from tracker.catalog.faults import Fault, FaultyCatalogError
from tracker.catalog.hints import HINTS, Hint, find_hints
from tracker.catalog.snapshot import (
    Draft,
    SnapshotFacts,
    draft_catalog,
    load_snapshot,
    read_facts,
    seal_draft,
    take_snapshot,
)

__all__ = [
    "COPY",
    "HINTS",
    "CheckedCatalog",
    "Draft",
    "Fault",
    "FaultyCatalogError",
    "Hint",
    "SnapshotFacts",
    "check_file",
    "check_text",
    "compile_catalog",
    "draft_apart",
    "draft_catalog",
    "find_hints",
    "hash_content",
    "json_schema",
    "load_snapshot",
    "look_apart",
    "put_in_place",
    "read_copy",
    "read_facts",
    "read_file",
    "read_secrets",
    "resemble",
    "seal_draft",
    "take_snapshot",
    "write_copy",
    "written_beside",
]
