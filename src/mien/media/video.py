"""Films on disk: a reader with bounded memory and a writer that leaves no half-made file.

The container work is PyAV's (extra ``video``); here stand the rules about time, damage and limits.
Live cameras are in `mien.media.camera`; single pictures are in `mien.media.image`.
"""

import math
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from mien.core.errors import ConfigError, MediaError
from mien.core.optional import require
from mien.core.threads import resolve_threads
from mien.core.types import UInt8
from mien.media._film import (
    declared_span_s,
    display_matrix,
    open_container,
    square_size,
    turn_upright,
    unreadable,
    video_stream,
)
from mien.media._film_writer import VideoWriter

__all__ = ["Frame", "VideoInfo", "VideoReader", "VideoWriter", "probe_video", "read_video"]

MAX_PIXELS: Final = 40_000_000
"""Default limit of width × height; an 8K frame has 33 million."""

# Seeking goes by decoding time, which runs ahead of display time where frames are reordered.
_SEEK_MARGIN_S: Final = 1.0

# Rounding of time stamps, far below one frame.
_EPSILON_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a film's header says, and its first frame proves.

    Attributes:
        width: Pixels, as frames are handed out: upright, with square pixels.
        height: Pixels, likewise.
        rate_hz: Mean frames a second; None if the container does not say.
        duration_s: Length; None if the container does not say.
        frames: Number of frames as declared; None if the container does not say.
        codec: Short name such as ``h264``.
        rotation: Clockwise turn that makes it upright: 0, 90, 180 or 270 degrees.
    """

    width: int
    height: int
    rate_hz: float | None
    duration_s: float | None
    frames: int | None
    codec: str
    rotation: int


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a film.

    Attributes:
        pixels: RGB uint8, height × width × 3, upright.
        time_s: When it is shown, from the film's own clock. Only where a container holds no time
            stamps at all (raw H.264) is it counted from the frame rate.
        index: Position among the frames from ``start_s`` on; frames left out count too.
    """

    pixels: UInt8
    time_s: float
    index: int


def probe_video(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> VideoInfo:
    """Read a film's header and decode its first frame.

    Raises:
        MediaError: If it is missing, no film, without pictures, too large or damaged at once.
        ExtraMissingError: If PyAV is not installed.
    """
    with VideoReader(path, _Wanted(max_pixels=max_pixels)) as reader:
        return reader.probe()


def read_video(
    path: str | Path,
    *,
    every: int = 1,
    rate_hz: float | None = None,
    start_s: float = 0.0,
    stop_s: float | None = None,
    max_side_px: int | None = None,
    max_pixels: int = MAX_PIXELS,
    threads: int | None = 1,
) -> "VideoReader":
    """Open a film for reading, one decoded frame at a time.

    Rotation, mirroring and oblong pixels are put right. Alpha is dropped; interlacing is left.

    Args:
        path: A file on disk; URLs and playlists are refused.
        every: Hand out each n-th frame.
        rate_hz: Hand out at most this many frames a second of film; not together with ``every``.
        start_s: First moment wanted, seconds on the film's clock.
        stop_s: First moment no longer wanted.
        max_side_px: Shrink frames whose longer side is larger.
        max_pixels: Refuse films whose width × height is larger.
        threads: Decoder threads; None for all that the quota allows.

    Returns:
        An iterator of `Frame` that is also a context manager. Damage does not end the reading at
        once: what can be decoded is handed out, then a `MediaError` names the first damaged place.

    Raises:
        MediaError: If the file is missing, no film, without pictures or too large.
        ConfigError: If the options contradict each other or are out of range.
        ExtraMissingError: If PyAV is not installed.
    """
    wanted = _Wanted(every, rate_hz, start_s, stop_s, max_side_px, max_pixels)
    return VideoReader(path, wanted, threads=threads)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The choices of `read_video`, checked."""

    every: int = 1
    rate_hz: float | None = None
    start_s: float = 0.0
    stop_s: float | None = None
    max_side_px: int | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        rules = {
            "every must be 1 or more": self.every >= 1,
            "rate_hz must be above 0": self.rate_hz is None or self.rate_hz > 0,
            "every and rate_hz exclude each other": self.every == 1 or self.rate_hz is None,
            "start_s must be 0 or more": 0 <= self.start_s < math.inf,
            "stop_s must lie after start_s": self.stop_s is None or self.stop_s > self.start_s,
            "max_side_px must be 1 or more": self.max_side_px is None or self.max_side_px >= 1,
            "max_pixels must be 1 or more": self.max_pixels >= 1,
        }
        for rule, is_kept in rules.items():
            if not is_kept:
                raise ConfigError(
                    what=f"the wanted part of the film is {self}".replace("_Wanted", ""),
                    why=rule,
                    mend="change that option",
                )


class VideoReader:
    """Iterator over a film's frames; made by `read_video`.

    It gives its file back at the end, on an error, at the end of a ``with`` block or by `close`.
    """

    def __init__(
        self, path: str | Path, wanted: _Wanted | None = None, *, threads: int | None = 1
    ) -> None:
        self._wanted = wanted = wanted or _Wanted()
        self._path = path
        self._damage: list[tuple[float, int, str]] = []
        self._place = (wanted.start_s, 0)  # time and index that the next good frame is expected at
        self._turn: tuple[int, tuple[int, int, int, int]] | None = None
        workers = resolve_threads(threads)
        self._av = require("av", extra="video")
        with ExitStack() as on_error:
            self._container = on_error.enter_context(open_container(self._av, path))
            self._stream = video_stream(self._av, self._container, path)
            self._prepare(workers)
            on_error.pop_all()
        self._frames = self._select()

    def _prepare(self, threads: int) -> None:
        stream, context = self._stream, self._stream.codec_context
        self._check_size(context.width, context.height)
        stream.thread_type = "AUTO" if threads > 1 else "NONE"
        context.thread_count = threads
        # Guards against a stream that grows later on; doubled since coded frames have margins.
        context.options = {"max_pixels": str(2 * self._wanted.max_pixels)}
        # Otherwise the decoder drops incomplete frames without a word.
        context.flags |= self._av.codec.context.Flags.output_corrupt
        self._film_rate_hz = float(stream.average_rate or stream.guessed_rate or 0) or None
        # Transport streams start at any time of day; in other containers zero has a meaning.
        discont = self._av.format.Flags.ts_discont.value
        self._is_floating = bool(self._container.format.flags & discont)
        self._zero_s = (self._container.start_time or 0) / 1e6 if self._is_floating else 0.0

    def __iter__(self) -> Self:
        """The reader itself: a film is read once."""
        return self

    def __next__(self) -> Frame:
        """The next frame; a `MediaError` at the end if the film was damaged."""
        try:
            return next(self._frames)
        except BaseException:  # the end as well as an error: the file is done with
            self._container.close()
            raise

    def __enter__(self) -> Self:
        """Close the file when the block ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Give the file back. Reading on then ends at once; closing twice does no harm."""
        self._frames.close()
        self._container.close()

    def probe(self) -> VideoInfo:
        """What the header says and the first frame proves; uses up the reader.

        Raises:
            MediaError: If no frame can be decoded.
        """
        for frame, _, _ in self._timed():
            width, height = square_size(frame, self._stream)
            begin_s, end_s = declared_span_s(self._container, self._stream)
            is_lying = self._matrix_of(frame)[0] == 0
            return VideoInfo(
                width=height if is_lying else width,
                height=width if is_lying else height,
                rate_hz=self._film_rate_hz,
                duration_s=None if end_s is None else end_s - begin_s,
                frames=self._stream.frames or None,
                codec=self._stream.codec_context.name,
                rotation=round(-frame.rotation / 90) * 90 % 360,
            )
        self._raise_damage()
        raise unreadable(self._path, "no frame could be decoded", "export the film again")

    def _select(self) -> Generator[Frame]:
        """The frames asked for, and at the end the damage met on the way, as an error."""
        wanted, due_s, is_empty = self._wanted, self._wanted.start_s, True
        for frame, time_s, index in self._timed():
            is_empty = False
            if wanted.stop_s is not None and time_s >= wanted.stop_s:
                break
            if wanted.rate_hz is None:
                is_due = index % wanted.every == 0
            else:
                is_due = time_s >= due_s - _EPSILON_S
                steps = math.floor((time_s - wanted.start_s) * wanted.rate_hz + _EPSILON_S)
                due_s = wanted.start_s + (steps + 1) / wanted.rate_hz
            if is_due:
                yield Frame(self._pixels_of(frame), time_s, index)
        self._raise_damage()
        if is_empty and self._wanted.start_s == 0:
            raise unreadable(self._path, "no frame could be decoded", "export the film again")

    def _timed(self) -> Iterator[tuple[Any, float, int]]:
        """Good frames from ``start_s`` on, each with time and index; damage is noted."""
        self._seek()
        index, longest_s, end_s = 0, 0.0, 0.0
        previous_s: float | None = None
        for decoded, frame in enumerate(self._decode()):
            time_s = self._time_of(frame, decoded)
            longest_s = max(longest_s, time_s - (time_s if previous_s is None else previous_s))
            previous_s = time_s
            end_s = time_s + float((frame.duration or 0) * (frame.time_base or 0))
            if time_s < self._wanted.start_s - _EPSILON_S:
                continue
            self._check_size(*square_size(frame, self._stream))
            self._place = (time_s, index)
            if frame.is_corrupt:
                self._damage.append((*self._place, "the frame is incomplete"))
            else:
                yield frame, time_s, index
            index += 1
            self._place = (end_s, index)
        self._check_end(end_s, longest_s)

    def _decode(self) -> Iterator[Any]:
        """Whatever the decoder yields; a broken packet is noted and passed over."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                if packet.is_corrupt:
                    self._damage.append((*self._place, "the data end inside a packet"))
            except self._av.error.FFmpegError as err:
                self._damage.append((*self._place, err.strerror))
                return
            try:
                frames = packet.decode()
            except self._av.error.FFmpegError as err:
                self._damage.append((*self._place, err.strerror))
                continue
            yield from frames

    def _seek(self) -> None:
        target_s = self._wanted.start_s - _SEEK_MARGIN_S
        # Transport streams and raw streams have no index: a jump could land between key frames.
        end_s = declared_span_s(self._container, self._stream)[1]
        if target_s <= 0 or end_s is None or self._is_floating:
            return
        try:
            self._container.seek(int(target_s * 1e6))
        except self._av.error.FFmpegError:
            return  # not seekable: decoding from the beginning gives the same frames, later

    def _time_of(self, frame: Any, decoded: int) -> float:
        if frame.pts is not None:
            return float(frame.pts * frame.time_base) - self._zero_s
        if self._film_rate_hz is None:
            raise unreadable(
                self._path, "it holds neither time stamps nor a frame rate", "put it into an mp4"
            )
        return decoded / self._film_rate_hz

    def _pixels_of(self, frame: Any) -> UInt8:
        width, height = square_size(frame, self._stream)
        shrink = min(1.0, (self._wanted.max_side_px or math.inf) / max(width, height))
        pixels = frame.to_ndarray(
            format="rgb24",
            width=max(1, round(width * shrink)),
            height=max(1, round(height * shrink)),
            interpolation="AREA" if shrink < 1 else "BILINEAR",
        )
        return turn_upright(pixels, self._matrix_of(frame))

    def _matrix_of(self, frame: Any) -> tuple[int, int, int, int]:
        # Asking PyAV for side data ties the frame into a cycle that holds its memory until the
        # garbage collector runs; so it is asked once, and again only if the rotation changes.
        if self._turn is None or self._turn[0] != frame.rotation:
            self._turn = frame.rotation, display_matrix(frame)
        return self._turn[1]

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._wanted.max_pixels:
            raise unreadable(
                self._path,
                f"a frame has {width} × {height} px; the limit is {self._wanted.max_pixels:,}",
                "scale the film down, or pass a larger max_pixels if you trust it",
                width=width,
                height=height,
            )

    def _check_end(self, end_s: float, longest_s: float) -> None:
        """Some demuxers take a cut-off file for a finished one; the declared length tells."""
        declared_s = declared_span_s(self._container, self._stream)[1]
        if declared_s is None or self._wanted.start_s >= declared_s - self._zero_s:
            return
        declared_s -= self._zero_s
        if end_s < declared_s - 0.1 - 2 * longest_s:
            why = f"it ends at {end_s:.2f} s instead of {declared_s:.2f} s"
            self._damage.append((*self._place, why))

    def _raise_damage(self) -> None:
        if not self._damage:
            return
        time_s, index, why = self._damage[0]
        raise MediaError(
            what=f"the film {self._path} is damaged at {time_s:.2f} s (frame {index})",
            why=f"{why}; places that could not be read: {len(self._damage)}",
            mend="the frames handed out before this error are good; export the film again",
            time_s=time_s,
            index=index,
            places=len(self._damage),
        )
