"""A gallery under fire: kills, full disks, cut logs, flipped bytes. What may not happen is counted.

Run: python -m benchmarks.faults --kills 500 --seed 1 [--out FILE]

* **kills**: a process enrols, deletes, merges, splits, renames, undoes, rotates the key and reopens
  without end; it is killed with SIGKILL at a random moment. After each kill the gallery is opened
  by another process, compared face by face with what was acknowledged, and verified. The one change
  that was under way may be there whole, or not at all.
* **cut logs**: after a kill the write-ahead log is cut off at a random byte. Lost changes must be
  told when the gallery is opened.
* **flipped bytes**: random bytes of the database, the matrix and the head are changed. A read may
  fail with a typed error, and `verify` may report faults; a wrong name or template may not come
  out.
* **full disk**: a small file system is filled up (needs root; told if it could not be made).
* **clock**: the clock leaps forward; nothing may be deleted before it is confirmed.

A kill is not a power cut: what the operating system has taken survives it. That a change is on disk
before it is acknowledged rests on SQLite's `synchronous=FULL` and fsync, which this does not test.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import machine, write_json
from benchmarks.fault_worker import (
    Intent,
    State,
    apply,
    open_gallery,
    template_of,
    vector_of,
    work,
)
from mien.core.errors import IntegrityError, MienError, RefusedError, StorageError
from mien.gallery.gallery import Gallery

FRESH_AFTER = 100  # kills; then another gallery
LIFE_S = 0.25  # at most, between the worker's first word and its death


def main() -> int:
    """Run all faults; exit code 1 if something happened that may not."""
    options = parse()
    rng = np.random.default_rng(options.seed)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        report: dict[str, Any] = {
            "kills": kills(root, options.kills, rng),
            "cut_logs": cut_logs(root, options.cuts, rng),
            "flipped_bytes": flips(root, options.flips, rng),
            "full_disk": full_disk(root),
            "clock": clock(root),
        }
    report["bad"] = sum(part.get("bad", 0) for part in report.values() if isinstance(part, dict))
    report |= {"seed": options.seed, "seconds": round(time.perf_counter() - started, 1)}
    if options.out:
        write_json(options.out, report | {"machine": machine()})
    print(json.dumps(report, indent=None if options.json else 2))
    return 1 if report["bad"] else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--flips", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", action="store_true", help="one line")
    return parser.parse_args()


def kills(root: Path, count: int, rng: np.random.Generator) -> dict[str, Any]:
    seen: Counter[str] = Counter()
    ops: Counter[str] = Counter()
    state: State = {}
    path = root / "start"
    next_seed = 0
    for number in range(count):
        if number % FRESH_AFTER == 0:
            path, state = fresh(root, f"kills-{number}"), {}
        acked, pending = run_and_kill(path, state, next_seed, rng)
        next_seed += 100_000
        for intent in acked:
            state = apply(state, intent)
            ops[intent.get("how", intent["op"])] += 1
        outcome, state = compare(path, state, pending)
        seen[outcome] += 1
        if pending:
            ops[f"killed during {pending.get('how', pending['op'])}"] += 1
    good = {"as acknowledged", "with the change under way"}
    return {
        "kills": count,
        "acknowledged_changes": sum(n for op, n in ops.items() if not op.startswith("killed")),
        "outcomes": dict(seen),
        "changes": dict(sorted(ops.items())),
        "bad": sum(n for outcome, n in seen.items() if outcome not in good),
    }


def fresh(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    open_gallery(folder / "people.gallery").close()
    return folder / "people.gallery"


def run_and_kill(
    path: Path, state: State, next_seed: int, rng: np.random.Generator
) -> tuple[list[Intent], Intent | None]:
    """Changes that were acknowledged, and the one that was under way."""
    read, write = os.pipe()
    seed, life = int(rng.integers(2**31)), float(rng.uniform(0, LIFE_S))
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            work(path, write, seed, state, next_seed)
        except BaseException as err:  # noqa: BLE001 - a child says why it ended, and ends
            os.write(write, json.dumps({"failed": f"{type(err).__name__}: {err}"}).encode() + b"\n")
        os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        head = pipe.readline()  # ready
        time.sleep(life)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        lines = [json.loads(line) for line in [head, *pipe.readlines()] if line.endswith(b"\n")]
    acked: list[Intent] = []
    pending: Intent | None = None
    for line in lines:
        if "failed" in line:
            raise SystemExit(f"the worker failed: {line['failed']}")
        if "intent" in line:
            pending = line["intent"]
        elif "done" in line and pending is not None:
            acked.append(pending)
            pending = None
    return acked, pending


def contents(gallery: Gallery) -> dict[str, tuple[str, bytes]]:
    return {t.face_id: (t.person, t.vector.tobytes()) for t in gallery.index.iterate()}


def wanted(state: State) -> dict[str, tuple[str, bytes]]:
    return {f: (person, vector_of(seed).tobytes()) for f, (person, seed) in state.items()}


def compare(path: Path, state: State, pending: Intent | None) -> tuple[str, State]:
    """Compare a gallery with what was acknowledged; says what it holds."""
    try:
        gallery = open_gallery(path)
    except MienError as err:
        return f"does not open: {err}", state
    with gallery:
        faults = gallery.verify()
        if faults:
            return f"verify: {faults[0]}", state
        held = contents(gallery)
        outcome = f"differs: {len(set(held) ^ set(wanted(state)))} faces"
        if held == wanted(state):
            outcome = "as acknowledged"
        elif pending and held == wanted(apply(state, pending)):
            outcome, state = "with the change under way", apply(state, pending)
        for face in list(state)[:5]:
            hit = gallery.nearest(vector_of(state[face][1])[None], 1)[0][0]
            if (hit.face_id, hit.person) != (face, state[face][0]):
                return "a search finds somebody else", state
    return outcome, state


def cut_logs(root: Path, count: int, rng: np.random.Generator) -> dict[str, Any]:
    seen: Counter[str] = Counter()
    for number in range(count):
        path = fresh(root, f"cut-{number}")
        acked, pending = run_and_kill(path, {}, 0, rng)
        states: list[State] = [{}]
        for intent in [*acked, *([pending] if pending else [])]:
            states.append(apply(states[-1], intent))
        log = path.with_name(path.name + "-wal")
        size = log.stat().st_size if log.exists() else 0
        if size:
            os.truncate(log, int(rng.integers(size)))
        try:
            open_gallery(path).close()
        except IntegrityError:
            seen[accept_loss(path, states)] += 1
        else:
            state = states[len(acked)]
            outcome, _ = compare(path, state, pending)
            good = outcome in {"as acknowledged", "with the change under way"}
            seen["nothing lost" if good else f"silent: {outcome}"] += 1
        shutil.rmtree(path.parent)
    silent = sum(n for outcome, n in seen.items() if outcome.startswith("silent"))
    return {"cuts": count, "outcomes": dict(seen), "bad": silent}


def accept_loss(path: Path, states: list[State]) -> str:
    """What is left once a loss that was told is accepted: an earlier state, or a told ruin.

    A kill while the log is being copied into the file, and then a cut, leaves old pages over new
    ones: beyond repair without a backup.
    """
    try:
        with open_gallery(path, accept_loss=True) as gallery:
            if gallery.verify():
                return "loss told, faults told by verify"
            held = contents(gallery)
    except MienError:
        return "loss told, beyond repair"
    if any(held == wanted(state) for state in states):
        return "loss told, an earlier state is there"
    return "silent: a state that never was"


def flips(root: Path, count: int, rng: np.random.Generator) -> dict[str, Any]:
    path = fresh(root, "flips")
    state: State = {}
    with open_gallery(path) as gallery:
        for seed in range(1, 101):
            face, person = f"{seed:032x}", f"person {seed // 3}"
            gallery.add(template_of(face, person, seed), force=True)
            state[face] = (person, seed)
    seen: Counter[str] = Counter()
    copy = root / "flipped"
    for _ in range(count):
        shutil.copytree(path.parent, copy)
        files = sorted(copy.iterdir())
        file = files[int(rng.integers(len(files)))]
        data = bytearray(file.read_bytes())
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        file.write_bytes(data)
        seen[look_at(copy / path.name, state)] += 1
        shutil.rmtree(copy)
    return {"flips": count, "outcomes": dict(seen), "bad": seen["a wrong answer"]}


def look_at(path: Path, state: State) -> str:
    """Read everything and search for everybody in a damaged gallery."""
    truth = wanted(state)
    try:
        with open_gallery(path) as gallery:
            found = contents(gallery)
            hits = [gallery.nearest(vector_of(seed)[None], 1)[0] for _, seed in state.values()]
            faults = gallery.verify()
    except MienError:
        return "typed error"
    names = {face: person for face, (person, _) in state.items()}
    is_wrong = any(truth.get(face) != one for face, one in found.items())
    is_wrong |= not all(one and names.get(one[0].face_id) == one[0].person for one in hits)
    is_wrong |= len(found) != len(truth) and not faults
    if is_wrong:
        return "a wrong answer"
    return "found by verify" if faults else "no harm"


def full_disk(root: Path) -> dict[str, Any]:
    place = root / "small"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)],  # noqa: S607
            check=False,
            capture_output=True,
        ).returncode
        == 0
    )
    if not mounted:
        return {"outcome": "not run: a small file system could not be made", "bad": 0}
    try:
        return _fill(place / "people.gallery")
    finally:
        subprocess.run(["umount", str(place)], check=True)  # noqa: S607


def _fill(path: Path) -> dict[str, Any]:
    state: State = {}
    told = 0
    with open_gallery(path) as gallery:
        for seed in range(1, 5000):
            face = f"{seed:032x}"
            try:
                gallery.add(template_of(face, f"person {seed}", seed), force=True)
            except StorageError:
                told += 1
                break
            state[face] = (f"person {seed}", seed)
        whole = contents(gallery) == wanted(state)
        with_room = list(state)[: len(state) // 2]
        try:
            gallery.deletion.faces(with_room)
        except StorageError:
            told += 1  # deleting needs room for the log as well
        else:
            for face in with_room:
                del state[face]
    outcome, _ = compare(path, state, None)
    good = told >= 1 and whole and outcome == "as acknowledged"
    return {
        "stored_before_full": len(state), "told": told, "outcome": outcome, "bad": int(not good),
    }  # fmt: skip


def clock(root: Path) -> dict[str, Any]:
    path = fresh(root, "clock")
    refused = 0
    with open_gallery(path) as gallery:
        for seed, day in ((1, "2026-06-01"), (2, "2030-01-01"), (3, "")):
            one = template_of(f"{seed:032x}", f"person {seed}", seed)
            gallery.add(type(one)(**{**_fields(one), "retain_until": day}), force=True)
        gallery.deletion.expire(date(2026, 1, 1))
        for leap in (date(2040, 1, 1), date(2026, 3, 1)):
            try:
                gallery.deletion.expire(leap)
            except RefusedError:
                refused += 1
        kept = gallery.count().faces
        gallery.deletion.expire(date(2026, 1, 20))
        back = gallery.deletion.expire(date(2025, 1, 1))
        gallery.deletion.expire(date(2026, 6, 2), confirm=True)
        left = gallery.count().faces
    good = refused == 2 and kept == 3 and back is None and left == 2
    return {"leaps_refused": refused, "left_after_confirming": left, "bad": int(not good)}


def _fields(template: Any) -> dict[str, Any]:
    return {name: getattr(template, name) for name in template.__dataclass_fields__}


if __name__ == "__main__":
    sys.exit(main())
