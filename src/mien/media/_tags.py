"""How much the tags of a TIFF or EXIF block ask for, read without asking for it.

Tags may all point at one stretch of a file; a reader that copies each of them turns 700 kB into
10 GB. Only headers are looked at here, nothing is copied.
"""

import struct
from typing import Final

_SIZES: Final = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)  # bytes a value, by type
_MAX_DIRECTORIES: Final = 256
_SLACK_BYTES: Final = 64 * 2**10


def claims_too_much(block: bytes) -> bool:
    """Whether the tags together claim over twice the bytes that the block has.

    Args:
        block: A TIFF file, or an EXIF block with or without its ``Exif`` header. Anything else
            claims nothing.
    """
    data = memoryview(block)[6:] if block[:6] == b"Exif\0\0" else memoryview(block)
    return _claimed(data) > 2 * len(data) + _SLACK_BYTES


def _claimed(data: memoryview) -> int:
    """Bytes that lie outside their entries, over the chain of directories (TIFF 6.0, section 2)."""
    end = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if end is None or len(data) < 8:
        return 0
    is_big = struct.unpack_from(end + "H", data, 2)[0] == 43
    head, entry, word, inside = ("Q", "HHQ", "Q", 8) if is_big else ("H", "HHL", "L", 4)
    width = struct.calcsize("=" + entry) + inside
    total = 0
    try:
        (at,) = struct.unpack_from(end + word, data, 8 if is_big else 4)
        for _ in range(_MAX_DIRECTORIES):
            if at == 0:
                break
            (count,) = struct.unpack_from(end + head, data, at)
            first = at + struct.calcsize("=" + head)
            for k in range(min(count, len(data) // width)):
                _, kind, values = struct.unpack_from(end + entry, data, first + k * width)
                size = values * (_SIZES[kind] if kind < len(_SIZES) else 1)
                total += size if size > inside else 0
            (at,) = struct.unpack_from(end + word, data, first + count * width)
    except struct.error:
        return total
    return total
