"""The suite of faults, short; ``python -m benchmarks.faults --kills 500`` is the whole of it."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_nothing_acknowledged_is_lost_and_nobody_is_mixed_up():
    options = ["--kills", "25", "--cuts", "8", "--flips", "40", "--seed", "11", "--json"]
    command = [sys.executable, "-m", "benchmarks.faults", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["bad"] == 0
    assert report["kills"]["acknowledged_changes"] > 50
    assert sum(report["kills"]["outcomes"].values()) == 25
    assert report["clock"]["leaps_refused"] == 2
