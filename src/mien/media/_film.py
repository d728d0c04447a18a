"""What a film's container says: which stream, how large, how long, which way up.

Only `mien.media.video` uses this. It turns PyAV objects and errors into plain values and typed
errors, decodes nothing and keeps no state.
"""

import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from mien.core.errors import MediaError
from mien.core.types import UInt8

# No playlists, picture sequences or text art: those demuxers open further files, or anything.
_CONTAINERS: Final = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,gif,h264,hevc,m4v,mxf,mjpeg,ivf"
_OPTIONS: Final = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}


def open_container(av: Any, path: str | Path) -> Any:
    """Open a file for demuxing.

    Args:
        av: The PyAV module.
        path: A file on disk.

    Raises:
        MediaError: If it is missing, a folder, empty, unreadable or no film.
    """
    file = Path(path)
    if file.is_dir():
        raise unreadable(path, "it is a folder", "pass one film file")
    if not file.exists():
        raise unreadable(path, "there is no such file", "check the path")
    if file.is_file() and file.stat().st_size == 0:
        raise unreadable(path, "it is empty (0 bytes)", "copy or export the film again")
    try:
        # The prefix keeps a name such as "concat:a|b" from being taken for a protocol.
        return av.open(f"file:{path}", container_options=_OPTIONS, metadata_errors="replace")
    except av.error.PermissionError as err:
        raise unreadable(path, "reading it is not permitted", "change its permissions") from err
    except av.error.FFmpegError as err:
        raise unreadable(
            path,
            f"it is not a film, or its header is damaged or cut off ({err.strerror})",
            "pass an mp4, mov, mkv, webm, avi or ts file; `ffmpeg -i IN OUT.mp4` converts others",
        ) from err


def video_stream(av: Any, container: Any, path: str | Path) -> Any:
    """The first stream of moving pictures; cover art does not count.

    Raises:
        MediaError: If there is none, or no decoder for it.
    """
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    if streams and streams[0].codec_context is not None:
        return streams[0]
    if streams:
        why = "its codec is unknown to the installed PyAV"
    elif container.streams.audio:
        why = "it holds sound only, no pictures"
    else:
        why = "it has no video stream; the file may be cut off"
    raise unreadable(path, why, "pass a file with a video stream")


def unreadable(path: str | Path, why: str, mend: str, **facts: object) -> MediaError:
    """The error for a film that cannot be read."""
    return MediaError(what=f"cannot read the film {path}", why=why, mend=mend, **facts)


def declared_span_s(container: Any, stream: Any) -> tuple[float, float | None]:
    """Begin and end of the video stream on its own clock as declared; the end may be unknown.

    The end of the whole container serves only if nothing but the pictures could set it.
    """
    begin_s = float((stream.start_time or 0) * stream.time_base)
    if stream.duration:
        return begin_s, begin_s + float(stream.duration * stream.time_base)
    # Matroska's durations count from zero, not from the first frame.
    tag = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
    if tag:
        return begin_s, int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    if not container.duration or len(container.streams) > 1:
        return begin_s, None
    return begin_s, float(container.duration / 1e6)


def square_size(frame: Any, stream: Any) -> tuple[int, int]:
    """Width and height of a stored frame once its pixels are square; not yet turned upright.

    The shorter side of a pixel is stretched, so that nothing is lost.
    """
    aspect = float(stream.sample_aspect_ratio or 1)
    return round(frame.width * max(aspect, 1.0)), round(frame.height / min(aspect, 1.0))


def display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """(a, b, c, d) of the display matrix, rounded to -1, 0 or 1: x' = ax + cy, y' = bx + dy.

    Turns other than by right angles are not meant for viewing upright; they are left alone.
    """
    side = frame.side_data.get("DISPLAYMATRIX")
    if side is None:
        return 1, 0, 0, 1
    numbers = np.frombuffer(side, np.int32)
    a, b, c, d = (round(int(numbers[i]) / 65536) for i in (0, 1, 3, 4))
    is_right_angled = abs(a * d - b * c) == 1 and abs(a) + abs(b) == 1
    return (a, b, c, d) if is_right_angled else (1, 0, 0, 1)


def turn_upright(pixels: UInt8, matrix: tuple[int, int, int, int]) -> UInt8:
    """Apply a right-angled display matrix, mirroring included.

    Args:
        pixels: (h, w, 3).
        matrix: From `display_matrix`.

    Returns:
        A contiguous array; the input itself if nothing is to be done.
    """
    a, b, c, d = matrix
    if a == 0:
        pixels = pixels.transpose(1, 0, 2)
    if a + c < 0:
        pixels = pixels[:, ::-1]
    if b + d < 0:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
