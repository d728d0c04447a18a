"""Draw the golden embeddings anew: ``python tests/golden/make.py`` (from the repository's root).

Prints what changed. A change of these figures breaks every gallery in the field: it needs a new
``code_version`` in the part that changed, and a sentence in the commit.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from mien.faces.pipeline import FacePipeline
from toys.portraits import PORTRAITS, portrait_path

GOLDEN = Path(__file__).with_name("embeddings.json")


def main() -> None:
    pipeline = FacePipeline.open()
    made = {"contract": pipeline.contract.id, "faces": {}}
    for name in PORTRAITS:
        faces = pipeline.analyse(portrait_path(name), which="main").faces
        made["faces"][name] = {
            "box": [round(float(v), 2) for v in faces.boxes[0]],
            "landmarks": [[round(float(v), 2) for v in point] for point in faces.landmarks[0]],
            "embedding": [round(float(v), 5) for v in faces.embeddings[0]],
        }
    if GOLDEN.exists():
        report(json.loads(GOLDEN.read_text()), made)
    GOLDEN.write_text(json.dumps(made) + "\n")


def report(old: dict, new: dict) -> None:
    print("contract:", old["contract"], "->", new["contract"])
    for name, face in new["faces"].items():
        before = old["faces"].get(name)
        if before:
            cosine = float(np.dot(before["embedding"], face["embedding"]))
            print(f"{name}: cosine with the former {cosine:.5f}")


if __name__ == "__main__":
    main()
