"""Fetching one file whose hash is known: resumable, bounded, from several mirrors in turn.

The only door of mien to the network. It is imported by nobody until a download was allowed.
Where the file goes and whether it may be fetched at all is decided in `resolve.py`.
"""

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path
from typing import IO, Final

from mien.core.errors import IntegrityError, StorageError, WeightsMissingError
from mien.core.files import sha256_of, storage_error, write_atomically
from mien.core.lock import hold_lock
from mien.core.log import logger
from mien.core.weights._http import (
    LastingError,
    PassingError,
    check_url,
    network_faults,
    open_url,
    shown,
)

Progress = Callable[[int, int], None]

_ATTEMPTS: Final = 4
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _WrongBytesError(LastingError):
    """The server holds another file than the one we know."""


@dataclass(frozen=True, slots=True)
class _Job:
    destination: Path
    sha256: str
    size_bytes: int
    timeout_s: float
    chunk: int
    progress: Progress | None
    hub: str | None

    @property
    def part(self) -> Path:
        return self.destination.with_name(f"{self.destination.name}.part")

    @property
    def note(self) -> Path:
        """Where the part came from: its address and the server's ETag."""
        return self.destination.with_name(f"{self.destination.name}.part.json")

    def discard(self) -> None:
        self.note.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)


def fetch_file(
    urls: Sequence[str],
    destination: Path,
    *,
    sha256: str,
    size_bytes: int,
    timeout_s: float = 30,
    chunk: int = 1 << 20,
    progress: Progress | None = None,
    hub: str | None = None,
    pause_s: float = 0.5,
) -> Path:
    """Fetch a file, or do nothing if it already stands there whole.

    An interrupted download leaves ``<name>.part`` and is continued from there by the next call
    if the server can (HTTP Range, with If-Range where it gave a strong ETag). Each address is
    tried up to four times while its faults are passing ones, then the next. The file appears
    under its name only when size and hash agree. Two processes take turns.

    Args:
        urls: Addresses of the same file, in order of preference; https, or http on this machine.
        destination: Where the file shall stand; folders are made.
        sha256: Expected SHA-256, 64 hexadecimal digits in lower case.
        size_bytes: Expected size in bytes; a server that sends more is cut off.
        timeout_s: Limit in seconds for connecting and for each read, not for the whole.
        chunk: Bytes read at a time.
        progress: Called with (bytes so far, bytes in all) after every chunk.
        hub: Base address of the hub. ``MIEN_HUB_TOKEN`` from the environment is sent to this
            scheme, host and port, and nowhere else.
        pause_s: Seconds before the second attempt; doubled before each further one.

    Returns:
        ``destination``.

    Raises:
        ConfigError: If an address may not be asked.
        WeightsMissingError: If no address gave the file.
        IntegrityError: If no address gave the file, and at least one gave other bytes.
        StorageError: If the file cannot be written.
    """
    for url in urls:
        check_url(url)
    job = _Job(destination, sha256, size_bytes, timeout_s, chunk, progress, hub)
    try:
        with hold_lock(destination):
            if not (destination.is_file() and sha256_of(destination) == sha256):
                _fetch_from_any(urls, job, pause_s)
    except StorageError:
        raise
    except OSError as err:
        raise storage_error(err, destination) from err
    return destination


def _fetch_from_any(urls: Sequence[str], job: _Job, pause_s: float) -> None:
    faults: list[tuple[str, Exception]] = []
    for url in urls:
        try:
            _fetch_patiently(url, job, pause_s)
        except (PassingError, LastingError) as fault:
            logger.warning("%s: %s", shown(url), fault)
            faults.append((shown(url), fault))
        else:
            return
    wrong = any(isinstance(fault, _WrongBytesError) for _, fault in faults)
    raise (IntegrityError if wrong else WeightsMissingError)(
        what=f"{job.destination.name} could not be fetched",
        why="; ".join(f"{url}: {fault}" for url, fault in faults) or "no address is known for it",
        mend="check the network and the address, or fetch the file by other means and pass path=",
        sha256=job.sha256,
    )


def _fetch_patiently(url: str, job: _Job, pause_s: float) -> None:
    for attempt in range(_ATTEMPTS - 1):
        try:
            _fetch_once(url, job)
        except PassingError as fault:
            logger.info("%s: %s; trying again", shown(url), fault)
            time.sleep(pause_s * 2**attempt)
        else:
            return
    _fetch_once(url, job)


def _fetch_once(url: str, job: _Job) -> None:
    start, etag = _find_part(url, job)
    try:
        if start < job.size_bytes:
            _receive(url, job, start, etag)
        _accept(job, is_continued=start > 0)
    except _WrongBytesError:
        job.discard()
        raise


def _accept(job: _Job, *, is_continued: bool) -> None:
    if sha256_of(job.part) == job.sha256:
        job.part.replace(job.destination)
        job.discard()
    elif is_continued:  # the file may have changed between the two halves
        job.discard()
        raise PassingError("the continued download has the wrong hash")
    else:
        raise _WrongBytesError(f"its hash is not {job.sha256[:16]}…")


def _find_part(url: str, job: _Job) -> tuple[int, str | None]:
    """Bytes of an earlier attempt that can be continued, and the ETag they came with."""
    try:
        note = json.loads(job.note.read_bytes())
        size = job.part.stat().st_size
    except (FileNotFoundError, ValueError):
        return 0, None
    if note["url"] != url or note["sha256"] != job.sha256 or size > job.size_bytes:
        return 0, None
    return size, note["etag"]


def _receive(url: str, job: _Job, start: int, etag: str | None) -> None:
    headers = {"User-Agent": "mien", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-"} | ({"If-Range": etag} if etag else {})
    try:
        answer = open_url(url, headers, hub=job.hub, timeout_s=job.timeout_s)
    except LastingError as fault:
        if fault.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        job.discard()
        raise PassingError("the server has no such range") from fault
    with answer:
        is_continued = answer.status == HTTPStatus.PARTIAL_CONTENT
        if is_continued:
            _check_range(answer.headers.get("Content-Range"), start, job)
        else:
            start = 0
            _check_length(answer.headers.get("Content-Length"), job)
            _write_note(url, job, answer.headers.get("ETag"))
        with job.part.open("ab" if is_continued else "wb") as file:
            _copy(answer, file, job, start)
            file.flush()
            os.fsync(file.fileno())


def _check_range(content_range: str | None, start: int, job: _Job) -> None:
    found = _CONTENT_RANGE.fullmatch(content_range or "")
    if (
        not start
        or not found
        or int(found[1]) != start
        or found[2] not in {"*", str(job.size_bytes)}
    ):
        job.discard()
        raise PassingError(f"the server sent a part that does not fit ({content_range})")


def _check_length(length: str | None, job: _Job) -> None:
    if length is not None and length != str(job.size_bytes):
        raise _WrongBytesError(f"it offers {length} bytes where {job.size_bytes} are expected")


def _write_note(url: str, job: _Job, etag: str | None) -> None:
    job.part.unlink(missing_ok=True)  # before the note: a part must never bear another's note
    strong = etag if etag and not etag.startswith("W/") else None  # If-Range takes no weak ones
    with write_atomically(job.note) as file:
        file.write(json.dumps({"url": url, "sha256": job.sha256, "etag": strong}).encode())


def _copy(answer: HTTPResponse, file: IO[bytes], job: _Job, done: int) -> None:
    while True:
        with network_faults():
            block = answer.read(min(job.chunk, job.size_bytes - done + 1))
        if not block:
            break
        done += len(block)
        if done > job.size_bytes:
            raise _WrongBytesError(f"it sends more than {job.size_bytes} bytes")
        file.write(block)
        if job.progress:
            job.progress(done, job.size_bytes)
    if done < job.size_bytes:
        raise PassingError(f"the connection ended after {done} of {job.size_bytes} bytes")
