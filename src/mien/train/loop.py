"""The one training loop: one loss, one optimiser, and a run that can be stopped at any moment.

A run that was killed goes on from its newest checkpoint and ends with the same weights and the
same logbook, to the last bit, as one that was not. Systems with several losses or optimisers write
a loop of their own from the same parts.
"""

import math
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from mien.core.config import to_mapping
from mien.core.errors import ConflictError, IntegrityError, RangeError
from mien.core.seeds import derive_seed
from mien.data.dataset import Batch
from mien.data.feed import Feed
from mien.train.checkpoint import Checkpoints, Snapshot
from mien.train.config import WATCHING, FitConfig
from mien.train.ema import Ema
from mien.train.logbook import Logbook
from mien.train.optim import (
    ParamGroup,
    build_optimiser,
    load_optimiser_state,
    optimiser_state,
    set_rate,
)
from mien.train.rng import rng_state, seed_torch, set_rng_state
from mien.train.runtime import Runtime

BatchT = TypeVar("BatchT", bound=Batch)
BatchT_contra = TypeVar("BatchT_contra", bound=Batch, contravariant=True)

_VALIDATION: Final = "validation/"


@dataclass(frozen=True, slots=True)
class StepOut:
    """What one training step gives.

    Attributes:
        loss: Mean over the batch, to be made smaller.
        scalars: Further means over the batch, for the logbook.
    """

    loss: Tensor
    scalars: Mapping[str, Tensor | float] = field(default_factory=dict)


class Trainable(Protocol[BatchT_contra]):
    """What a system hands to `fit`."""

    @property
    def model(self) -> nn.Module:
        """All that is learned, heads and all; nothing outside it is kept in checkpoints."""

    def training_step(self, batch: BatchT_contra, step: int) -> StepOut:
        """Loss and scalars of a batch; the same names at every step."""

    def parameter_groups(self) -> list[ParamGroup]:
        """The parameters that are trained, in an order that does not change."""

    def validate(self, batches: Iterable[BatchT_contra]) -> Mapping[str, float]:
        """Measures by name. The model is in evaluation mode, and no gradients are kept."""


@dataclass(frozen=True, slots=True)
class FitReport:
    """How a call of `fit` ended.

    Attributes:
        resumed_at: Steps that were done before it.
        step: Steps that are done now.
        is_finished: Whether that is all; otherwise it was asked to stop by SIGTERM.
    """

    resumed_at: int
    step: int
    is_finished: bool


def fit(
    trainable: Trainable[BatchT],
    feed: Feed[Any, BatchT],
    config: FitConfig,
    *,
    runtime: Runtime,
    logbook: Logbook,
    checkpoints: Checkpoints,
    validation: Callable[[], Iterable[BatchT]] | None = None,
) -> FitReport:
    """Train, from the newest checkpoint if there is one, to the last step.

    Seeds the global random numbers of this process. With averaged weights, these are validated.
    On SIGTERM, if called from the main thread, a checkpoint is written and the call returns.

    Args:
        trainable: What is trained; its model is moved to the runtime's device.
        feed: Its batches.
        config: How.
        runtime: Where. Several processes draw random numbers of their own.
        logbook: Lines beyond the checkpoint are dropped from it.
        checkpoints: Read at the start, written on the way and at the end.
        validation: Gives the batches to validate on, anew at each call; the first process does it.

    Raises:
        ConflictError: If the checkpoint is of a run with other settings.
        IntegrityError: If the checkpoint is damaged, or of another model.
        RangeError: If loss or gradient are not finite, with the step; no step was taken
            along it, and the checkpoints are whole. Also if a batch has no equal shares.
        StorageError: If a checkpoint or the logbook cannot be written.
    """
    run = _Run(trainable, feed, config, runtime)
    resumed_at = _resume(run, checkpoints)
    _check_same_weights(run)
    if runtime.rank == 0:
        logbook.rewind(resumed_at)
    with _noticing_sigterm() as is_asked_to_stop, logbook:
        while run.step < config.steps:
            scalars, is_stopping = run.advance(is_asked_to_stop=is_asked_to_stop())
            is_last = run.step == config.steps
            if is_last or run.step % config.log_every == 0:
                _log(run, logbook, scalars)
            if validation and (is_last or _is_due(run.step, config.validate_every)):
                _log(run, logbook, run.validate(validation))
            if is_last or is_stopping or _is_due(run.step, config.checkpoint_every):
                _save(run, checkpoints, logbook)
            if is_stopping:
                break
    return FitReport(resumed_at, run.step, run.step == config.steps)


class _Run(Generic[BatchT]):
    """The moving parts of a run, and one step of it."""

    def __init__(
        self,
        trainable: Trainable[BatchT],
        feed: Feed[Any, BatchT],
        config: FitConfig,
        runtime: Runtime,
    ) -> None:
        self.trainable, self.feed, self.config, self.runtime = trainable, feed, config, runtime
        self.step = 0
        self.model = trainable.model.to(runtime.device)
        groups = trainable.parameter_groups()
        self.parameters = [p for group in groups for p in group.parameters]
        self.optimiser = build_optimiser(groups, config)
        self.ema = None if config.ema_decay is None else Ema(self.model, config.ema_decay)
        seed_torch(derive_seed(config.seed, "training", runtime.rank))

    def advance(self, *, is_asked_to_stop: bool) -> tuple[dict[str, float], bool]:
        """One step: its scalars, and whether any process was asked to stop."""
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        rate = set_rate(self.optimiser, self.config, self.step)
        names, values = self._backward()
        asked = torch.tensor([float(is_asked_to_stop)], dtype=torch.float64)
        together = self.runtime.gather(torch.cat([values, asked])).cpu().mean(0).tolist()
        scalars = dict(zip(names, together[:-1], strict=True))
        self._check_finite("the loss", scalars["loss"])
        self.runtime.average([p.grad for p in self.parameters if p.grad is not None])
        norm = self.runtime.clip_gradients(self.parameters, self.config.max_grad_norm)
        self._check_finite("the length of the gradient", norm)
        self.optimiser.step()
        # What layers keep of their batches, such as the means of batch normalisation.
        self.runtime.average([b for b in self.model.buffers() if b.is_floating_point()])
        if self.ema is not None:
            self.ema.update(self.model)
        self.step += 1
        return scalars | {"lr": rate, "grad_norm": norm}, together[-1] > 0

    def _backward(self) -> tuple[list[str], Tensor]:
        """Gradients of this process's share, part by part: the means of loss and scalars."""
        parts, ranks = self.config.parts, self.runtime.ranks
        sums: dict[str, float] = {}
        for part in range(parts):
            share = part * ranks + self.runtime.rank
            batch = self.feed.batch(self.step, share=share, shares=parts * ranks)
            with self.runtime.autocast():
                out = self.trainable.training_step(batch.to(self.runtime.device), self.step)
            self.runtime.backward(out.loss / parts)
            for name, value in {"loss": out.loss.detach(), **out.scalars}.items():
                sums[name] = sums.get(name, 0.0) + float(value) / parts
        return list(sums), torch.tensor(list(sums.values()), dtype=torch.float64)

    def validate(self, batches: Callable[[], Iterable[BatchT]]) -> dict[str, float]:
        """Measures of the averaged weights, or else the present ones; training notices nothing."""
        measures: Mapping[str, float] = {}
        if self.runtime.rank == 0:
            before = rng_state()
            with (
                torch.no_grad(),
                self.ema.applied_to(self.model) if self.ema is not None else nullcontext(),
            ):
                self.model.eval()
                on_device = (batch.to(self.runtime.device) for batch in batches())
                measures = self.trainable.validate(on_device)
            self.model.train()
            set_rng_state(before)
        self.runtime.wait()
        return {_VALIDATION + name: float(value) for name, value in measures.items()}

    def facts(self) -> dict[str, Any]:
        """The settings that shape the weights."""
        config = {k: v for k, v in to_mapping(self.config).items() if k not in WATCHING}
        return {"fit": config, "order": to_mapping(self.feed.order), "ranks": self.runtime.ranks}

    def _check_finite(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise RangeError(
                what=f"{name} is {value} at step {self.step}",
                why="a step along it would spoil all weights; none was taken",
                mend="lower lr or max_grad_norm, or look at that step's batch; "
                "the newest checkpoint is whole",
                step=self.step,
            )


def _resume(run: _Run[Any], checkpoints: Checkpoints) -> int:
    """Take up the newest checkpoint, if there is one: the steps that are done."""
    if not checkpoints.steps():
        return 0
    snapshot = checkpoints.load()
    facts = run.facts()
    for table in facts:
        if snapshot.facts.get(table) != facts[table]:
            raise ConflictError(
                what=f"{checkpoints.path(snapshot.step)} was made with {table} = "
                f"{snapshot.facts.get(table)}",
                why=f"this run has {facts[table]}, and would not go on as that one",
                mend="use the same settings, or another folder for a new run",
            )
    try:
        run.model.load_state_dict(dict(snapshot.model))
    except RuntimeError as err:
        raise IntegrityError(
            what=f"{checkpoints.path(snapshot.step)} is of another model",
            why=str(err).splitlines()[0],
            mend="build the model as it was, or choose another folder",
        ) from err
    if run.ema is not None:
        run.ema.load_state_dict(snapshot.ema)
    load_optimiser_state(run.optimiser, snapshot.optimiser)
    set_rng_state(snapshot.rng[run.runtime.rank])
    run.step = snapshot.step
    return snapshot.step


def _save(run: _Run[Any], checkpoints: Checkpoints, logbook: Logbook) -> None:
    """Write a checkpoint from the first process; all return when it is there."""
    rng = run.runtime.gather(rng_state()).cpu()
    if run.runtime.rank == 0:
        logbook.sync()
        checkpoints.save(
            Snapshot(
                step=run.step,
                model=run.model.state_dict(),
                ema={} if run.ema is None else run.ema.state_dict(),
                optimiser=optimiser_state(run.optimiser),
                rng=rng,
                facts=run.facts(),
            )
        )
    run.runtime.wait()


def _log(run: _Run[Any], logbook: Logbook, scalars: Mapping[str, float]) -> None:
    if run.runtime.rank == 0:
        logbook.write(run.step, scalars)


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _check_same_weights(run: _Run[Any]) -> None:
    """Processes that begin with different weights would never agree, and nobody would notice."""
    sums = torch.stack([p.detach().double().sum().cpu() for p in run.parameters])
    if not bool((run.runtime.gather(sums).cpu() == sums).all()):
        raise ConflictError(
            what="the processes begin with different weights",
            why="each would train a model of its own",
            mend="seed torch before the model is built: mien.train.rng.seed_torch(seed)",
        )


@contextmanager
def _noticing_sigterm() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM came, instead of dying of it."""
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # others take no signals
        yield came.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda *_: came.set())
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
