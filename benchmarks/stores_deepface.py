"""deepface's folder store, run by an interpreter of its own: reads a job as JSON, prints figures.

Called by `benchmarks.stores --deepface PYTHON`; imports nothing of mien. Its networks are fetched
from GitHub when they are first used; so that it runs without, the job names a folder that holds
the same YuNet and SFace that mien uses.
"""

import json
import os
import shutil
import statistics
import sys
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def main() -> None:
    job = json.load(sys.stdin)
    os.environ["DEEPFACE_HOME"] = job["home"]
    from deepface import DeepFace

    folder = Path(job["folder"])
    how = {
        "db_path": str(folder), "model_name": "SFace", "detector_backend": "yunet",
        "enforce_detection": False, "silent": True,
    }  # fmt: skip

    def search(photo: str) -> str | None:
        (found,) = DeepFace.find(photo, **how)[:1] or [[]]
        return Path(found.iloc[0]["identity"]).parent.name if len(found) else None

    search_ms = []
    for person, photo in job["enrolled"]:
        (folder / person).mkdir(parents=True)
        shutil.copy(photo, folder / person)
    warm = job["enrolled"][0][1]
    start = time.perf_counter()
    search(warm)  # the first search embeds the folder
    enrol_ms = 1e3 * (time.perf_counter() - start) / len(job["enrolled"])
    hits = wrong = alarms = 0
    for person, photo in job["mated"]:
        start = time.perf_counter()
        found = search(photo)
        search_ms.append(1e3 * (time.perf_counter() - start))
        hits += found == person
        wrong += found is not None and found != person
    for photo in job["strangers"]:
        start = time.perf_counter()
        alarms += search(photo) is not None
        search_ms.append(1e3 * (time.perf_counter() - start))
    print(
        json.dumps(
            {
                "enrolled": len(job["enrolled"]),
                "enrol_ms": round(enrol_ms, 1),
                "search_ms": round(statistics.median(search_ms), 1),
                "hits": hits,
                "wrong_names": wrong,
                "false_alarms": alarms,
            }
        )
    )


if __name__ == "__main__":
    main()
