"""Hostile files, Pillow's switches, and thousands of injured toys."""

import json
import struct
import subprocess
import sys
import threading
import tracemalloc
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import ImageFile

from mien.core.errors import MediaError
from mien.core.optional import is_installed
from mien.media.decode import DECODER_ERRORS, _webp_canvas, strict_pillow, typed_errors
from mien.media.image import ImageLimits, load_image
from toys.pictures import chunk, draw_corner, draw_heic, draw_zoo, encode

ROOT = Path(__file__).parents[2]
PNG = encode(draw_corner(), "PNG")
HEADER, REST = PNG[:33], PNG[33:]  # signature and IHDR; everything after


def crowded_exif(entries: int, size: int) -> bytes:
    """A TIFF block whose many tags all claim the same stretch of data."""
    tags = b"".join(struct.pack("<HHII", 1000 + i, 7, size, 0) for i in range(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + tags + bytes(4 + size)


BOMB = zlib.compress(bytes(40_000_000), 9)
HOSTILE = {
    "png size": b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0))
    + REST,
    "png 100 MP": b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 10000, 10000, 8, 2, 0, 0, 0))
    + REST,
    "gif screen": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\x0a\0\x0a\0\0\2\2L\1\0;",
    "gif frame": b"GIF89a\5\0\5\0\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;",
    "webp canvas": b"RIFF\x64\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xfe\x3f\0\xfe\x3f\0" + bytes(70),
    "bmp size": b"BM"
    + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 60000, 60000, 1, 24, *[0] * 6),
    "ppm size": b"P6 90000 90000 255\n",
    "text chunk": HEADER + chunk(b"zTXt", b"k\0\0" + BOMB) + REST,
    "icc chunk": HEADER + chunk(b"iCCP", b"k\0\0" + BOMB) + REST,
    "tiff tags": crowded_exif(20_000, 500_000),
    "jpeg scans": (lambda data: data[:-2] + data[data.rfind(b"\xff\xda") : -2] * 200 + data[-2:])(
        encode(draw_corner(), "JPEG", progressive=True)
    ),
}  # fmt: skip
WORDS = {
    "text chunk": "too large",
    "icc chunk": "too large",
    "tiff tags": "tags claim more than it holds",
}
WORDS |= {"jpeg scans": "JPEG of more than 100 scans"}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_header_is_refused_before_memory_is_spent(name: str) -> None:
    tracemalloc.start()
    with pytest.raises(MediaError, match=WORDS.get(name, "too many pixels")):
        load_image(HOSTILE[name])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(HOSTILE[name]) * 3 + 20_000_000


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"save_all": True}])
def test_the_canvas_of_a_webp_is_read_from_its_header(options: dict[str, object]) -> None:
    rng = np.random.default_rng(0)
    picture = PilImage.fromarray(rng.integers(0, 255, (17, 301, 3), np.uint8))
    if options.get("save_all"):
        options = options | {"append_images": [picture.transpose(PilImage.Transpose.ROTATE_180)]}
    file = BytesIO()
    picture.save(file, "WEBP", **options)
    assert _webp_canvas(file.getvalue()) == (301, 17)


def test_crowded_exif_is_read_within_bounds() -> None:
    tracemalloc.start()
    image = load_image(HEADER + chunk(b"eXIf", crowded_exif(20_000, 500_000)) + REST)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(image.pixels, draw_corner())
    assert peak < 40_000_000


@pytest.mark.parametrize("error", [*DECODER_ERRORS, MemoryError, PilImage.DecompressionBombError])
def test_whatever_a_decoder_raises_becomes_a_media_error(error: type[Exception]) -> None:
    with pytest.raises(MediaError, match=r"toy"), typed_errors("toy", "PNG"):
        raise error("words")


def test_typed_errors_pass_unchanged() -> None:
    original = MediaError(what="a", why="b", mend="c")
    with pytest.raises(MediaError) as caught, typed_errors("toy", "PNG"):
        raise original
    assert caught.value is original


def test_switches_return_to_what_the_application_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(PilImage, "MAX_IMAGE_PIXELS", 123)
    filters = list(warnings.filters)
    with strict_pillow(1000), strict_pillow(50):
        assert ImageFile.LOAD_TRUNCATED_IMAGES is False
        assert PilImage.MAX_IMAGE_PIXELS == 500
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
    assert PilImage.MAX_IMAGE_PIXELS == 123
    assert list(warnings.filters) == filters


def test_readers_in_threads_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    zoo, failures = list(draw_zoo().values()), []
    monkeypatch.setattr(PilImage, "MAX_IMAGE_PIXELS", 7)

    def read(limit: int) -> None:
        try:
            for data in zoo:
                load_image(data, limits=ImageLimits(max_pixels=limit))
        except MediaError as err:
            failures.append(err)

    threads = [threading.Thread(target=read, args=(limit,)) for limit in (768, 10**6, 10**7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert PilImage.MAX_IMAGE_PIXELS == 7


def test_five_thousand_injured_files_give_a_picture_or_a_typed_error(tmp_path: Path) -> None:
    for name, data in draw_zoo().items():
        (tmp_path / name).write_bytes(data)
    if is_installed("pillow_heif"):
        (tmp_path / "plain.heic").write_bytes(draw_heic())
    command = [sys.executable, "-m", "benchmarks.images", "--data", str(tmp_path), "--json"]
    done = subprocess.run(
        [*command, "--mutations", "5000", "--seed", "7"], cwd=ROOT, capture_output=True, check=False
    )
    summary = json.loads(done.stdout)
    assert summary["failures"] == []
    assert sum(summary["outcomes_mutations"].values()) == 5000
    assert summary["outcomes_mutations"]["ok"] > 200
    assert summary["outcomes_files"] == {"ok": len(list(tmp_path.iterdir()))}
    assert summary["peak_mib"] < 2500
    assert done.returncode == 0
