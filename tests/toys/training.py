"""A small model to train, with everything that makes it hard to resume, and runs of it.

Run as a script it trains in a process of its own: ``training.py FOLDER SEED...`` kills runs at
random moments and resumes them; ``training.py FOLDER gloo`` is one of two processes;
``training.py FOLDER checkpoints`` kills writers of checkpoints.
"""

import importlib
import os
import random  # noqa: TID251  as careless code would
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mien.data.feed import Feed
from mien.data.order import DataOrder
from mien.train.checkpoint import Checkpoints, Snapshot
from mien.train.config import FitConfig
from mien.train.logbook import Logbook
from mien.train.loop import FitReport, StepOut, fit
from mien.train.optim import ParamGroup
from mien.train.rng import seed_torch
from mien.train.runtime import PlainRuntime, Runtime

CONFIG = FitConfig(
    steps=60,
    parts=2,
    lr=0.02,
    warmup_steps=5,
    weight_decay=0.01,
    ema_decay=0.9,
    log_every=1,
    validate_every=8,
    checkpoint_every=3,
)


@dataclass(frozen=True)
class Points:
    """A batch: x (b, 4) and y (b, 1)."""

    x: Tensor
    y: Tensor

    def to(self, device: torch.device) -> "Points":
        return Points(self.x.to(device), self.y.to(device))


class Cloud:
    """Points of a plane, each seen with fresh noise."""

    def __len__(self) -> int:
        return 40

    def item(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        x = np.random.Generator(np.random.PCG64(index)).normal(size=4)
        return x + 0.01 * rng.normal(size=4), float(x @ [1.0, -2.0, 0.5, 0.0])


def collate(items) -> Points:
    x, y = zip(*items, strict=True)
    return Points(torch.tensor(np.array(x)).float(), torch.tensor(y)[:, None].float())


def feed(batch_size: int = 8, seed: int = 0) -> Feed:
    return Feed(Cloud(), DataOrder(len(Cloud()), batch_size, seed), collate)


class Line:
    """A regression with dropout and batch normalisation; also draws from numpy and Python."""

    def __init__(self, *, seed: int = 0, noise: bool = True, spoil_at: int = -1) -> None:
        seed_torch(seed)
        norm = [nn.BatchNorm1d(16), nn.Dropout(0.3)] if noise else []
        self.model = nn.Sequential(nn.Linear(4, 16), *norm, nn.Tanh(), nn.Linear(16, 1))
        self.noise, self.spoil_at = noise, spoil_at

    def training_step(self, batch: Points, step: int) -> StepOut:
        drawn = np.random.rand() + random.random()  # noqa: NPY002  as careless code would
        shift = 0.01 * drawn if self.noise else 0.0
        error = self.model(batch.x + shift) - batch.y
        loss = (error**2).mean()
        if step == self.spoil_at:
            loss = loss * float("nan")
        return StepOut(loss, {"error": error.abs().mean().detach()})

    def parameter_groups(self) -> list[ParamGroup]:
        body, head = self.model[0], self.model[-1]
        rest = [p for layer in list(self.model)[1:-1] for p in layer.parameters()]
        return [
            ParamGroup((*body.parameters(), *rest), weight_decay=0.0),
            ParamGroup(tuple(head.parameters()), lr_scale=0.5),
        ]

    def validate(self, batches: Iterable[Points]) -> dict[str, float]:
        torch.rand(3)  # to draw here must change nothing
        errors = [((self.model(batch.x) - batch.y) ** 2).flatten() for batch in batches]
        return {"error": float(torch.cat(errors).mean())}


def train(
    folder: Path,
    config: FitConfig = CONFIG,
    *,
    line: Line | None = None,
    runtime: Runtime | None = None,
    **order,
) -> FitReport:
    """Train `Line`, or go on with it, in a folder."""
    data = feed(**order)
    return fit(
        line or Line(seed=config.seed),
        data,
        config,
        runtime=runtime or PlainRuntime(),
        logbook=Logbook(folder / "logbook.jsonl"),
        checkpoints=Checkpoints(folder / "checkpoints"),
        validation=data.sweep,
    )


def snapshot(step: int, size: int = 100) -> Snapshot:
    """Something to keep, the same for the same step; two of its tensors are one."""
    rng = torch.Generator().manual_seed(step)
    weights = torch.randn(size, generator=rng)
    return Snapshot(
        step=step,
        model={"w": weights, "tied": weights, "half": weights.bfloat16(), "n": torch.tensor(step)},
        ema={"average.w": weights * 0.1},
        optimiser={"0.step": torch.tensor(float(step)), "0.exp_avg": weights[:0]},
        rng=torch.randint(0, 256, (2, 50), generator=rng, dtype=torch.uint8),
        facts={"fit": {"lr": 0.1, "betas": [0.9, 0.999]}, "ranks": 2},
    )


def run_script(folder: Path, *words: str) -> None:
    """Run this file in a process of its own, which has one thread and may fork."""
    command = [sys.executable, __file__, str(folder), *words]
    subprocess.run(command, env=script_environment(), check=True, timeout=120)


def script_environment() -> dict[str, str]:
    """What this file needs to run as a script."""
    path = os.pathsep.join(map(str, [Path(__file__).parents[1], *sys.path]))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def _kill_writer(folder: Path, delay_s: float) -> None:
    """Kill a process that does nothing but write checkpoints."""
    child = os.fork()
    if child == 0:
        for step in range(1, 100_000):
            Checkpoints(folder, keep=2).save(snapshot(step, size=5_000))
        os._exit(1)
    while not Checkpoints(folder).steps():
        time.sleep(0.001)
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _kill_and_resume(folder: Path, seed: int) -> None:
    """One run that nothing disturbs, and one that is killed three times at random moments."""
    rng = np.random.Generator(np.random.PCG64(seed))
    _finish(_begin(folder / "unbroken", seed))
    for _ in range(3):
        child = _begin(folder / "broken", seed)
        _wait_for_lines(folder / "broken" / "logbook.jsonl", int(rng.integers(5, 15)))
        time.sleep(float(rng.random()) * 0.01)
        os.kill(child, signal.SIGKILL)
        if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            sys.exit("the run was over before it could be killed")
    _finish(_begin(folder / "broken", seed))


def _begin(folder: Path, seed: int) -> int:
    child = os.fork()
    if child == 0:
        report = train(folder, replace(CONFIG, seed=seed))
        os._exit(0 if report.is_finished else 1)
    return child


def _finish(child: int) -> None:
    if os.waitpid(child, 0)[1]:
        sys.exit("the run failed")


def _wait_for_lines(path: Path, count: int) -> None:
    """Until the logbook has grown by so many lines."""
    before = path.read_bytes().count(b"\n") if path.exists() else 0
    for _ in range(20_000):
        if path.exists() and path.read_bytes().count(b"\n") >= before + count:
            return
        time.sleep(0.001)
    sys.exit("the run does not get on")


def main() -> None:
    torch.set_num_threads(1)
    folder, *words = sys.argv[1:]
    if words == ["gloo"]:
        from mien.train.runtime import AccelerateRuntime

        torch.distributed.init_process_group(
            "gloo",
            init_method=f"file://{folder}/meeting",
            rank=int(os.environ["RANK"]),
            world_size=2,
        )
        runtime = AccelerateRuntime(device="cpu")
        assert runtime.ranks == 2
        train(Path(folder), line=Line(noise=False), runtime=runtime)
        torch.distributed.destroy_process_group()
        return
    if words == ["checkpoints"]:
        for number in range(8):
            _kill_writer(Path(folder) / str(number), 0.02 + 0.013 * number)
        return
    importlib.import_module("torch._dynamo")  # once here, rather than in every child's first step

    for seed in words:
        _kill_and_resume(Path(folder) / seed, int(seed))


if __name__ == "__main__":
    main()
