"""Face regions in the tree of an XMP packet, in fractions of the picture.

Reads the regions of the Metadata Working Group (Lightroom, digiKam, Picasa), of Microsoft and of
ACDSee; writes the first kind. Pixels, files and orientation belong to `mien.media.xmp`.
"""

import math
from dataclasses import dataclass
from typing import Final
from xml.dom.minidom import Document, Element

from mien.media._xmp_tree import (
    RDF,
    append_xml,
    descriptions,
    drop_member,
    escape,
    find_member,
    list_items,
    open_struct,
    rdf_root,
    read_text,
)

Corners = tuple[float, float, float, float]

SAME_FACE_IOU: Final = 0.5
"""Two regions of one name that overlap more than this are the same face."""

_MP: Final = "http://ns.microsoft.com/photo/1.2/"
_MP_INFO: Final = "http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
_MP_REGION: Final = "http://ns.microsoft.com/photo/1.2/t/Region#"
_NOBODY: Final = "ffffffffffffffff"  # Picasa's name of a face that nobody has named
_PLACES: Final = 8  # of a fraction: a ten-thousandth of a pixel in the largest picture


@dataclass(frozen=True, slots=True)
class _Schema:
    """The namespaces of one way to write regions, and what it calls the area of a face."""

    regions: str
    area: str
    size: str
    areas: tuple[str, ...]


_MWG: Final = _Schema(
    "http://www.metadataworkinggroup.com/schemas/regions/",
    "http://ns.adobe.com/xmp/sType/Area#",
    "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    ("Area",),
)
_ACDSEE: Final = _Schema(
    "http://ns.acdsee.com/regions/",
    "http://ns.acdsee.com/sType/Area#",
    "http://ns.acdsee.com/sType/Dimensions#",
    ("DLYArea", "ALGArea"),  # drawn or confirmed by the user; found by the program
)
_DECLARED: Final = (
    f'xmlns:rdf="{RDF}" xmlns:mwg-rs="{_MWG.regions}"'
    f' xmlns:stArea="{_MWG.area}" xmlns:stDim="{_MWG.size}"'
)


@dataclass(frozen=True, slots=True)
class Region:
    """A face as it stands in a packet.

    Attributes:
        name: Whose it is; empty if nobody has named it.
        corners: (x0, y0, x1, y1) in fractions of width and height, within 0 and 1.
        description: Free text.
        element: Where it stands in the tree; None for a region yet to be written.
    """

    name: str
    corners: Corners
    description: str
    element: Element | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Regions that were measured on the same picture.

    Attributes:
        element: Where the block stands in the tree.
        size: (width, height) of the picture they were measured on, if stated.
        faces: The regions that are faces.
        unusable: How many faces have no area that can be understood.
    """

    element: Element
    size: tuple[float, float] | None
    faces: tuple[Region, ...]
    unusable: int


def read_blocks(document: Document) -> list[Block]:
    """All face regions of a packet, those of the Metadata Working Group first."""
    found = descriptions(document)
    structured = [
        _read_block(element, schema)
        for schema in (_MWG, _ACDSEE)
        for description in found
        if (element := find_member(description, schema.regions, "Regions")) is not None
    ]
    microsoft = [
        _read_microsoft(element)
        for description in found
        if (element := find_member(description, _MP, "RegionInfo")) is not None
    ]
    return structured + microsoft


def read_mwg_blocks(document: Document) -> list[Block]:
    """The blocks that regions may be written into."""
    return [
        _read_block(element, _MWG)
        for description in descriptions(document)
        if (element := find_member(description, _MWG.regions, "Regions")) is not None
    ]


def _read_block(element: Element, schema: _Schema) -> Block:
    members = find_member(element, schema.regions, "RegionList")
    items = [] if members is None else list_items(members)
    faces = [item for item in items if _is_face(item, schema.regions)]
    regions = [
        Region(
            name=read_text(item, schema.regions, "Name") or "",
            corners=corners,
            description=read_text(item, schema.regions, "Description") or "",
            element=item,
        )
        for item in faces
        if (corners := _read_area(item, schema)) is not None
    ]
    size = _read_size(element, schema)
    return Block(element, size, tuple(regions), len(faces) - len(regions))


def _is_face(item: Element, uri: str) -> bool:
    denied = (read_text(item, uri, "NameAssignType") or "").strip() == "denied"  # ACDSee: not them
    return (read_text(item, uri, "Type") or "").strip().lower() == "face" and not denied


def _read_area(item: Element, schema: _Schema) -> Corners | None:
    for name in schema.areas:
        area = find_member(item, schema.regions, name)
        if area is None or read_text(area, schema.area, "unit") not in {None, "", "normalized"}:
            continue
        x, y, w, h = (_number(read_text(area, schema.area, letter)) for letter in "xywh")
        return _clip((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    return None


def _read_size(element: Element, schema: _Schema) -> tuple[float, float] | None:
    stated = find_member(element, schema.regions, "AppliedToDimensions")
    if stated is None:
        return None
    width, height = (_number(read_text(stated, schema.size, letter)) for letter in "wh")
    plausible = 0 < width < math.inf and 0 < height < math.inf
    return (width, height) if plausible else None


def _read_microsoft(element: Element) -> Block:
    members = find_member(element, _MP_INFO, "Regions")
    items = [] if members is None else list_items(members)
    placed = [
        (item, rectangle)
        for item in items
        if (rectangle := read_text(item, _MP_REGION, "Rectangle")) is not None
    ]  # without a rectangle somebody is in the picture, it is not known where
    regions = []
    for item, rectangle in placed:
        numbers = [_number(part) for part in rectangle.split(",")]
        if len(numbers) != 4:
            continue
        x, y, w, h = numbers
        corners = _clip((x, y, x + w, y + h))
        name = read_text(item, _MP_REGION, "PersonDisplayName") or ""
        if corners is not None:
            regions.append(Region("" if name == _NOBODY else name, corners, "", item))
    return Block(element, None, tuple(regions), len(placed) - len(regions))


def _number(text: str | None) -> float:
    """A number, or NaN: it spoils every comparison that it is part of, which is meant."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _clip(corners: Corners) -> Corners | None:
    """The part of a region that lies in the picture, if there is one."""
    if not all(math.isfinite(value) for value in corners):
        return None
    x0, y0, x1, y1 = (min(max(value, 0.0), 1.0) for value in corners)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def overlap(one: Corners, other: Corners) -> float:
    """Intersection over union of two regions."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def is_same_face(one: Region, other: Region) -> bool:
    """Whether two regions of a picture are one face: same name, mostly the same place."""
    return one.name == other.name and overlap(one.corners, other.corners) > SAME_FACE_IOU


def add_block(document: Document) -> Block:
    """A new, empty block of regions."""
    about = next((text for text in map(_about, descriptions(document)) if text), "")
    description = append_xml(
        rdf_root(document),
        f'<rdf:Description xmlns:rdf="{RDF}" xmlns:mwg-rs="{_MWG.regions}"'
        f' rdf:about="{escape(about)}"><mwg-rs:Regions rdf:parseType="Resource"/>'
        "</rdf:Description>",
    )
    element = find_member(description, _MWG.regions, "Regions")
    assert element is not None, "it was appended a moment ago"  # noqa: S101
    return Block(element, None, (), 0)


def _about(description: Element) -> str:
    return description.getAttributeNS(RDF, "about") or ""


def state_size(block: Block, size: tuple[int, int]) -> None:
    """Write which picture a block was measured on, in place of what stands there."""
    drop_member(block.element, _MWG.regions, "AppliedToDimensions")
    append_xml(
        open_struct(block.element),
        f'<mwg-rs:AppliedToDimensions {_DECLARED} stDim:w="{size[0]}" stDim:h="{size[1]}"'
        ' stDim:unit="pixel"/>',
    )


def append_region(block: Block, region: Region) -> None:
    """Write a region at the end of a block."""
    members = find_member(block.element, _MWG.regions, "RegionList")
    if members is None:
        members = append_xml(open_struct(block.element), f"<mwg-rs:RegionList {_DECLARED}/>")
    lists = [child for child in members.childNodes if isinstance(child, Element)]
    target = lists[0] if lists else append_xml(members, f"<rdf:Bag {_DECLARED}/>")
    item = append_xml(
        target,
        f'<rdf:li {_DECLARED}><rdf:Description mwg-rs:Type="Face"'
        f' mwg-rs:Name="{escape(region.name)}"/></rdf:li>',
    )
    replace_region(item, region)


def replace_region(item: Element, region: Region) -> None:
    """Write area and description of a region in place of what stands there."""
    x0, y0, x1, y1 = region.corners
    numbers = {"x": (x0 + x1) / 2, "y": (y0 + y1) / 2, "w": x1 - x0, "h": y1 - y0}
    spelt = " ".join(f'stArea:{name}="{value:.{_PLACES}f}"' for name, value in numbers.items())
    drop_member(item, _MWG.regions, "Area")
    struct = open_struct(item)
    append_xml(struct, f'<mwg-rs:Area {_DECLARED} {spelt} stArea:unit="normalized"/>')
    if region.description:
        drop_member(item, _MWG.regions, "Description")
        text = escape(region.description)
        append_xml(struct, f"<mwg-rs:Description {_DECLARED}>{text}</mwg-rs:Description>")
