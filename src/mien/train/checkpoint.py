"""Where a run is, as a folder: there whole or not at all.

A checkpoint is a folder of safetensors files, one JSON file and ``SHA256SUMS`` (which
``sha256sum --check`` reads as well). It is written beside its place under a name that begins with
a dot, and given its name in one step, so that a kill or a full disk at any moment leaves the
checkpoints that were there. No pickle is written or read.
"""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mien.core.errors import ConflictError, IntegrityError, MissingError, RangeError
from mien.core.files import sha256_of, storage_error, write_atomically

_NAME: Final = "step-{:09d}"
_SUMS: Final = "SHA256SUMS"
_FACTS: Final = "run.json"
_PARTS: Final = ("model", "ema", "optimiser", "rng")
_FILES: Final = tuple(sorted([_FACTS, *(f"{part}.safetensors" for part in _PARTS)]))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a run needs to go on as if it had not been stopped.

    Attributes:
        step: Steps done; where the run is in its data follows from it.
        model: Weights and buffers.
        ema: State of the averaged weights; empty without.
        optimiser: State of the optimiser.
        rng: (processes, n) uint8 state of the random numbers of each process.
        facts: Settings of the run, ready for JSON.
    """

    step: int
    model: Mapping[str, Tensor]
    ema: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]
    rng: Tensor
    facts: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one run, of which the newest are kept."""

    def __init__(self, folder: Path, *, keep: int = 3) -> None:
        """The checkpoints in a folder, which need not exist yet.

        Raises:
            RangeError: If ``keep`` is below 1.
        """
        if keep < 1:
            raise RangeError(
                what=f"keep is {keep}",
                why="without the newest checkpoint no run can be resumed",
                mend="pass 1 or more",
            )
        self.folder = folder
        self.keep = keep

    def steps(self) -> list[int]:
        """The steps of which there is a checkpoint, oldest first."""
        names = (path.name.removeprefix("step-") for path in self.folder.glob("step-*"))
        return sorted(int(name) for name in names if name.isdecimal())

    def path(self, step: int) -> Path:
        """The folder of one checkpoint."""
        return self.folder / _NAME.format(step)

    def save(self, snapshot: Snapshot) -> Path:
        """Add a checkpoint; then those beyond the newest ``keep`` are removed.

        Returns:
            Its folder.

        Raises:
            ConflictError: If there is one of that step.
            StorageError: If it cannot be written; the others are then as they were.
        """
        target = self.path(snapshot.step)
        if target.exists():
            raise ConflictError(
                what=f"{target} exists",
                why="a checkpoint is never written over",
                mend="resume from it, or choose another folder",
            )
        self._sweep()
        temporary = self.folder / f".{target.name}.{secrets.token_hex(6)}"
        try:
            _write(snapshot, temporary)
            temporary.replace(target)
            _sync_folder(self.folder)
        except OSError as err:
            shutil.rmtree(temporary, ignore_errors=True)
            raise storage_error(err, target) if err.errno else err from err
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        for step in self.steps()[: -self.keep]:
            self._remove(self.path(step))
        return target

    def load(self, step: int | None = None) -> Snapshot:
        """Read a checkpoint, after its hashes were compared.

        Args:
            step: Which; None: the newest.

        Raises:
            MissingError: If there is none.
            IntegrityError: If a file is missing, or is not what was written.
        """
        steps = self.steps()
        if not steps or (step is not None and step not in steps):
            raise MissingError(
                what=f"{self.folder} has no checkpoint" + (f" of step {step}" if step else ""),
                why=f"it has those of the steps {', '.join(map(str, steps)) or 'none'}",
                mend="choose one of these, or begin a new run",
            )
        return _read(self.path(steps[-1] if step is None else step))

    def _remove(self, path: Path) -> None:
        """Take its name first: a kill while files are deleted must not leave half of it."""
        gone = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            path.replace(gone)
            shutil.rmtree(gone)
        except OSError as err:
            raise storage_error(err, path) from err

    def _sweep(self) -> None:
        """Remove what interrupted writers left."""
        for path in self.folder.glob(".step-*"):
            shutil.rmtree(path, ignore_errors=True)


def _write(snapshot: Snapshot, folder: Path) -> None:
    folder.mkdir(parents=True)
    parts: dict[str, Mapping[str, Tensor]] = {
        "model": snapshot.model,
        "ema": snapshot.ema,
        "optimiser": snapshot.optimiser,
        "rng": {"rng": snapshot.rng},
    }
    for part, tensors in parts.items():
        # Copies: tied weights share their memory, which the format refuses.
        own = {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}
        with write_atomically(folder / f"{part}.safetensors") as file:
            file.write(save(own))
    with write_atomically(folder / _FACTS) as file:
        facts = {"step": snapshot.step, "facts": dict(snapshot.facts)}
        file.write((json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())
    sums = "".join(f"{sha256_of(folder / name)}  {name}\n" for name in _FILES)
    with write_atomically(folder / _SUMS) as file:
        file.write(sums.encode())
    _sync_folder(folder)


def _read(folder: Path) -> Snapshot:
    _check_sums(folder)
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        parts = {part: load((folder / f"{part}.safetensors").read_bytes()) for part in _PARTS}
        return Snapshot(
            step=facts["step"],
            model=parts["model"],
            ema=parts["ema"],
            optimiser=parts["optimiser"],
            rng=parts["rng"]["rng"],
            facts=facts["facts"],
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as err:
        raise _damaged(folder, f"it cannot be read ({type(err).__name__})") from err


def _check_sums(folder: Path) -> None:
    try:
        lines = (folder / _SUMS).read_text(encoding="utf-8").splitlines()
        sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        if tuple(sums) != _FILES:
            raise _damaged(folder, f"{_SUMS} does not name its files")
        for name, digest in sums.items():
            if sha256_of(folder / name) != digest:
                raise _damaged(folder, f"{name} is not the file that was written")
    except (OSError, ValueError) as err:
        raise _damaged(folder, f"a file cannot be read ({type(err).__name__})") from err


def _damaged(folder: Path, why: str) -> IntegrityError:
    return IntegrityError(
        what=f"the checkpoint {folder} is damaged",
        why=why,
        mend="delete this folder; the run then resumes from the checkpoint before it",
    )


def _sync_folder(folder: Path) -> None:
    """Have the disk hold the folder's names. Not every system can; the files are safe anyway."""
    with suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
