"""Faces in metadata: every way they are spelt, every way up, and nothing else harmed."""

import os
import re
import stat
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from PIL.PngImagePlugin import PngInfo

from mien.core.errors import ConflictError, MediaError, RangeError
from mien.media._xmp_tree import parse_packet, write_packet
from mien.media.image import load_image
from mien.media.limits import ImageLimits
from mien.media.xmp import FaceRegion, RegionSet, read_regions, write_regions
from toys.pictures import draw_zoo, encode, orientation_exif

SIZE = (160, 120)
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
TURNS = {
    1: None,
    2: PilImage.Transpose.FLIP_LEFT_RIGHT,
    3: PilImage.Transpose.ROTATE_180,
    4: PilImage.Transpose.FLIP_TOP_BOTTOM,
    5: PilImage.Transpose.TRANSPOSE,
    6: PilImage.Transpose.ROTATE_90,
    7: PilImage.Transpose.TRANSVERSE,
    8: PilImage.Transpose.ROTATE_270,
}  # how the camera stored the upright picture: the inverse of what the reader has to do


def packet(body: str) -> str:
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="toy 1.0">
 <rdf:RDF xmlns:rdf="{RDF}">
{body}
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


# As Lightroom Classic writes: attributes, nested rdf:Description.
LIGHTROOM = packet("""
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"
    xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
   xmp:Rating="4" xmp:Label="Red">
   <dc:subject><rdf:Bag><rdf:li>Holiday &amp; sea</rdf:li></rdf:Bag></dc:subject>
   <!-- kept -->
   <mwg-rs:Regions rdf:parseType="Resource">
    <mwg-rs:AppliedToDimensions stDim:w="160" stDim:h="120" stDim:unit="pixel"/>
    <mwg-rs:RegionList>
     <rdf:Bag>
      <rdf:li>
       <rdf:Description mwg-rs:Rotation="0.01" mwg-rs:Name="Ann" mwg-rs:Type="Face">
        <mwg-rs:Area stArea:h="0.25" stArea:w="0.2" stArea:x="0.3" stArea:y="0.4"/>
       </rdf:Description>
      </rdf:li>
      <rdf:li>
       <rdf:Description mwg-rs:Name="Rex" mwg-rs:Type="Pet">
        <mwg-rs:Area stArea:h="0.2" stArea:w="0.2" stArea:x="0.8" stArea:y="0.8"/>
       </rdf:Description>
      </rdf:li>
     </rdf:Bag>
    </mwg-rs:RegionList>
   </mwg-rs:Regions>
  </rdf:Description>""")

# As digiKam writes through Exiv2: parseType="Resource", Microsoft's regions beside.
DIGIKAM = packet("""
  <rdf:Description rdf:about=""
    xmlns:digiKam="http://www.digikam.org/ns/1.0/"
    xmlns:MP="http://ns.microsoft.com/photo/1.2/"
    xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
    xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"
    xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
   digiKam:PickLabel="3">
   <digiKam:TagsList><rdf:Seq><rdf:li>People/Ann</rdf:li></rdf:Seq></digiKam:TagsList>
   <MP:RegionInfo rdf:parseType="Resource">
    <MPRI:Regions><rdf:Bag>
     <rdf:li MPReg:PersonDisplayName="Ann" MPReg:Rectangle="0.2, 0.275, 0.2, 0.25"/>
    </rdf:Bag></MPRI:Regions>
   </MP:RegionInfo>
   <mwg-rs:Regions rdf:parseType="Resource">
    <mwg-rs:AppliedToDimensions rdf:parseType="Resource">
     <stDim:w>160</stDim:w><stDim:h>120</stDim:h><stDim:unit>pixel</stDim:unit>
    </mwg-rs:AppliedToDimensions>
    <mwg-rs:RegionList><rdf:Bag>
     <rdf:li rdf:parseType="Resource">
      <mwg-rs:Name>Ann</mwg-rs:Name>
      <mwg-rs:Type>Face</mwg-rs:Type>
      <mwg-rs:Description>with hat</mwg-rs:Description>
      <mwg-rs:Area rdf:parseType="Resource">
       <stArea:x>0.3</stArea:x><stArea:y>0.4</stArea:y>
       <stArea:w>0.2</stArea:w><stArea:h>0.25</stArea:h>
       <stArea:unit>normalized</stArea:unit>
      </mwg-rs:Area>
     </rdf:li>
    </rdf:Bag></mwg-rs:RegionList>
   </mwg-rs:Regions>
  </rdf:Description>""")

# As Picasa writes: rdf:Seq for rdf:Bag, each structure in its own rdf:Description, other prefixes.
PICASA = packet("""
  <rdf:Description rdf:about="uuid:1"
    xmlns:r="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:d="http://ns.adobe.com/xap/1.0/sType/Dimensions#"
    xmlns:a="http://ns.adobe.com/xmp/sType/Area#">
   <r:Regions><rdf:Description>
    <r:AppliedToDimensions><rdf:Description d:w="160" d:h="120"/></r:AppliedToDimensions>
    <r:RegionList><rdf:Seq>
     <rdf:li><rdf:Description>
      <r:Name>Ann</r:Name><r:Type>Face</r:Type>
      <r:Area><rdf:Description a:x="0.3" a:y="0.4" a:w="0.2" a:h="0.25"/></r:Area>
     </rdf:Description></rdf:li>
    </rdf:Seq></r:RegionList>
   </rdf:Description></r:Regions>
  </rdf:Description>""")

# As Windows Photo Gallery writes; ffffffffffffffff is Picasa's "nobody".
MICROSOFT = packet("""
  <rdf:Description rdf:about="" xmlns:MP="http://ns.microsoft.com/photo/1.2/">
   <MP:RegionInfo>
    <rdf:Description xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#">
    <MPRI:Regions><rdf:Bag xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#">
     <rdf:li><rdf:Description>
      <MPReg:PersonDisplayName>Ann</MPReg:PersonDisplayName>
      <MPReg:Rectangle>0.2, 0.275, 0.2, 0.25</MPReg:Rectangle>
      <MPReg:PersonLiveIdCID>123</MPReg:PersonLiveIdCID>
     </rdf:Description></rdf:li>
     <rdf:li rdf:parseType="Resource">
      <MPReg:PersonDisplayName>Somewhere</MPReg:PersonDisplayName>
     </rdf:li>
     <rdf:li MPReg:PersonDisplayName="ffffffffffffffff" MPReg:Rectangle="0.6,0.6,0.1,0.1"/>
    </rdf:Bag></MPRI:Regions>
    </rdf:Description>
   </MP:RegionInfo>
  </rdf:Description>""")

ACDSEE = packet("""
  <rdf:Description rdf:about=""
    xmlns:acdsee-rs="http://ns.acdsee.com/regions/"
    xmlns:acdsee-stDim="http://ns.acdsee.com/sType/Dimensions#"
    xmlns:acdsee-stArea="http://ns.acdsee.com/sType/Area#">
   <acdsee-rs:Regions rdf:parseType="Resource">
    <acdsee-rs:AppliedToDimensions acdsee-stDim:h="120" acdsee-stDim:w="160"/>
    <acdsee-rs:RegionList><rdf:Bag>
     <rdf:li><rdf:Description acdsee-rs:Type="Face" acdsee-rs:Name="Ann"
       acdsee-rs:NameAssignType="manual">
      <acdsee-rs:DLYArea acdsee-stArea:h="0.25" acdsee-stArea:w="0.2" acdsee-stArea:x="0.3"
       acdsee-stArea:y="0.4"/>
      <acdsee-rs:ALGArea acdsee-stArea:h="0.2" acdsee-stArea:w="0.2" acdsee-stArea:x="0.3"
       acdsee-stArea:y="0.4"/>
     </rdf:Description></rdf:li>
     <rdf:li><rdf:Description acdsee-rs:Type="Face" acdsee-rs:Name="Bob"
       acdsee-rs:NameAssignType="denied">
      <acdsee-rs:ALGArea acdsee-stArea:h="0.2" acdsee-stArea:w="0.2" acdsee-stArea:x="0.7"
       acdsee-stArea:y="0.4"/>
     </rdf:Description></rdf:li>
    </rdf:Bag></acdsee-rs:RegionList>
   </acdsee-rs:Regions>
  </rdf:Description>""")

# The shortest of RDF: properties as attributes of rdf:li itself, the root without x:xmpmeta.
SHORTEST = f"""<?xml version="1.0" encoding="UTF-8"?>
<rdf:RDF xmlns:rdf="{RDF}"
  xmlns:m="http://www.metadataworkinggroup.com/schemas/regions/"
  xmlns:a="http://ns.adobe.com/xmp/sType/Area#"><rdf:Description>
 <m:Regions><m:RegionList><rdf:Bag>
  <rdf:li><rdf:Description m:Type="Face" m:Name="Ann" m:Description="x">
   <m:Area a:x=" 0.3 " a:y="4e-1" a:w="0.2" a:h="0.25" a:unit="normalized"/>
  </rdf:Description></rdf:li>
 </rdf:Bag></m:RegionList></m:Regions>
</rdf:Description></rdf:RDF>"""

# Not RDF by the letter, yet written by hand-made tools: attributes and elements side by side.
LOOSE = SHORTEST.replace("<rdf:li><rdf:Description", "<rdf:li").replace(
    "</rdf:Description></rdf:li>", "</rdf:li>"
)

DIALECTS = {
    "Lightroom": LIGHTROOM,
    "digiKam": DIGIKAM,
    "Picasa": PICASA,
    "Microsoft": MICROSOFT,
    "ACDSee": ACDSEE,
    "shortest": SHORTEST,
    "loose": LOOSE,
}
ANN = (32.0, 33.0, 64.0, 63.0)


def draw_face(box: tuple[int, int, int, int] = (20, 12, 60, 52)) -> PilImage.Image:
    """A dark picture with one bright box."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 20, np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 240
    return PilImage.fromarray(pixels)


def store(path: Path, orientation: int = 1, **options: object) -> Path:
    turn = TURNS[orientation]
    picture = draw_face() if turn is None else draw_face().transpose(turn)
    name = {"jpg": "JPEG", "tif": "TIFF"}.get(path.suffix[1:], path.suffix[1:].upper())
    path.write_bytes(encode(picture, name, exif=orientation_exif(orientation), **options))
    return path


def boxes(found: RegionSet) -> list[tuple[str, tuple[float, ...]]]:
    return [(r.name, tuple(round(v, 3) for v in r.box)) for r in found.regions]


def is_bright(pixels: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> bool:
    """Whether a box covers the bright part of a picture, and only that."""
    inside = np.zeros(pixels.shape[:2], bool)
    inside[round(y0) : round(y1), round(x0) : round(x1)] = True
    bright = pixels.mean(axis=2) > 128
    return (bright == inside).mean() > 0.995


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return store(tmp_path / "photo.jpg")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["photo.jpg.xmp", "photo.xmp"])
def test_regions_of_every_program_are_read_from_either_sidecar(photo, dialect, name):
    sidecar = photo.with_name(name)
    sidecar.write_text(DIALECTS[dialect], encoding="utf-8")
    found = read_regions(photo)
    assert boxes(found)[0] == ("Ann", ANN)
    assert found.files == (sidecar,)
    assert (found.size, found.orientation, found.notes) == (SIZE, 1, ())
    unnamed = [("", (96.0, 72.0, 112.0, 84.0))] if dialect == "Microsoft" else []
    assert boxes(found)[1:] == unnamed


def test_the_description_is_read(photo):
    Path(f"{photo}.xmp").write_text(DIGIKAM, encoding="utf-8")
    assert [region.description for region in read_regions(photo).regions] == ["with hat"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_sidecars_are_read_in_every_encoding_of_xmp(photo, encoding):
    text = LIGHTROOM.replace("Ann", "Zoë Ж")
    if encoding == "utf-8-sig":
        text = text.replace("\ufeff", "")
    Path(f"{photo}.xmp").write_bytes(text.encode(encoding))
    assert boxes(read_regions(photo)) == [("Zoë Ж", ANN)]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_the_packet_inside_a_picture_is_read(tmp_path, suffix):
    path = tmp_path / f"photo.{suffix}"
    data = LIGHTROOM.encode()
    if suffix == "png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", LIGHTROOM)
        path.write_bytes(encode(draw_face(), "PNG", pnginfo=info))
    elif suffix == "tif":
        path.write_bytes(encode(draw_face(), "TIFF", tiffinfo={700: data}))
    else:
        path.write_bytes(encode(draw_face(), suffix.replace("jpg", "jpeg").upper(), xmp=data))
    assert boxes(read_regions(path)) == [("Ann", ANN)]
    assert read_regions(path).files == (path,)


@pytest.mark.parametrize("name", list(draw_zoo()))
def test_pictures_without_regions_say_so(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(draw_zoo()[name])
    found = read_regions(path)
    assert found.regions == ()
    image = load_image(path)
    assert found.size == (image.width, image.height)


def test_a_face_that_is_stated_twice_is_given_once_as_the_sidecar_has_it(tmp_path):
    path = store(tmp_path / "photo.jpg", xmp=LIGHTROOM.encode())
    sidecar = Path(f"{path}.xmp")
    sidecar.write_text(DIGIKAM.replace("0.25</stArea:h>", "0.3</stArea:h>"), encoding="utf-8")
    found = read_regions(path)
    assert boxes(found) == [("Ann", (32.0, 30.0, 64.0, 66.0))]
    assert found.files == (sidecar, path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_apply_to_the_stored_picture_whichever_way_up_it_is(tmp_path, suffix, orientation):
    path = store(tmp_path / f"photo.{suffix}", orientation)
    face = FaceRegion("Ann", (20, 12, 60, 52))
    sidecar = write_regions(path, [face], size=SIZE, orientation=orientation)
    spelt = sidecar.read_text(encoding="utf-8")
    x, y, w, h = (float(re.search(f'stArea:{n}="([0-9.]+)"', spelt)[1]) for n in "xywh")
    turn = TURNS[orientation]
    stored = np.asarray(draw_face() if turn is None else draw_face().transpose(turn))
    height, width = stored.shape[:2]
    assert f'stDim:w="{width}" stDim:h="{height}"' in spelt
    edges = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
    assert is_bright(stored, *edges)
    found = read_regions(path)
    assert (found.size, found.orientation) == (SIZE, orientation)
    assert found.regions[0].box == pytest.approx(face.box, abs=1e-4)
    assert is_bright(load_image(path).pixels, *found.regions[0].box)


@pytest.mark.parametrize("orientation", range(5, 9))
def test_regions_stated_for_the_upright_picture_are_not_turned(tmp_path, orientation):
    path = store(tmp_path / "photo.jpg", orientation)
    sidecar = Path(f"{path}.xmp")
    sidecar.write_text(LIGHTROOM, encoding="utf-8")
    assert boxes(read_regions(path)) == [("Ann", ANN)]
    write_regions(path, [FaceRegion("Bob", (8, 8, 24, 24))], size=SIZE, orientation=orientation)
    assert boxes(read_regions(path)) == [("Ann", ANN), ("Bob", (8.0, 8.0, 24.0, 24.0))]
    assert 'stDim:w="160" stDim:h="120"' in sidecar.read_text(encoding="utf-8")


def test_regions_of_a_smaller_copy_still_apply(photo):
    smaller = LIGHTROOM.replace('stDim:w="160" stDim:h="120"', 'stDim:w="33" stDim:h="25"')
    Path(f"{photo}.xmp").write_text(smaller, encoding="utf-8")
    assert boxes(read_regions(photo)) == [("Ann", ANN)]


def test_regions_of_another_crop_are_left_out_with_a_note_and_never_written_beside(photo):
    cropped = LIGHTROOM.replace('stDim:h="120"', 'stDim:h="160"')
    sidecar = Path(f"{photo}.xmp")
    sidecar.write_text(cropped, encoding="utf-8")
    found = read_regions(photo)
    assert found.regions == ()
    assert found.notes == (f"{sidecar}: 1 regions of another crop were left out",)
    with pytest.raises(ConflictError, match="measured on another crop"):
        write_regions(photo, [FaceRegion("Bob", (8, 8, 24, 24))], size=SIZE, orientation=1)
    assert sidecar.read_text(encoding="utf-8") == cropped


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('stArea:w="0.2" stArea:x="0.3"', 'stArea:x="0.3"'),
        ('stArea:x="0.3"', 'stArea:x="left"'),
        ('stArea:x="0.3"', 'stArea:x="nan"'),
        ('stArea:x="0.3"', 'stArea:x="3"'),
        ('stArea:x="0.3"', 'stArea:x="0.3" stArea:unit="pixel"'),
        ('<mwg-rs:Area stArea:h="0.25" stArea:w="0.2" stArea:x="0.3" stArea:y="0.4"/>', ""),
    ],
)
def test_an_area_that_cannot_be_understood_is_noted(photo, old, new):
    assert old in LIGHTROOM
    Path(f"{photo}.xmp").write_text(LIGHTROOM.replace(old, new, 1), encoding="utf-8")
    found = read_regions(photo)
    assert found.regions == ()
    assert found.notes == (f"{photo}.xmp: 1 regions without a usable area were left out",)


def test_regions_in_quoted_packets_of_other_pictures_are_not_of_this_one(photo):
    inner = re.search("<mwg-rs:Regions.*</mwg-rs:Regions>", LIGHTROOM, re.DOTALL)[0]
    quoted = LIGHTROOM.replace(
        inner,
        '<p:Pantry xmlns:p="http://ns.adobe.com/xap/1.0/mm/"><rdf:Bag><rdf:li>'
        f"<rdf:Description>{inner}</rdf:Description></rdf:li></rdf:Bag></p:Pantry>",
    )
    Path(f"{photo}.xmp").write_text(quoted, encoding="utf-8")
    assert read_regions(photo).regions == ()


TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("<>&\"'\t\n\r]]>\u202e\u05d0\u0639"),
    max_size=30,
)


@st.composite
def face_regions(draw):
    size = draw(st.integers(1, 6000)), draw(st.integers(1, 6000))
    spans = [sorted(draw(st.lists(st.integers(0, 64), min_size=2, max_size=2, unique=True)))]
    spans.append(sorted(draw(st.lists(st.integers(0, 64), min_size=2, max_size=2, unique=True))))
    (x0, x1), (y0, y1) = ([v / 64 * s for v in ab] for ab, s in zip(spans, size, strict=True))
    return size, FaceRegion(draw(TEXT), (x0, y0, x1, y1), draw(TEXT))


@settings(max_examples=60, deadline=None)
@given(
    drawn=face_regions(), orientation=st.integers(1, 8), dialect=st.sampled_from([*DIALECTS, ""])
)
def test_what_is_written_is_read_again(tmp_path_factory, drawn, orientation, dialect):
    size, region = drawn
    folder = tmp_path_factory.mktemp("xmp")
    path = folder / "photo.png"
    stored = size[::-1] if orientation > 4 else size
    PilImage.new("1", stored).save(path, exif=orientation_exif(orientation))
    if dialect:
        others = DIALECTS[dialect].replace("AppliedToDimensions", "Unknown")
        Path(f"{path}.xmp").write_text(others, encoding="utf-8")
    before = read_regions(path).regions
    write_regions(path, [region], size=size, orientation=orientation)
    after = read_regions(path).regions
    for wanted in [region, *(old for old in before if old.name != region.name)]:
        same = [r for r in after if (r.name, r.description) == (wanted.name, wanted.description)]
        assert any(r.box == pytest.approx(wanted.box, abs=0.001) for r in same)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_second_write_replaces_the_same_face_and_adds_another(photo, dialect):
    sidecar = Path(f"{photo}.xmp")
    sidecar.write_text(DIALECTS[dialect], encoding="utf-8")
    moved, other = (34.0, 34.0, 66.0, 64.0), (100.0, 10.0, 140.0, 60.0)
    for _ in range(2):
        new = [FaceRegion("Ann", moved), FaceRegion("Ann", other), FaceRegion("Bo", moved)]
        assert write_regions(photo, new, size=SIZE, orientation=1) == sidecar
    named = [one for one in boxes(read_regions(photo)) if one[0]]
    assert sorted(named) == [("Ann", moved), ("Ann", other), ("Bo", moved)]
    spelt = sidecar.read_text(encoding="utf-8")
    assert len(re.findall(r":Area[ >]", spelt)) >= 3


def test_a_replaced_region_keeps_its_description_unless_it_gets_a_new_one(photo):
    Path(f"{photo}.xmp").write_text(DIGIKAM, encoding="utf-8")
    write_regions(photo, [FaceRegion("Ann", ANN)], size=SIZE, orientation=1)
    assert read_regions(photo).regions == (FaceRegion("Ann", pytest.approx(ANN), "with hat"),)
    write_regions(photo, [FaceRegion("Ann", ANN, "without")], size=SIZE, orientation=1)
    assert read_regions(photo).regions == (FaceRegion("Ann", pytest.approx(ANN), "without"),)


def test_everything_else_in_a_sidecar_survives(photo):
    sidecar = Path(f"{photo}.xmp")
    sidecar.write_text(LIGHTROOM, encoding="utf-8")
    write_regions(photo, [FaceRegion("Ann", (34, 34, 66, 64))], size=SIZE, orientation=1)
    spelt = sidecar.read_text(encoding="utf-8")
    kept = [
        'x:xmptk="toy 1.0"', 'xmp:Rating="4"', 'xmp:Label="Red"', "<!-- kept -->",
        "<rdf:li>Holiday &#38; sea</rdf:li>", 'mwg-rs:Name="Rex" mwg-rs:Type="Pet"',
        'mwg-rs:Rotation="0.01"', '<?xpacket begin="\ufeff"', '<?xpacket end="w"?>',
    ]  # fmt: skip
    assert [part for part in kept if part not in spelt] == []
    assert spelt.count("mwg-rs:Area ") == 2


@pytest.mark.parametrize("text", DIALECTS.values(), ids=list(DIALECTS))
def test_a_tree_is_written_as_it_was_read(text):
    once = write_packet(parse_packet(text.encode(), "toy", 2**20))
    twice = write_packet(parse_packet(once, "toy", 2**20))
    assert once == twice
    folded = re.sub(r"\s+", " ", once.decode().replace("&#38;", "&amp;"))
    for piece in re.findall(r"[\w:-]+=\"[^\"]*\"|<!--.*?-->", text):
        assert re.sub(r"\s+", " ", piece) in folded


def test_a_new_sidecar_is_called_as_digikam_does_unless_lightroom_was_there(photo):
    region = [FaceRegion("Ann", ANN)]
    assert write_regions(photo, region, size=SIZE, orientation=1) == Path(f"{photo}.xmp")
    Path(f"{photo}.xmp").unlink()
    photo.with_suffix(".xmp").write_text(LIGHTROOM, encoding="utf-8")
    written = write_regions(photo, region, size=SIZE, orientation=1)
    assert written == photo.with_suffix(".xmp")
    assert not Path(f"{photo}.xmp").exists()


def test_without_regions_nothing_is_written(photo):
    assert write_regions(photo, [], size=SIZE, orientation=1) is None
    assert list(photo.parent.iterdir()) == [photo]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_files_stay_as_readable_as_they_were(photo):
    photo.chmod(0o640)
    sidecar = write_regions(photo, [FaceRegion("Ann", ANN)], size=SIZE, orientation=1)
    assert stat.S_IMODE(sidecar.stat().st_mode) == 0o640
    sidecar.chmod(0o600)
    write_regions(photo, [FaceRegion("Bob", ANN)], size=SIZE, orientation=1)
    assert stat.S_IMODE(sidecar.stat().st_mode) == 0o600
    write_regions(photo, [FaceRegion("Bob", ANN)], size=SIZE, orientation=1, embed=True)
    assert stat.S_IMODE(photo.stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_a_link_stays_a_link(photo, tmp_path):
    link = tmp_path / "link.jpg"
    link.symlink_to(photo)
    write_regions(link, [FaceRegion("Ann", ANN)], size=SIZE, orientation=1, embed=True)
    assert link.is_symlink()
    assert boxes(read_regions(photo)) == [("Ann", ANN)]


def jpeg_segments(data: bytes) -> list[bytes]:
    """A slow, literal reader: the segments up to the first scan, and then all the rest."""
    parts, at = [data[:2]], 2
    while data[at + 1] != 0xDA:
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        parts.append(data[at : at + 2 + length])
        at += 2 + length
    return [*parts, data[at:]]


def is_xmp(segment: bytes) -> bool:
    return segment[4:33] == b"http://ns.adobe.com/xap/1.0/\0"


@pytest.mark.parametrize("old", [None, LIGHTROOM])
def test_writing_into_a_jpeg_changes_its_xmp_and_no_other_byte(tmp_path, old):
    options = {} if old is None else {"xmp": old.encode()}
    path = store(tmp_path / "photo.jpg", 6, comment=b"a comment", progressive=True, **options)
    path.write_bytes(path.read_bytes() + b"trailing bytes of a phone")
    before, pixels = jpeg_segments(path.read_bytes()), load_image(path).pixels
    face = FaceRegion("Bob", (100, 60, 130, 90))
    if old is not None:
        text = old.replace('w="160" stDim:h="120"', 'w="120" stDim:h="160"')
        path.write_bytes(path.read_bytes().replace(old.encode(), text.encode()))
    assert write_regions(path, [face], size=SIZE, orientation=6, embed=True) == path
    after = jpeg_segments(path.read_bytes())
    assert [s for s in after if not is_xmp(s)] == [s for s in before if not is_xmp(s)]
    assert sum(map(is_xmp, after)) == 1
    assert ("Bob", (100.0, 60.0, 130.0, 90.0)) in boxes(read_regions(path))
    np.testing.assert_array_equal(load_image(path).pixels, pixels)
    if old is None:
        first = [s[4:8] for s in after[1:4]]
        assert first == [b"JFIF", b"Exif", b"http"]
    else:
        assert list(map(is_xmp, after)) == list(map(is_xmp, before))
        assert b'xmp:Rating="4"' in next(filter(is_xmp, after))


def test_only_jpeg_files_are_written_into(tmp_path):
    path = store(tmp_path / "photo.png")
    with pytest.raises(MediaError, match="only in JPEG files .* sidecar"):
        write_regions(path, [FaceRegion("Ann", ANN)], size=SIZE, orientation=1, embed=True)


def test_xmp_beyond_one_segment_is_refused_and_the_sidecar_named(photo):
    before = photo.read_bytes()
    faces = [FaceRegion(f"{n}", (n % 80, n % 60, n % 80 + 4, n % 60 + 4)) for n in range(400)]
    with pytest.raises(MediaError, match="one segment holds 64 kB; write into a sidecar"):
        write_regions(photo, faces, size=SIZE, orientation=1, embed=True)
    assert photo.read_bytes() == before
    write_regions(photo, faces, size=SIZE, orientation=1)
    assert len(read_regions(photo).regions) == 400


def insert(path: Path, marker: int, content: bytes) -> None:
    data = path.read_bytes()
    segment = bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content
    path.write_bytes(data[:2] + segment + data[2:])


@pytest.mark.parametrize(
    ("marker", "content", "match"),
    [
        (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40, "spread over several segments"),
        (0xE2, b"MPF\0II*\0", "further pictures"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + LIGHTROOM.encode(), "more than one XMP packet"),
    ],
)
def test_what_would_break_a_jpeg_is_refused(tmp_path, marker, content, match):
    path = store(tmp_path / "photo.jpg", xmp=LIGHTROOM.encode())
    insert(path, marker, content)
    before = path.read_bytes()
    with pytest.raises(MediaError, match=match):
        write_regions(path, [FaceRegion("Ann", ANN)], size=SIZE, orientation=1, embed=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", [3, 5, 25])
def test_a_damaged_jpeg_is_not_written_into(photo, cut):
    photo.write_bytes(photo.read_bytes()[:cut])
    with pytest.raises(MediaError, match="not a whole JPEG file"):
        write_regions(photo, [FaceRegion("Ann", ANN)], size=SIZE, orientation=1, embed=True)


def test_a_jpeg_beyond_the_limit_is_not_cut_short(photo):
    before = photo.read_bytes()
    with pytest.raises(MediaError, match="above the limit max_bytes"):
        write_regions(
            photo,
            [FaceRegion("Ann", ANN)],
            size=SIZE,
            orientation=1,
            embed=True,
            limits=ImageLimits(max_bytes=len(before) - 1),
        )
    assert photo.read_bytes() == before


def test_xmp_that_goes_on_beyond_the_segment_is_noted(tmp_path):
    more = LIGHTROOM.replace(
        'xmp:Rating="4"',
        'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="0"',
    )
    path = store(tmp_path / "photo.jpg", xmp=more.encode())
    assert read_regions(path).notes == (f"{path}: the part of its XMP beyond 64 kB was not read",)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + SHORTEST.partition("?>")[2]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no element found"),
        (b"\0\0\0", "no element found"),
        (b"no XML", "syntax error"),
        (LIGHTROOM.encode()[:900], "cannot be read"),
        (b"<x:xmpmeta/>", "unbound prefix"),
        (b"<svg/>", "no rdf:RDF"),
        (BOMB.encode(), "DTDForbidden"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "DTDForbidden"),
        (b'<?xml version="1.0" encoding="klingon"?><x/>', "encoding"),
        (b"<a>" * 200 + b"</a>" * 200, "nested more than 100 deep"),
        (b"<r>" + b"<a/>" * 100_000 + b"</r>", "more than 100,000 tags"),
        (b" " * 2**20 + b"<x/>", "more than 1,048,576 bytes; .* max_bytes"),
        (SHORTEST.replace("Ann", "\x01").encode(), "invalid token"),
    ],
)
def test_xmp_that_cannot_be_read_is_a_typed_error(photo, data, match):
    sidecar = Path(f"{photo}.xmp")
    sidecar.write_bytes(data)
    with pytest.raises(MediaError, match=match) as caught:
        read_regions(photo)
    assert "photo.jpg.xmp" in caught.value.what
    with pytest.raises(MediaError, match=match):
        write_regions(photo, [FaceRegion("Ann", ANN)], size=SIZE, orientation=1)
    assert sidecar.read_bytes() == data


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, len(DIGIKAM) - 1), cut=st.integers(0, 12), new=st.binary(max_size=6))
def test_damaged_xmp_is_read_or_refused_and_never_crashes(tmp_path_factory, at, cut, new):
    path = tmp_path_factory.mktemp("xmp") / "photo.png"
    PilImage.new("1", SIZE).save(path)
    data = DIGIKAM.encode()
    Path(f"{path}.xmp").write_bytes(data[:at] + new + data[at + cut :])
    for work in (
        lambda: read_regions(path),
        lambda: write_regions(path, [FaceRegion("Al", ANN)], size=SIZE, orientation=1),
        lambda: read_regions(path),
    ):
        try:
            work()
        except (MediaError, ConflictError):
            continue


@pytest.mark.parametrize(
    ("region", "match"),
    [
        (FaceRegion("Ann", (160, 0, 170, 10)), "the box of region 0"),
        (FaceRegion("Ann", (10, 10, 10, 20)), "the box of region 0"),
        (FaceRegion("Ann", (20, 10, 10, 20)), "the box of region 0"),
        (FaceRegion("Ann", (float("nan"), 10, 20, 20)), "the box of region 0"),
        (FaceRegion("Ann", (0, 0, float("inf"), 20)), "the box of region 0"),
        (FaceRegion("Ann\0", ANN), "control character"),
        (FaceRegion("Ann\ud800", ANN), "control character"),
        (FaceRegion("Ann", ANN, "\x1b[31m"), "control character"),
    ],
)
def test_what_cannot_be_written_is_refused_without_naming_anybody(photo, region, match):
    with pytest.raises(RangeError, match=match) as caught:
        write_regions(photo, [region], size=SIZE, orientation=1)
    assert "Ann" not in str(caught.value)
    assert list(photo.parent.iterdir()) == [photo]


@pytest.mark.parametrize(("size", "orientation"), [(SIZE, 0), (SIZE, 9), ((0, 5), 1)])
def test_size_and_orientation_are_checked(photo, size, orientation):
    with pytest.raises(RangeError, match="orientations from 1 to 8"):
        write_regions(photo, [FaceRegion("Ann", ANN)], size=size, orientation=orientation)


def test_boxes_are_cut_at_the_border(photo):
    write_regions(photo, [FaceRegion("Ann", (-9, -5, 40, 500))], size=SIZE, orientation=1)
    assert boxes(read_regions(photo)) == [("Ann", (0.0, 0.0, 40.0, 120.0))]


def test_a_picture_that_is_not_there_is_a_typed_error(tmp_path):
    with pytest.raises(MediaError, match="cannot be opened"):
        read_regions(tmp_path / "none.jpg")
    with pytest.raises(MediaError, match="is not a file"):
        read_regions(tmp_path)
