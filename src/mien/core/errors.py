"""Every error that mien raises on purpose, as one tree.

::

    MienError                             code         status  exit
    ├── InputError (ValueError)           input        422     2
    │   ├── ShapeError                    shape        422     2
    │   ├── RangeError                    range        422     2
    │   ├── MediaError                    media        415     2    unreadable or unsupported file
    │   ├── NoFaceError                   no_face      422     3    an expected outcome, not a fault
    │   ├── QualityError                  quality      422     3    a face, but not fit for use
    │   └── TooLargeError                 too_large    413     2    more bytes than are taken
    ├── ConfigError (ValueError)          config       400     2    carries the key's path
    ├── MissingError (LookupError)        missing      404     4
    │   ├── WeightsMissingError           weights      503     4
    │   └── IdentityMissingError          identity     404     4
    ├── ExtraMissingError (ImportError)   extra        501     5    carries the install command
    ├── IntegrityError                    integrity    500     6    hash or schema disagrees
    │   └── ContractError                 contract     409     6    templates of different pipelines
    ├── ConflictError                     conflict     409     8    a face or name is already taken
    ├── StorageError (OSError)            storage      507     9    disk full, locked, not writable
    ├── RefusedError                      refused      403     7    use policy, consent, licence
    │   └── UnauthorisedError             unauthorised 401     7    no key, or not a valid one
    ├── BusyError                         busy         503     9    too much is waiting already
    │   └── ThrottledError                throttled    429     9    one client asks too often
    ├── DeadlineError                     timeout      408     9    a request came in too slowly
    └── InternalError                     internal     500     70   our bug; asks for a report

Each error says what was found, why that cannot work and how to mend it. Messages hold no
personal data: no embeddings, no names from a gallery, paths only as they were given.
"""

from typing import ClassVar


class MienError(Exception):
    """The root of the tree.

    Attributes:
        what: What was found, with the offending value.
        why: Why that cannot work.
        mend: What to do instead; a command where there is one.
        facts: Machine-readable details for records and the service.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, *, what: str, why: str, mend: str, **facts: object) -> None:
        # Not super(): OSError would take the three words for errno, strerror and filename.
        Exception.__init__(self, what, why, mend)
        self.what = what
        self.why = why
        self.mend = mend
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.what}; {self.why}; {self.mend}"

    def __reduce__(self) -> tuple[object, ...]:
        """Survive a trip between processes, keyword-only words and all."""
        return _rebuild, (type(self), self.what, self.why, self.mend, self.facts)

    def as_record(self) -> dict[str, object]:
        """The error as a flat, JSON-ready mapping (a problem document without the HTTP parts)."""
        return {"code": self.code, "what": self.what, "why": self.why, "mend": self.mend} | (
            {"facts": dict(self.facts)} if self.facts else {}
        )


def _rebuild(
    kind: type[MienError], what: str, why: str, mend: str, facts: dict[str, object]
) -> MienError:
    return kind(what=what, why=why, mend=mend, **facts)


class InputError(MienError, ValueError):
    """What was handed in cannot be used."""

    code = "input"
    status = 422
    exit_code = 2


class ShapeError(InputError):
    """An array has the wrong shape or type."""

    code = "shape"


class RangeError(InputError):
    """A value lies outside its range, or is not finite."""

    code = "range"


class MediaError(InputError):
    """A picture or film cannot be read, or exceeds a limit."""

    code = "media"
    status = 415


class NoFaceError(InputError):
    """No face was found where one is needed. An expected outcome, not a fault."""

    code = "no_face"
    exit_code = 3


class QualityError(InputError):
    """A face was found, and is not fit for the use asked for."""

    code = "quality"
    exit_code = 3


class TooLargeError(InputError):
    """A request has more bytes than the service takes."""

    code = "too_large"
    status = 413


class ConfigError(MienError, ValueError):
    """A setting is unknown, of the wrong type, or contradicts another."""

    code = "config"
    status = 400
    exit_code = 2


class MissingError(MienError, LookupError):
    """Something asked for by name does not exist."""

    code = "missing"
    status = 404
    exit_code = 4


class WeightsMissingError(MissingError):
    """A weight file is neither given, cached, packaged nor allowed to be fetched."""

    code = "weights"
    status = 503


class IdentityMissingError(MissingError):
    """A person or face asked for is not in the gallery."""

    code = "identity"


class ExtraMissingError(MienError, ImportError):
    """An optional package is not installed."""

    code = "extra"
    status = 501
    exit_code = 5


class IntegrityError(MienError):
    """A stored thing is not what its hash, schema or index says it is."""

    code = "integrity"
    status = 500
    exit_code = 6


class ContractError(IntegrityError):
    """Two templates were made by different pipelines and cannot be compared."""

    code = "contract"
    status = 409


class RefusedError(MienError):
    """The use policy, a consent or a licence forbids it."""

    code = "refused"
    status = 403
    exit_code = 7


class UnauthorisedError(RefusedError):
    """A request without a key, or with one that is not valid. Does not say which part is wrong."""

    code = "unauthorised"
    status = 401


class BusyError(MienError):
    """Too much is waiting already; the same request may be answered later.

    The fact ``retry_after_s`` says after how many seconds to ask again.
    """

    code = "busy"
    status = 503
    exit_code = 9


class ThrottledError(BusyError):
    """One client asks more often than it may."""

    code = "throttled"
    status = 429


class DeadlineError(MienError):
    """A request did not come in, or was not done, in the time it may take."""

    code = "timeout"
    status = 408
    exit_code = 9


class ConflictError(MienError):
    """The change contradicts what is stored, and was not forced."""

    code = "conflict"
    status = 409
    exit_code = 8


class StorageError(MienError, OSError):
    """The disk is full, the file is locked or the place is not writable.

    Attributes:
        errno: The operating system's number, if the fact of that name was given.
    """

    code = "storage"
    status = 507
    exit_code = 9

    def __init__(self, *, what: str, why: str, mend: str, **facts: object) -> None:
        super().__init__(what=what, why=why, mend=mend, **facts)
        number = facts.get("errno")
        self.errno = number if isinstance(number, int) else None


class InternalError(MienError):
    """A bug of ours."""

    code = "internal"
    status = 500
    exit_code = 70
