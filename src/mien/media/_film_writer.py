"""Writing an mp4 that is either whole or not there. Offered to others by `mien.media.video`.

The encoding is PyAV's and the atomic place is `mien.core.files`; here stand the rules about sizes
and times. Nothing is drawn here.
"""

import math
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from mien.core.errors import ConfigError, InternalError, MediaError, RangeError, ShapeError
from mien.core.files import write_atomically
from mien.core.optional import require
from mien.core.types import UInt8

# Fine enough for every usual rate, and below the 65,535 that MPEG-4 part 2 allows.
_TICKS_PER_S: Final = 60_000


class VideoWriter:
    """Writes an mp4 with H.264, or MPEG-4 part 2 where H.264 is not built in.

    A context manager. The film stands at ``path`` only once the block ends without an error;
    until then it grows in a temporary neighbour, which an error removes.

    Attributes:
        codec: The encoder in use, ``libx264`` or ``mpeg4``; known from the start of the block.
        padding: Columns and rows, 0 or 1, added at the right and bottom by repeating the last
            ones, because yuv420p stores colour for 2 × 2 pixels and needs even sides.
    """

    def __init__(self, path: str | Path, *, rate_hz: float, width: int, height: int) -> None:
        """Check the format; nothing is written yet.

        Args:
            path: Where the film shall stand.
            rate_hz: Nominal frames a second, also the step between frames without a time.
            width: Pixels of the frames to come.
            height: Pixels likewise.

        Raises:
            ConfigError: If a number is not positive.
            ExtraMissingError: If PyAV is not installed.
        """
        if not 0 < rate_hz <= _TICKS_PER_S or width < 1 or height < 1:
            raise ConfigError(
                what=f"the film shall have {width} × {height} px at {rate_hz} frames a second",
                why="each must be positive and the rate finite",
                mend="pass the size of the frames and their rate",
            )
        self._av = require("av", extra="video")
        self._path, self._rate_hz = Path(path), rate_hz
        self._width, self._height = width, height
        self._last: tuple[int, float] | None = None  # tick and unrounded seconds
        self._stack: ExitStack | None = None
        self.padding = (width % 2, height % 2)
        self.codec = "libx264" if "libx264" in self._av.codecs_available else "mpeg4"

    def __enter__(self) -> Self:
        """Open the temporary neighbour."""
        with ExitStack() as stack:
            file = stack.enter_context(write_atomically(self._path))
            self._container = stack.enter_context(self._av.open(file, "w", format="mp4"))
            rate = Fraction(self._rate_hz).limit_denominator(1001)
            self._stream = self._container.add_stream(self.codec, rate=rate)
            self._stream.width = self._width + self.padding[0]
            self._stream.height = self._height + self.padding[1]
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = Fraction(1, _TICKS_PER_S)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the film and put it in its place, or remove it after an error."""
        stack, self._stack = self._stack, None
        if stack is None:
            return
        if error is not None:
            stack.__exit__(kind, error, trace)
            return
        with stack:
            if self._last is None:
                raise MediaError(
                    what=f"no frame was written to {self._path}",
                    why="a film without frames cannot be played",
                    mend="write at least one frame",
                )
            self._container.mux(self._stream.encode(None))

    def write(self, pixels: UInt8, time_s: float | None = None) -> None:
        """Add one frame.

        Args:
            pixels: RGB uint8, height × width × 3, of the size announced.
            time_s: When it is shown, kept to 1/60,000 s; None for one step after the last.

        Raises:
            ShapeError: If the array has another size or type.
            RangeError: If the time does not lie after the last one.
            InternalError: If called outside the ``with`` block.
        """
        if self._stack is None:
            raise InternalError(
                what="VideoWriter.write was called outside its block",
                why="the file is open only inside it",
                mend="use `with VideoWriter(...) as writer:`",
            )
        if pixels.shape != (self._height, self._width, 3) or pixels.dtype != np.uint8:
            raise ShapeError(
                what=f"the frame is {pixels.dtype} {pixels.shape}",
                why=f"the film was announced as uint8 {(self._height, self._width, 3)}",
                mend="resize the frame, or open the writer with its size",
            )
        frame = self._av.VideoFrame.from_ndarray(_pad(pixels, self.padding), format="rgb24")
        frame.pts, frame.time_base = self._tick_at(time_s), Fraction(1, _TICKS_PER_S)
        self._container.mux(self._stream.encode(frame))

    def _tick_at(self, time_s: float | None) -> int:
        last_tick, last_s = self._last or (-1, -1 / self._rate_hz)
        wanted_s = last_s + 1 / self._rate_hz if time_s is None else time_s
        tick = round(wanted_s * _TICKS_PER_S) if math.isfinite(wanted_s) else -1
        if tick <= last_tick:
            raise RangeError(
                what=f"the frame's time is {time_s} s",
                why="times must be 0 or more and grow by at least 1/60,000 s a frame",
                mend="write frames in the order in which they are shown",
            )
        self._last = tick, wanted_s
        return tick


def _pad(pixels: UInt8, padding: tuple[int, int]) -> UInt8:
    right, bottom = padding
    if not (right or bottom):
        return np.ascontiguousarray(pixels)
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="edge")
