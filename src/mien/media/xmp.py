"""Named faces in the metadata of photographs, so that photo managers and mien know the same people.

Reads the regions that Lightroom, digiKam, Picasa, Windows Photo Gallery and ACDSee leave in a
picture or in a sidecar beside it, and writes those of the Metadata Working Group. Who is in a
gallery is not known here.

Which way up: "Region metadata is applied to the stored image. When applying a rotation by applying
Exif Orientation, the rotation must be applied to the regions as well" (Metadata Working Group,
Guidelines For Handling Image Metadata 2.0, 2010, section 5.9). digiKam (``ItemScanner::
commitFaces``), Immich (pull request 18021) and PiGallery2 (``MetadataLoader``) read regions so, and
so does mien, for all kinds of regions. One exception: if the stated size of the picture fits the
upright picture and not the stored one, its regions are taken, and written, as upright ones. Regions
whose stated size has another aspect ratio belong to another crop and are left out, with a note.
"""

import math
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.dom.minidom import Document

from PIL import Image as PilImage

from mien.core.errors import ConflictError, MediaError, RangeError
from mien.core.files import write_atomically
from mien.media import _regions as tree
from mien.media._jpeg_packet import exchange_packet, read_packet
from mien.media._region_frame import Frame, find_frame, swap_sides, to_stored, to_upright
from mien.media._xmp_tree import new_packet, parse_packet, write_packet
from mien.media.decode import (
    exif_orientation,
    open_picture,
    stored_orientation,
    strict_pillow,
    typed_errors,
)
from mien.media.formats import sniff
from mien.media.limits import ImageLimits

Box = tuple[float, float, float, float]

MAX_PACKET_BYTES: Final = 2**20
"""Larger XMP is not read unless asked for."""

_DEFAULT_LIMITS: Final = ImageLimits()


@dataclass(frozen=True, slots=True)
class FaceRegion:
    """A face and whose it is.

    Attributes:
        name: As it is spelt in the metadata; empty if nobody has named the face.
        box: (x0, y0, x1, y1) in pixels of the upright picture.
        description: Free text.
    """

    name: str
    box: Box
    description: str = ""


@dataclass(frozen=True, slots=True)
class RegionSet:
    """What the metadata of a picture says about faces.

    Attributes:
        regions: The faces; one that is stated several times stands here once.
        size: (width, height) of the upright picture.
        orientation: 1 to 8, as EXIF counts: how the stored picture has to be turned.
        files: The files that state regions, sidecars first.
        notes: What was left out, and why.
    """

    regions: tuple[FaceRegion, ...]
    size: tuple[int, int]
    orientation: int
    files: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Header:
    """What has to be known of a picture to understand its regions."""

    size: tuple[int, int]  # upright
    orientation: int
    packet: bytes | None
    notes: tuple[str, ...]


def read_regions(
    path: str | os.PathLike[str],
    *,
    limits: ImageLimits = _DEFAULT_LIMITS,
    max_bytes: int = MAX_PACKET_BYTES,
) -> RegionSet:
    """The named faces of a picture, from ``photo.jpg.xmp``, ``photo.xmp`` and the picture itself.

    A face that several of them state, by the same name and in mostly the same place, is given once,
    as the first of them has it.

    Args:
        path: The picture; of any format that mien reads.
        limits: Bounds on bytes and pixels of the picture.
        max_bytes: Largest XMP packet that is read.

    Raises:
        MediaError: If the picture or its XMP is damaged, unsupported or beyond a limit.
        ExtraMissingError: If it is HEIF and the extra ``heif`` is not installed.
    """
    picture = Path(path)
    header = _read_header(picture, limits)
    packets = [(file, _read_bytes(file, max_bytes)) for file in _sidecars(picture) if file.exists()]
    if header.packet:
        packets.append((picture, header.packet))
    notes, files = list(header.notes), list[Path]()
    found: list[tree.Region] = []
    for file, packet in packets:
        document = parse_packet(packet, repr(str(file)), max_bytes)
        faces = _upright_faces(document, header, file, notes)
        files += [file] if faces else []
        for face in faces:
            if not any(tree.is_same_face(face, known) for known in found):
                found.append(face)
    return RegionSet(
        regions=tuple(_in_pixels(face, header.size) for face in found),
        size=header.size,
        orientation=header.orientation,
        files=tuple(files),
        notes=tuple(notes),
    )


def write_regions(
    path: str | os.PathLike[str],
    regions: Sequence[FaceRegion],
    *,
    size: tuple[int, int],
    orientation: int,
    embed: bool = False,
    limits: ImageLimits = _DEFAULT_LIMITS,
    max_bytes: int = MAX_PACKET_BYTES,
) -> Path | None:
    """Write named faces beside a picture, or into it; everything else there stays.

    A region that is there already, by the same name and in mostly the same place, is replaced, and
    keeps its description if the new one has none. Boxes are cut at the border of the picture.

    Args:
        path: The picture. It is opened only if ``embed``.
        regions: The faces; if there are none, nothing is written.
        size: (width, height) of the upright picture, on which the boxes were measured.
        orientation: 1 to 8, how the stored picture has to be turned to be upright.
        embed: Write into the picture, which must be a JPEG file; its pixels are not touched. Else
            into ``photo.jpg.xmp``, or into ``photo.xmp`` if only that is there.
        limits: Bounds on the bytes of the picture; matters only if ``embed``.
        max_bytes: Largest XMP packet that is read and written.

    Returns:
        The file written.

    Raises:
        RangeError: If a box lies outside the picture, or a text cannot stand in XML.
        ConflictError: If regions are there that were measured on another crop of the picture.
        MediaError: If the XMP there is damaged or too large, or the picture cannot take it.
        StorageError: If the file cannot be written.
    """
    picture = Path(path)
    _check(regions, size, orientation)
    if not regions:
        return None
    target = picture if embed else _choose_sidecar(picture)
    shown = repr(str(target))
    old = _read_bytes(target, limits.max_bytes) if target.exists() or embed else None
    packet = _read_jpeg_packet(old, shown, limits) if embed and old is not None else old
    document = new_packet() if packet is None else parse_packet(packet, shown, max_bytes)
    _merge(document, regions, _Header(size, orientation, None, ()), shown)
    data = write_packet(document)
    if len(data) > max_bytes:
        raise MediaError(
            what=f"the XMP in {shown} would take {len(data):,} bytes",
            why=f"the limit max_bytes is {max_bytes:,}, and it could not be read again",
            mend="write fewer regions, or pass max_bytes=...",
        )
    if embed and old is not None:
        data = exchange_packet(old, data, shown)
    _replace(target, data, like=target if target.exists() else picture)
    return target


def _sidecars(picture: Path) -> list[Path]:
    """``photo.jpg.xmp`` as digiKam and darktable call it, ``photo.xmp`` as Lightroom does."""
    return list(dict.fromkeys([Path(f"{picture}.xmp"), picture.parent / f"{picture.stem}.xmp"]))


def _choose_sidecar(picture: Path) -> Path:
    sidecars = _sidecars(picture)
    return next((file for file in sidecars if file.exists()), sidecars[0])


def _read_header(path: Path, limits: ImageLimits) -> _Header:
    shown = repr(str(path))
    data = _read_bytes(path, limits.max_bytes)
    limits.check_bytes(len(data), shown)
    name = sniff(data, shown)
    notes = list[str]()
    with (
        strict_pillow(limits.max_pixels),
        typed_errors(shown, name),
        open_picture(data, name, shown, limits) as picture,
    ):
        orientation = _read_orientation(picture, notes)
        size, packet = picture.size, picture.info.get("xmp")
    if name != "TIFF":  # of these, Pillow states the upright size
        size = swap_sides(size, orientation)
    packet = packet.encode() if isinstance(packet, str) else packet
    if packet and b"HasExtendedXMP" in packet:
        notes.append(f"{path}: the part of its XMP beyond 64 kB was not read")
    return _Header(size, orientation, packet or None, tuple(notes))


def _read_orientation(picture: PilImage.Image, notes: list[str]) -> int:
    """How the stored picture has to be turned, as `mien.media.image.load_image` turns it."""
    if picture.format == "TIFF":
        return stored_orientation(picture)
    value = exif_orientation(picture)
    if value is None:
        notes.append("EXIF unreadable, orientation unknown")
    return value if value is not None and value in range(1, 9) else 1


def _upright_faces(
    document: Document, header: _Header, file: Path, notes: list[str]
) -> list[tree.Region]:
    """The faces of a packet in fractions of the upright picture; adds notes on what is not."""
    faces: list[tree.Region] = []
    for block in tree.read_blocks(document):
        frame = find_frame(block.size, header.size, header.orientation)
        if frame is None:
            notes.append(f"{file}: {len(block.faces)} regions of another crop were left out")
            continue
        if block.unusable:
            notes.append(f"{file}: {block.unusable} regions without a usable area were left out")
        orientation = header.orientation if frame == "stored" else 1
        faces += [
            tree.Region(face.name, to_upright(face.corners, orientation), face.description)
            for face in block.faces
        ]
    return faces


def _merge(document: Document, regions: Sequence[FaceRegion], header: _Header, shown: str) -> None:
    """Put regions into a tree, each in the place of the one it replaces."""
    blocks = tree.read_mwg_blocks(document) or [tree.add_block(document)]
    frames = [find_frame(block.size, header.size, header.orientation) for block in blocks]
    if None in frames:
        raise ConflictError(
            what=f"{shown} holds regions that were measured on another crop of the picture",
            why="beside new ones, their places could no longer be told from right ones",
            mend="remove them with the program that wrote them, then repeat",
        )
    for block, frame in zip(blocks, frames, strict=True):
        upright = frame == "upright"
        size = header.size if upright else swap_sides(header.size, header.orientation)
        tree.state_size(block, size)
    for region in regions:
        _place(region, blocks, frames, header)


def _place(
    region: FaceRegion,
    blocks: Sequence[tree.Block],
    frames: Sequence[Frame | None],
    header: _Header,
) -> None:
    fractions = _in_fractions(region.box, header.size)
    assert fractions is not None, "boxes were checked to lie in the picture"  # noqa: S101
    spelt = [
        tree.Region(
            region.name,
            to_stored(fractions, header.orientation if frame == "stored" else 1),
            region.description,
        )
        for frame in frames
    ]
    for block, new in zip(blocks, spelt, strict=True):
        for old in block.faces:
            if old.element is not None and tree.is_same_face(old, new):
                tree.replace_region(old.element, new)
                return
    tree.append_region(blocks[0], spelt[0])


def _in_pixels(face: tree.Region, size: tuple[int, int]) -> FaceRegion:
    x0, y0, x1, y1 = face.corners
    box = (x0 * size[0], y0 * size[1], x1 * size[0], y1 * size[1])
    return FaceRegion(face.name, box, face.description)


def _in_fractions(box: Box, size: tuple[int, int]) -> tree.Corners | None:
    """The part of a box that lies in the picture; None if there is none."""
    x0, x1 = (min(max(x / size[0], 0.0), 1.0) for x in (box[0], box[2]))
    y0, y1 = (min(max(y / size[1], 0.0), 1.0) for y in (box[1], box[3]))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def _check(regions: Sequence[FaceRegion], size: tuple[int, int], orientation: int) -> None:
    if orientation not in range(1, 9) or min(size) < 1:
        raise RangeError(
            what=f"size is {size}, orientation {orientation}",
            why="a picture has at least one pixel, and EXIF counts orientations from 1 to 8",
            mend="pass size and orientation as read_regions gives them",
        )
    for number, region in enumerate(regions):
        finite = all(math.isfinite(value) for value in region.box)
        if not finite or _in_fractions(region.box, size) is None:
            raise RangeError(
                what=f"the box of region {number} is {region.box}, the picture {size}",
                why="a region covers a part of the picture",
                mend="pass (x0, y0, x1, y1) in pixels of the upright picture, x0 < x1 and y0 < y1",
            )
        if not all(_is_xml(letter) for letter in region.name + region.description):
            raise RangeError(
                what=f"name or description of region {number} holds a control character",
                why="XML 1.0 has no way to spell it",
                mend="remove it",
            )


def _is_xml(letter: str) -> bool:
    """Whether XML 1.0 allows a character (its production 2)."""
    code = ord(letter)
    return (
        code in {0x9, 0xA, 0xD}
        or 0x20 <= code <= 0xD7FF
        or 0xE000 <= code <= 0xFFFD
        or code >= 0x10000
    )


def _read_jpeg_packet(data: bytes, shown: str, limits: ImageLimits) -> bytes | None:
    limits.check_bytes(len(data), shown)  # of a larger file, only the beginning was read
    if not data.startswith(b"\xff\xd8\xff"):
        raise MediaError(
            what=f"no region can be written into {shown} itself",
            why="only in JPEG files can XMP be exchanged without rewriting the picture",
            mend="write into a sidecar: leave out embed=True",
        )
    return read_packet(data, shown)


def _read_bytes(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file, at most one more than the limit."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise MediaError(
                what=f"{str(path)!r} is not a file",
                why="metadata are read from files",
                mend="check the path",
            )
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except (OSError, ValueError) as err:
        if isinstance(err, MediaError):
            raise
        reason = err.strerror if isinstance(err, OSError) else None
        raise MediaError(
            what=f"{str(path)!r} cannot be opened",
            why=reason or str(err),
            mend="check the path and its permissions",
        ) from err


def _replace(target: Path, data: bytes, *, like: Path) -> None:
    """Write a file in one step, as readable as ``like``: a sidecar's names are in the picture."""
    place = target.resolve()  # a link stays a link
    mode = stat.S_IMODE(like.stat().st_mode) if like.exists() else None
    with write_atomically(place, private=True) as file:
        file.write(data)
    if mode is not None:
        place.chmod(mode)
