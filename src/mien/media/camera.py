"""Live pictures: a thread that keeps only the newest frame of a camera, address or iterator.

A reader that is slower than the camera misses frames instead of falling behind, and the count of
missed frames is kept. Files are read whole by `mien.media.video`; nothing here looks at a picture.
"""

import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from mien.core.errors import MediaError
from mien.core.optional import require
from mien.media.video import Frame

_OPEN_TIMEOUT_S = 10.0


class LatestFrame:
    """The newest frame of a live source; older ones that nobody read are dropped.

    One thread reads the source, any number may call `read`; each frame goes to one of them.

    Attributes:
        name: The source as it appears in messages; passwords in addresses are left out.
    """

    def __init__(self, source: int | str | Iterable[Frame]) -> None:
        """Open the source and begin to read it.

        Args:
            source: Number of a camera (Linux), an address or device path that FFmpeg opens such
                as ``rtsp://...`` or ``/dev/video0``, or any iterable of frames. An iterable is
                read in the thread, and closed there if it has a ``close`` method.

        Raises:
            MediaError: If the camera or address cannot be opened.
            ExtraMissingError: If PyAV is needed and not installed.
        """
        if isinstance(source, int | str):
            self.name = _without_password(str(source))
            source = _open_live(source)
        else:
            self.name = type(source).__name__
        self._source: Iterable[Frame] = source
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._seen = self._dropped = 0
        self._has_ended = self._is_closed = False
        self._error: Exception | None = None
        # A daemon, so that a camera that hangs in its driver cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name="mien-camera", daemon=True)
        self._thread.start()

    @property
    def seen(self) -> int:
        """Frames that came from the source so far."""
        with self._changed:
            return self._seen

    @property
    def dropped(self) -> int:
        """Frames that were replaced by a newer one before anybody read them."""
        with self._changed:
            return self._dropped

    def read(self, timeout_s: float = 5.0) -> Frame:
        """The newest frame that was not handed out yet; waits for one if need be.

        Args:
            timeout_s: How long to wait, seconds.

        Raises:
            MediaError: If none came in time, or the source has ended, failed or been closed. The
                last frame is handed out before the end of the source is reported.
        """
        with self._changed:
            self._changed.wait_for(self._can_answer, timeout_s)
            frame, self._newest = self._newest, None
            if frame is not None:
                return frame
            if self._is_closed:
                why, mend = "it was closed", "open it again"
            elif self._error is not None:
                why, mend = f"it failed: {self._error}", "check its cable or address, open it again"
            elif self._has_ended:
                why, mend = "it has ended", "open it again if it should go on"
            else:
                why = f"no frame came within {timeout_s:g} s"
                mend = "check that it is running, or wait longer"
            raise MediaError(
                what=f"no picture from {self.name} after {self._seen} frames",
                why=why,
                mend=mend,
                seen=self._seen,
                dropped=self._dropped,
                has_ended=self._has_ended,
            ) from self._error

    def close(self, timeout_s: float = 10.0) -> None:
        """Stop the thread and give the source back; closing twice does no harm.

        Args:
            timeout_s: How long to wait for the frame that is just being fetched, seconds.

        Raises:
            MediaError: If the source does not return in that time; its thread is then left behind.
        """
        with self._changed:
            self._is_closed = True
            self._newest = None
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise MediaError(
                what=f"{self.name} did not stop within {timeout_s:g} s",
                why="it is still waiting for its next frame, and cannot be interrupted",
                mend="give the source a timeout of its own, or unplug the camera",
            )

    def __enter__(self) -> Self:
        """Close the source when the block ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the source."""
        self.close()

    def _can_answer(self) -> bool:
        return self._newest is not None or self._has_ended or self._is_closed

    def _run(self) -> None:
        try:
            self._pump()
        except Exception as err:  # noqa: BLE001 - a thread's edge: `read` raises it to its caller
            with self._changed:
                self._error = err
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()

    def _pump(self) -> None:
        try:
            for frame in self._source:
                with self._changed:
                    if self._is_closed:
                        return
                    self._dropped += self._newest is not None
                    self._seen += 1
                    self._newest = frame
                    self._changed.notify()
        finally:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()


def _without_password(source: str) -> str:
    return re.sub(r"//[^/@]*@", "//", source)


def _open_live(source: int | str) -> Iterator[Frame]:
    """Open a camera or address now, so that a wrong one is reported to the caller."""
    av = require("av", extra="video")
    name = _without_password(str(source))
    if isinstance(source, int) and not sys.platform.startswith("linux"):
        raise MediaError(
            what=f"camera number {source} was asked for",
            why="cameras are opened by number on Linux only",
            mend="pass an address, or an iterator of frames from your camera's own library",
        )
    address = f"/dev/video{source}" if isinstance(source, int) else source
    form = "video4linux2" if address.startswith("/dev/video") else None
    try:
        container = av.open(address, format=form, timeout=_OPEN_TIMEOUT_S)
    except (av.error.FFmpegError, OSError) as err:
        raise MediaError(
            what=f"cannot open the camera {name}",
            why=err.strerror or "it does not answer",
            mend="check that it is plugged in, running and not in use by another program",
        ) from err
    if not container.streams.video:
        container.close()
        raise MediaError(
            what=f"{name} sends no pictures",
            why="it has no video stream",
            mend="choose another stream of that camera",
        )
    return _live_frames(av, container, name)


def _live_frames(av: Any, container: Any, name: str) -> Iterator[Frame]:
    """Frames as they arrive, timed by our monotonic clock: cameras' own stamps are not reliable."""
    begin_s = time.monotonic()
    try:
        for index, frame in enumerate(container.decode(video=0)):
            yield Frame(frame.to_ndarray(format="rgb24"), time.monotonic() - begin_s, index)
    except av.error.FFmpegError as err:
        raise MediaError(
            what=f"the camera {name} broke off",
            why=err.strerror or "the stream cannot be decoded",
            mend="check its cable or network",
        ) from err
    finally:
        container.close()
