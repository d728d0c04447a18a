import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from mien.core.errors import ConflictError, IntegrityError, RangeError
from mien.train.checkpoint import Checkpoints
from mien.train.logbook import Logbook
from mien.train.runtime import PlainRuntime
from toys.training import CONFIG, Line, run_script, train

TESTS = Path(__file__).parents[1]
SHORT = replace(CONFIG, steps=12)


@pytest.fixture(autouse=True)
def kept_random_numbers():
    from mien.train.rng import rng_state, set_rng_state

    before = rng_state()
    yield
    set_rng_state(before)


def last(folder: Path):
    return Checkpoints(folder / "checkpoints").load()


def lines(folder: Path) -> list[dict]:
    return Logbook(folder / "logbook.jsonl").read()


def assert_same_run(a: Path, b: Path) -> None:
    """The newest checkpoints and the logbooks agree byte by byte."""
    assert (a / "logbook.jsonl").read_bytes() == (b / "logbook.jsonl").read_bytes()
    steps = [Checkpoints(folder / "checkpoints").steps()[-1] for folder in (a, b)]
    assert steps[0] == steps[1]
    sums = [
        (Checkpoints(folder / "checkpoints").path(steps[0]) / "SHA256SUMS").read_text()
        for folder in (a, b)
    ]
    assert sums[0] == sums[1]


def run_apart(code: str, folder: Path) -> str:
    """Run code in a process of its own: limits and signals there concern no other test.

    Runs that are compared to the bit are all made so: libraries that other tests load may change
    how this process rounds.
    """
    setting = f"from pathlib import Path; folder = Path({str(folder)!r})\n"
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", setting + code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_killed_at_random_moments_ends_as_one_that_was_not(tmp_path) -> None:
    """Weights, averages, optimiser, random numbers and logbook, after three kills each."""
    run_script(tmp_path, "1", "2", "3")
    for seed in ("1", "2", "3"):
        assert_same_run(tmp_path / seed / "broken", tmp_path / seed / "unbroken")
        assert last(tmp_path / seed / "broken").step == CONFIG.steps


def test_training_lowers_the_loss(tmp_path) -> None:
    report = train(tmp_path, line=Line(noise=False))
    assert (report.resumed_at, report.step, report.is_finished) == (0, 60, True)
    errors = [line["validation/error"] for line in lines(tmp_path) if "validation/error" in line]
    assert errors[-1] < 0.5 * errors[0]


def test_every_line_is_where_it_should_be(tmp_path) -> None:
    train(tmp_path, replace(SHORT, log_every=5, validate_every=4))
    assert [(line["step"], "loss" in line) for line in lines(tmp_path)] == [
        (4, False),
        (5, True),
        (8, False),
        (10, True),
        (12, True),
        (12, False),
    ]


def test_a_finished_run_is_left_as_it_is(tmp_path) -> None:
    train(tmp_path / "run", SHORT)
    shutil.copytree(tmp_path / "run", tmp_path / "before")
    report = train(tmp_path / "run", SHORT)
    assert (report.resumed_at, report.step, report.is_finished) == (12, 12, True)
    assert_same_run(tmp_path / "run", tmp_path / "before")


def test_parts_of_a_batch_train_as_the_whole(tmp_path) -> None:
    for parts in (1, 2, 4):
        train(tmp_path / str(parts), replace(SHORT, parts=parts), line=Line(noise=False))
    whole = last(tmp_path / "1").model
    for parts in ("2", "4"):
        model = last(tmp_path / parts).model
        assert all(torch.allclose(whole[name], model[name], atol=1e-5) for name in whole)


def test_a_step_of_sgd_is_the_step_of_a_literal_loop(tmp_path) -> None:
    config = replace(
        SHORT, optimiser="sgd", steps=6, parts=1, max_grad_norm=0.5, ema_decay=None, lr=0.1
    )
    train(tmp_path, config, line=Line(noise=False))

    line = Line(noise=False)
    body, head = line.model[0], line.model[-1]
    optimiser = torch.optim.SGD(
        [
            {"params": list(body.parameters()), "weight_decay": 0.0},
            {"params": list(head.parameters()), "weight_decay": 0.01},
        ],
        lr=1.0,
        momentum=0.9,
        nesterov=True,
    )
    from mien.train.schedule import cosine
    from toys.training import feed

    for step in range(6):
        rate = 0.1 * cosine(step, steps=6, warmup_steps=5)
        optimiser.param_groups[0]["lr"], optimiser.param_groups[1]["lr"] = rate, rate * 0.5
        optimiser.zero_grad()
        line.training_step(feed().batch(step), step).loss.backward()
        nn.utils.clip_grad_norm_(line.model.parameters(), 0.5)
        optimiser.step()
    model = last(tmp_path).model
    for name, value in line.model.state_dict().items():
        assert torch.allclose(model[name], value, atol=1e-6), name


def test_watching_changes_nothing(tmp_path) -> None:
    train(tmp_path / "often", SHORT)
    train(tmp_path / "never", replace(SHORT, log_every=6, validate_every=0, checkpoint_every=0))
    often, never = last(tmp_path / "often"), last(tmp_path / "never")
    assert all(torch.equal(often.model[name], never.model[name]) for name in often.model)
    assert torch.equal(often.rng, never.rng)


def test_dropout_is_part_of_the_test(tmp_path) -> None:
    """Otherwise the test of resuming would not notice lost random numbers."""
    train(tmp_path / "a", replace(SHORT, seed=1), line=Line(seed=0))
    train(tmp_path / "b", replace(SHORT, seed=2), line=Line(seed=0))
    a, b = last(tmp_path / "a").model, last(tmp_path / "b").model
    assert not torch.equal(a["0.weight"], b["0.weight"])


def test_a_loss_that_is_not_a_number_names_its_step_and_spoils_nothing(tmp_path) -> None:
    line = Line(spoil_at=7)
    with pytest.raises(RangeError, match="the loss is nan at step 7; .*checkpoint is whole") as e:
        train(tmp_path, SHORT, line=line)
    assert e.value.facts["step"] == 7
    assert last(tmp_path).step == 6
    assert all(p.isfinite().all() for p in line.model.parameters())
    assert [entry["step"] for entry in lines(tmp_path)] == list(range(1, 8))

    train(tmp_path / "unbroken", SHORT)
    train(tmp_path, SHORT)
    assert_same_run(tmp_path, tmp_path / "unbroken")


def test_a_gradient_that_is_not_a_number_is_told_too(tmp_path) -> None:
    class Root(Line):
        def training_step(self, batch, step):
            out = super().training_step(batch, step)
            weight = self.model[0].weight
            return replace(out, loss=out.loss + (weight - weight).sum().sqrt())

    with pytest.raises(RangeError, match="the length of the gradient is nan at step 0"):
        train(tmp_path, SHORT, line=Root())


PLAIN = """
from toys.training import CONFIG, replace, train

report = train(folder, replace(CONFIG, steps=12))
print(report.resumed_at, report.is_finished)
"""
FULL = """
import resource
from toys.training import CONFIG, Line, replace, train

class Full(Line):
    def training_step(self, batch, step):
        if step == 5:  # the checkpoint after it finds no room
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
        return super().training_step(batch, step)

try:
    train(folder, replace(CONFIG, steps=12), line=Full())
except OSError as err:
    print(type(err).__name__, err)
"""


def test_a_full_disk_leaves_a_run_that_can_be_resumed(tmp_path) -> None:
    told = run_apart(FULL, tmp_path / "run")
    assert told.startswith("StorageError cannot write")
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [3]
    for run in ("unbroken", "run"):
        run_apart(PLAIN, tmp_path / run)
    assert_same_run(tmp_path / "run", tmp_path / "unbroken")


TOLD = """
import os, signal
from toys.training import CONFIG, Line, replace, train

class Told(Line):
    def training_step(self, batch, step):
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().training_step(batch, step)

before = signal.getsignal(signal.SIGTERM)
report = train(folder, replace(CONFIG, steps=12), line=Told())
print(report.is_finished, report.step, signal.getsignal(signal.SIGTERM) is before)
"""


def test_sigterm_stops_with_a_checkpoint_and_the_run_goes_on_later(tmp_path) -> None:
    finished, step, restored = run_apart(TOLD, tmp_path / "run").split()
    assert (finished, restored) == ("False", "True")
    assert int(step) == last(tmp_path / "run").step < 7
    assert run_apart(PLAIN, tmp_path / "run").split() == [step, "True"]
    run_apart(PLAIN, tmp_path / "unbroken")
    assert_same_run(tmp_path / "run", tmp_path / "unbroken")


def test_training_runs_in_another_thread_too(tmp_path) -> None:
    thread = threading.Thread(target=train, args=(tmp_path, SHORT))
    thread.start()
    thread.join()
    assert last(tmp_path).step == 12


@pytest.mark.parametrize(
    ("changes", "order", "table"),
    [({"lr": 0.5}, {}, "fit"), ({"steps": 20}, {}, "fit"), ({}, {"batch_size": 4}, "order")],
)
def test_a_run_is_not_resumed_with_other_settings(tmp_path, changes, order, table) -> None:
    train(tmp_path, SHORT)
    before = (tmp_path / "logbook.jsonl").read_bytes()
    with pytest.raises(ConflictError, match=f"was made with {table} = "):
        train(tmp_path, replace(SHORT, **changes), **order)
    assert (tmp_path / "logbook.jsonl").read_bytes() == before


def test_a_run_may_be_watched_otherwise_when_it_is_resumed(tmp_path) -> None:
    train(tmp_path, SHORT)
    assert train(tmp_path, replace(SHORT, log_every=3, checkpoint_every=0)).is_finished


def test_a_checkpoint_of_another_model_is_refused(tmp_path) -> None:
    train(tmp_path, SHORT)
    with pytest.raises(IntegrityError, match="is of another model"):
        train(tmp_path, SHORT, line=Line(noise=False))


def test_a_batch_that_cannot_be_cut_into_the_parts_is_refused(tmp_path) -> None:
    with pytest.raises(RangeError, match="batch of 8 items is to be cut into 3 shares"):
        train(tmp_path, replace(SHORT, parts=3))


def test_processes_with_different_weights_are_told(tmp_path) -> None:
    class Unlike(PlainRuntime):
        """As if the second process had other weights."""

        ranks = 2

        def gather(self, values):
            return torch.stack([values, values + 1])

    with pytest.raises(ConflictError, match="begin with different weights"):
        train(tmp_path, SHORT, runtime=Unlike())
