"""All benchmarks, one after the other; results as JSON under ``benchmarks/results/VERSION``.

Run ``python -m benchmarks.run --data DIR [--groups CSV] [--odd DIR] [--only NAME ...]``. DIR holds
``images/NAME/*.jpg`` and ``pairs.csv``. Takes an hour or two on two cores; what fails is reported
at the end and does not stop the others.
"""

import argparse
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]


def commands(data: Path, groups: Path | None, odd: Path | None) -> dict[str, list[str]]:
    """Arguments of every benchmark, without ``--out``."""
    with_data = ["--data", str(data)]
    table = {
        "startup": [],
        "studio": [],
        "engines": [],
        "search": [],
        "backends": [],
        "faults": [],
        "recognition": with_data,
        "alignment": with_data,
        "clustering": with_data,
        "fusion": with_data,
        "video": with_data,
        "protection": with_data,
        "embed_engines": with_data,
        "microbatch": with_data,
        "load": with_data,
        "stores": with_data,
        "capacity": [*with_data, "--faces", "10000000"],
        "quality": [*with_data, *(["--groups", str(groups)] if groups else [])],
    }
    return table | ({"images": ["--data", str(odd)]} if odd else {})


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds images/ and pairs.csv")
    parser.add_argument("--groups", type=Path, help="CSV of photos with given labels")
    parser.add_argument("--odd", type=Path, help="folder of odd and broken pictures")
    parser.add_argument("--only", nargs="+", help="names of benchmarks")
    options = parser.parse_args()
    folder = ROOT / "benchmarks" / "results" / version("mien")
    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    for name, arguments in commands(options.data, options.groups, options.odd).items():
        if options.only and name not in options.only:
            continue
        print(f"== {name}", flush=True)
        out = [] if name == "images" else ["--out", str(folder / f"{name}.json")]
        command = [sys.executable, "-m", f"benchmarks.{name}", *arguments, *out]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    print("failed: " + ", ".join(failed) if failed else "all done")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
