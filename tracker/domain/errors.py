"""
The errors of the tracker.

    TrackerError
    ├── CatalogError            partners.yaml cannot be believed
    │   └── CatalogOutpacedError    another version came into force meanwhile
    ├── EditConflictError       what was edited is another by now
    ├── TemplateError           a template in it cannot be read
    │   └── MissingValueError       a value is empty that a call is nothing without
    ├── SettingsError           the environment cannot be believed
    ├── SheetError              a file of rows cannot be read as a table
    ├── StartError              `tracker up` cannot run, or cannot go on
    ├── MigrationError          the database and the migrations do not fit
    ├── NotFoundError           a name or an id that nothing answers to
    │   ├── UnknownClickIdError     not one of our click ids, or its key is retired
    │   └── UnknownLinkError        no such partner, offer, or pairing of the two
    ├── ForgedClickIdError      our format, but not our signature
    ├── ClosedLinkError         a link that takes no visitors now and has no fallback
    ├── QuarantinedError        a postback that is kept but not believed
    ├── RefusedChangeError      an operator's change that the rules do not allow
    ├── ForbiddenAddressError   an outbound call to an address that is not public
    ├── TooManyFailuresError    an address that fails to prove itself again and again
    ├── StoreUnavailableError   a store did not answer
    │   └── SpoolError              the disk did not take what was to wait there
    ├── BusyError               somebody else holds a row for too long
    ├── OverloadedError         a queue is at its bound
    └── TooLongError            a report that takes longer than anybody waits

A repeated postback is not an error, and neither is a partner's bad answer.
"""

from tracker.domain.outcome import Reason


class TrackerError(Exception):
    """Anything the tracker itself has to say about what went wrong."""


class CatalogError(TrackerError):
    """The catalog cannot be believed; the message names every fault by line."""


class CatalogOutpacedError(CatalogError):
    """Another version came into force while this one was made."""


class EditConflictError(TrackerError):
    """Somebody else has changed what this edit was made of."""


class TemplateError(TrackerError):
    """A template cannot be read; `position` counts characters from 0."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class MissingValueError(TemplateError):
    """A value is empty that a call is nothing without."""


class SettingsError(TrackerError):
    """The settings cannot be believed; the message names every fault."""


class SheetError(TrackerError):
    """A file of rows that cannot be read as a table, or names no column we need."""


class StartError(TrackerError):
    """`tracker up` cannot run, or cannot go on."""


class MigrationError(TrackerError):
    """The database and the migrations do not fit each other."""


class NotFoundError(TrackerError):
    """A name or an id that nothing answers to."""


class UnknownClickIdError(NotFoundError):
    """Not one of our click ids, or signed with a key that was retired."""


class UnknownLinkError(NotFoundError):
    """No such partner, no such offer, or the partner may not promote it."""


class ForgedClickIdError(TrackerError):
    """A click id in our format that we did not sign."""


class ClosedLinkError(TrackerError):
    """A link that takes no visitors now, and no fallback to send them to."""


class QuarantinedError(TrackerError):
    """A postback that is kept but not believed, for `reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class RefusedChangeError(TrackerError):
    """An operator's change that the rules do not allow."""


class ForbiddenAddressError(TrackerError, OSError):
    """An outbound call to an address that is not public, nor allowed by setting."""


class TooManyFailuresError(TrackerError):
    """An address failed too often; it may try again after so many seconds."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failures; again in {seconds} s")
        self.seconds = seconds


class StoreUnavailableError(TrackerError):
    """A store did not answer, or not in time."""


class SpoolError(StoreUnavailableError):
    """The spool on disk is full, damaged, or cannot be written."""


class BusyError(TrackerError):
    """Somebody else holds a row for too long; its neighbours are not concerned."""


class OverloadedError(TrackerError):
    """A queue is at its bound; nothing was taken in."""


class TooLongError(TrackerError):
    """A report that takes longer than anybody waits; it asks for too much."""
