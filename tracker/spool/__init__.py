"""
The spool: what a store could not take waits on this machine's disk until it can.

    DATA_DIR/spool/OWNER.sqlite     records in order, one file per process
    DATA_DIR/spool/OWNER.lock       held while the process lives

A file whose owner is gone is adopted by whoever locks it first.
"""

from tracker.spool.file import Room
from tracker.spool.folder import SpoolFolder
from tracker.spool.frames import Kind, Record
from tracker.spool.spool import Spool

__all__ = ["Kind", "Record", "Room", "Spool", "SpoolFolder"]
