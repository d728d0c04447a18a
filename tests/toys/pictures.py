"""Tiny pictures drawn by code, and PNG files written by hand where no library writes them."""

import struct
import zlib
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def draw_corner(height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    """A smooth (h, w, 3) picture that no turn or mirror maps onto itself."""
    rows, columns = np.mgrid[0:height, 0:width]
    red = columns * 255 // max(1, width - 1)
    green = rows * 255 // max(1, height - 1)
    blue = np.where((rows < height // 3) & (columns < width // 4), 230, 20)
    return np.stack([red, green, blue], axis=2).astype(np.uint8)


def encode(picture: NDArray[np.uint8] | Image.Image, name: str, **options: object) -> bytes:
    """A picture as a file of the given format."""
    image = picture.copy() if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def orientation_exif(orientation: int) -> Image.Exif:
    """EXIF that states an orientation, and nothing else."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def chunk(kind: bytes, content: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def write_png(
    width: int, height: int, depth: int, colour_type: int, rows: bytes, *extra: bytes
) -> bytes:
    """A PNG of any depth; ``rows`` hold a filter byte 0 before each row, ``extra`` whole chunks."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = [
        chunk(b"IHDR", header),
        *extra,
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def draw_zoo() -> dict[str, bytes]:
    """One small file of every kind that the reader knows, by file name."""
    rgb = draw_corner()
    image = Image.fromarray(rgb)
    frames = [image, image.rotate(90), image.rotate(180)]
    more = {"save_all": True, "append_images": frames[1:]}
    pages = {"save_all": True, "append_images": [image.rotate(180)]}
    return {
        "plain.jpg": encode(rgb, "JPEG"),
        "progressive.jpg": encode(rgb, "JPEG", progressive=True, exif=orientation_exif(6)),
        "cmyk.jpg": encode(image.convert("CMYK"), "JPEG"),
        "two.mpo": encode(image, "MPO", **more),
        "plain.png": encode(rgb, "PNG"),
        "alpha.png": encode(image.convert("RGBA"), "PNG", exif=orientation_exif(5)),
        "palette.png": encode(image.quantize(16), "PNG", transparency=3),
        "deep.png": write_png(2, 2, 16, 2, (b"\0" + bytes(range(12))) * 2),
        "moving.png": encode(image, "PNG", **more),
        "plain.webp": encode(rgb, "WEBP"),
        "lossless.webp": encode(image.convert("RGBA"), "WEBP", lossless=True),
        "moving.webp": encode(image, "WEBP", **more),
        "moving.gif": encode(image, "GIF", **more),
        "plain.bmp": encode(rgb, "BMP"),
        "palette.bmp": encode(image.quantize(16), "BMP"),
        "plain.tif": encode(rgb, "TIFF", exif=orientation_exif(8)),
        "lzw.tif": encode(rgb, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": encode(rgb, "TIFF", compression="jpeg"),
        "deflate.tif": encode(image, "TIFF", compression="tiff_adobe_deflate", **pages),
        "fax.tif": encode(image.convert("1"), "TIFF", compression="group4"),
        "lab.tif": encode(Image.new("LAB", (8, 8), (128, 128, 128)), "TIFF"),
        "colour.ppm": encode(rgb, "PPM"),
        "grey.pgm": encode(image.convert("L"), "PPM"),
        "text.ppm": b"P3 2 2 255\n" + b"1 2 3 " * 4,
        "deep.pgm": b"P5 2 2 65535\n" + bytes(8),
        "bits.pbm": encode(image.convert("1"), "PPM"),
        "plain.avif": encode(rgb, "AVIF"),
    }


def draw_heic(**options: object) -> bytes:
    """A small HEIC file; needs the extra ``heif``."""
    import pillow_heif

    file = BytesIO()
    picture = Image.fromarray(draw_corner(96, 128))
    pillow_heif.from_pillow(picture).save(file, quality=95, **options)
    return file.getvalue()
