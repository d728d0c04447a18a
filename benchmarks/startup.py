"""What starting costs: import, help, first answer; and the memory of recognising.

Run ``python -m benchmarks.startup [--repeats 7] [--out FILE.json]``. Each figure is the median of
fresh processes. ``import mien`` is what ``python -X importtime`` adds up.
"""

import argparse
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common import machine, write_json

RECOGNISE = """
import resource, sys
from importlib.resources import files
import mien
pipeline = mien.FacePipeline.open()
photos = [p for p in (files("mien") / "assets" / "photos").iterdir() if p.name.endswith("jpg")]
for _ in range(10):
    for photo in photos:
        pipeline.analyse(str(photo))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "torch" in sys.modules)
"""


def import_ms() -> float:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import mien"],
        capture_output=True,
        text=True,
        check=True,
    )
    last = re.findall(r"\|\s+(\d+) \| mien$", done.stderr, re.MULTILINE)
    return int(last[-1]) / 1e3


def wall_ms(*command: str) -> float:
    begin = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return (time.perf_counter() - begin) * 1e3


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    command = str(Path(sys.executable).with_name("mien"))
    repeats = range(options.repeats)
    memory = subprocess.run(
        [sys.executable, "-c", RECOGNISE], capture_output=True, text=True, check=True
    ).stdout.split()
    result: dict[str, Any] = {
        "machine": machine(),
        "python_ms": statistics.median(wall_ms(sys.executable, "-c", "pass") for _ in repeats),
        "import_mien_ms": statistics.median(import_ms() for _ in repeats),
        "help_ms": statistics.median(wall_ms(command, "--help") for _ in repeats),
        "recognise_peak_mb": float(memory[0]),
        "torch_loaded": memory[1] == "True",
        "limits": {"import_mien_ms": 150, "help_ms": 400},
    }
    for key, value in result.items():
        if not isinstance(value, dict):
            print(f"{key:20} {value:.1f}" if isinstance(value, float) else f"{key:20} {value}")
    if options.out:
        write_json(options.out, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
