"""Every failure a caller may see; each message is safe to show.

    ExchangeaiError
    ├── InvalidArgument        the request itself is wrong; never retry it unchanged
    │   ├── UnreadableFile     bytes that are no ECG we can read (see its subclasses)
    │   └── ContractViolation  a model, tensor or data set that breaks its contract
    ├── NotFound               no such recording, data set, run or model
    ├── AlreadyExists          the name is taken by something else
    ├── NotReady               the state must change first (still preprocessing, quarantined, ...)
    ├── TooLarge               over a stated limit
    ├── Overloaded             a queue or stream is full; back off, then retry
    ├── Conflict               someone else changed the fact first; read it again
    ├── DeadlineRequired       the call came without a deadline
    ├── PermissionDenied       the server refused these credentials
    └── Unavailable            a server we need does not answer; retry

Anything else is a defect: it is logged whole and answered INTERNAL without details.
"""

from __future__ import annotations


class ExchangeaiError(Exception):
    """Base of all failures whose message may be shown to the caller."""

    request_id: str = ""
    """Set on errors that came from a service: names the request in its logs."""


class InvalidArgument(ExchangeaiError):
    """The request itself is wrong; repeating it unchanged cannot help."""


class ContractViolation(InvalidArgument):
    """A model, a tensor or a data set does not keep the contract it claims."""


class UnreadableFile(InvalidArgument):
    """The bytes are not an ECG that we can read; the message says why and what to do next."""


class UnknownFormat(UnreadableFile):
    """No reader recognises the content."""


class Truncated(UnreadableFile):
    """The file ends before its header says that it should."""


class InvalidHeader(UnreadableFile):
    """The header contradicts itself, the standard or the size of the file."""


class UnsafeReference(UnreadableFile):
    """The header points outside the uploaded files; nothing was opened."""


class MissingMetadata(UnreadableFile):
    """The file does not say its rate, unit or lead order and the caller has not either."""


class MissingFile(UnreadableFile):
    """A multi-file record came without one of its files."""


class EmptyFile(UnreadableFile):
    """There are no bytes, or no samples, to read."""


class ReaderCrashed(UnreadableFile):
    """The reader exceeded its limits of time or memory, or died; the service did not."""


class NotFound(ExchangeaiError):
    """No such recording, data set, run, model or object."""


class AlreadyExists(ExchangeaiError):
    """The name is taken by something else."""


class NotReady(ExchangeaiError):
    """The state must change first; the message says how."""


class TooLarge(ExchangeaiError):
    """Over a stated limit; the message names the limit."""


class Overloaded(ExchangeaiError):
    """A queue, a stream or the number of calls is at its bound; back off, then retry."""


class Conflict(ExchangeaiError):
    """Someone else changed the fact first; read it again and decide anew."""


class DeadlineRequired(ExchangeaiError):
    """The call came without a deadline."""


class PermissionDenied(ExchangeaiError):
    """The server refused these credentials."""


class Unavailable(ExchangeaiError):
    """A server that we need does not answer; retry with back-off."""
