"""Coverage-guided fuzzing of what reads files from strangers, with atheris.

Run: python -m benchmarks.fuzz images|bundles|xmp --seconds 60 [--corpus DIR]

A typed error is an answer; anything else that is raised, a hang of ten seconds or memory beyond
2 GiB is a finding, which ends the run with a file that makes it happen again. ``bundles`` fuzzes
the container as it stands and, with the seal left out, the records inside it.
"""

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mien.media", "mien.gallery", "mien.core"]):
    from mien.core.errors import MienError
    from mien.core.keys import new_key
    from mien.core.sealed import Passphrase, read_sealed, write_sealed
    from mien.gallery import bundle
    from mien.gallery.gallery import Gallery
    from mien.gallery.sqlite import SqliteIndex
    from mien.media.image import ImageLimits, load_image
    from mien.media.xmp import read_regions

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

LIMITS = ImageLimits(max_bytes=2**20, max_pixels=2**20)
SECRET = Passphrase("a passphrase for fuzzing")
DIM = 4


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", choices=["images", "bundles", "xmp"])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = options.corpus or Path(folder) / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        one = {"images": images, "bundles": bundles, "xmp": xmp}[options.target]
        run = one(Path(folder), corpus)
        flags = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=65536", "-print_final_stats=1"]
        limits = [f"-max_total_time={options.seconds}", f"-seed={options.seed}"]
        atheris.Setup([sys.argv[0], *flags, *limits, str(corpus)], run)
        atheris.Fuzz()
    return 0


def images(folder: Path, corpus: Path) -> Callable[[bytes], None]:
    """The image reader, from small pictures of every format that Pillow writes here."""
    del folder
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 255, (16, 20, 3), np.uint8))
    for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"):
        file = io.BytesIO()
        picture.save(file, name)
        (corpus / name).write_bytes(file.getvalue())

    def run(data: bytes) -> None:
        try:
            load_image(data, limits=LIMITS)
        except MienError:
            return

    return run


def xmp(folder: Path, corpus: Path) -> Callable[[bytes], None]:
    """The reader of face regions: sidecars beside a picture."""
    photo, sidecar = folder / "photo.png", folder / "photo.png.xmp"
    Image.new("RGB", (32, 24)).save(photo)
    (corpus / "plain").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" '
        'xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"><mwg-rs:Regions '
        'rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li rdf:parseType="Resource">'
        '<mwg-rs:Name>A</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type><mwg-rs:Area stArea:x="0.5" '
        'stArea:y="0.5" stArea:w="0.2" stArea:h="0.2" stArea:unit="normalized"/></rdf:li>'
        "</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions></rdf:Description></rdf:RDF></x:xmpmeta>"
    )

    def run(data: bytes) -> None:
        sidecar.write_bytes(data)
        try:
            read_regions(photo)
        except MienError:
            return

    return run


def bundles(folder: Path, corpus: Path) -> Callable[[bytes], None]:
    """The container, and the records inside it without the seal."""
    path = folder / "bundle"
    head = {"kind": "gallery", "contract": "fuzz", "signer": "s", "calibration": None}
    face = {
        "kind": "face", "face_id": "0" * 32, "person_id": "1" * 32, "person": "a",
        "vector": "AACAPwAAAAAAAAAAAAAAAA==", "quality": 1.0, "source": "s", "digest": "d",
        "box": [0, 0, 1, 1], "consent": "", "enrolled_at": "", "retain_until": "", "crop": None,
    }  # fmt: skip
    lines = b"".join(json.dumps(line).encode() + b"\n" for line in (head, face))
    key = Ed25519PrivateKey.generate()
    write_sealed(path, [lines], purpose=bundle.PURPOSE, public={}, secret=SECRET, signer=key)
    (corpus / "container").write_bytes(b"c" + path.read_bytes())
    (corpus / "records").write_bytes(b"r" + lines)
    index = SqliteIndex(folder / "people.gallery", key=new_key())
    index.create("fuzz", DIM)
    gallery = Gallery(index)

    def run(data: bytes) -> None:
        try:
            if data[:1] == b"c":
                path.write_bytes(data[1:])
                for _ in read_sealed(
                    path, purpose=bundle.PURPOSE, secret=SECRET, expected_signer=None
                ):
                    pass
                return
            bundle.read_sealed = lambda *_, **__: iter([data[1:]])  # type: ignore[attr-defined]
            bundle.import_bundle(gallery, path, SECRET, taken="join")
        except MienError:
            return

    return run


if __name__ == "__main__":
    sys.exit(main())
