"""The XMP packet of a JPEG file, exchanged without touching anything else in it.

Works on the list of segments before the first scan; pixels are never decoded. What the packet says
is the business of `mien.media.xmp`.
"""

from dataclasses import dataclass
from typing import Final, NoReturn

from mien.core.errors import MediaError

MAX_PACKET_BYTES: Final = 65_533 - 29  # a segment's length has 16 bits, and it names itself

_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED: Final = b"http://ns.adobe.com/xmp/extension/\0"
_SECOND_PICTURE: Final = b"MPF\0"
_APP0, _APP1, _APP2, _SCAN, _END = 0xE0, 0xE1, 0xE2, 0xDA, 0xD9
_SIDECAR: Final = "write into a sidecar: leave out embed=True"


@dataclass(frozen=True, slots=True)
class _Segment:
    """Where a segment stands in the file, from its first 0xFF to behind its last byte."""

    marker: int
    start: int
    stop: int
    content: bytes


def exchange_packet(data: bytes, packet: bytes, source: str) -> bytes:
    """A JPEG file with another XMP packet; every other byte stays what and in what order it was.

    Args:
        data: The file.
        packet: The new packet, put in place of the old one, else behind JFIF and Exif.
        source: How to call the file in messages.

    Raises:
        MediaError: If the packet does not fit into one segment, or the file is damaged, has
            several packets, or states places of further pictures that would move.
    """
    if len(packet) > MAX_PACKET_BYTES:
        _refuse(source, f"its XMP would take {len(packet):,} bytes, and one segment holds 64 kB")
    segments = _segments(data, source)
    if any(s.content.startswith(_EXTENDED) for s in segments):
        _refuse(source, "its XMP is spread over several segments")
    if any(s.marker == _APP2 and s.content.startswith(_SECOND_PICTURE) for s in segments):
        _refuse(source, "it holds further pictures, found by their place in the file")
    old = [s for s in segments if s.marker == _APP1 and s.content.startswith(_XMP)]
    if len(old) > 1:
        _refuse(source, "it has more than one XMP packet")
    start, stop = (old[0].start, old[0].stop) if old else (_place(segments),) * 2
    content = _XMP + packet
    segment = b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
    return data[:start] + segment + data[stop:]


def read_packet(data: bytes, source: str) -> bytes | None:
    """The packet that `exchange_packet` would replace.

    Raises:
        MediaError: If the file is damaged.
    """
    for segment in _segments(data, source):
        if segment.marker == _APP1 and segment.content.startswith(_XMP):
            return segment.content[len(_XMP) :]
    return None


def _place(segments: list[_Segment]) -> int:
    """Behind JFIF and Exif, which readers expect first."""
    place = 2
    for segment in segments:
        exif = segment.marker == _APP1 and segment.content.startswith(b"Exif\0")
        if segment.marker != _APP0 and not exif:
            break
        place = segment.stop
    return place


def _segments(data: bytes, source: str) -> list[_Segment]:
    """The segments before the first scan."""
    segments: list[_Segment] = []
    at = 2
    while data[at : at + 1] == b"\xff":
        start = at
        while data[at : at + 1] == b"\xff":  # any number of fill bytes
            at += 1
        marker, length = data[at] if at < len(data) else 0, data[at + 1 : at + 3]
        if marker in {_SCAN, _END}:
            return segments
        stop = at + 1 + int.from_bytes(length, "big")
        if len(length) < 2 or stop < at + 3 or stop > len(data):
            break
        segments.append(_Segment(marker, start, stop, data[at + 3 : stop]))
        at = stop
    raise MediaError(
        what=f"{source} is not a whole JPEG file",
        why="its segments do not lead to a picture",
        mend="copy or export the picture again",
    )


def _refuse(source: str, why: str) -> NoReturn:
    raise MediaError(what=f"no region can be written into {source} itself", why=why, mend=_SIDECAR)
