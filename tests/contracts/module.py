"""What every network must do. A test module calls `check_module` with how the network is built."""

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

torch.set_num_threads(1)


def check_module(build: Callable[[], nn.Module], example: Tensor, folder: Path) -> None:
    """The whole contract.

    Args:
        build: Gives a fresh network with weights of its own.
        example: (b, …) an input, b at least 3.
        folder: Where a weight file may be written.
    """
    model = _used(build, example)
    check_every_parameter_learns(model, example)
    model.eval()
    check_it_is_deterministic(model, example)
    check_rows_are_independent(model, example)
    check_it_survives_a_file(model, build, example, folder)


def check_every_parameter_learns(model: nn.Module, example: Tensor) -> None:
    """One step of training gives each parameter a gradient that is finite and not all zero."""
    model = copy.deepcopy(model).train()
    model.zero_grad()
    output = model(example)
    weights = torch.linspace(-1, 1, output.numel()).view_as(output)
    (output * weights).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def check_it_is_deterministic(model: nn.Module, example: Tensor) -> None:
    """In evaluation the same input gives the same bits, and no state moves."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert torch.equal(_run(model, example), _run(model, example))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def check_rows_are_independent(model: nn.Module, example: Tensor) -> None:
    """A batch of one gives the row that it gives among many."""
    together = _run(model, example)
    assert len(together) == len(example)
    alone = torch.cat([_run(model, example[k : k + 1]) for k in range(len(example))])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


def check_it_survives_a_file(
    model: nn.Module, build: Callable[[], nn.Module], example: Tensor, folder: Path
) -> None:
    """Saved by safetensors and loaded into a fresh network, it gives the same bits."""
    file = folder / "weights.safetensors"
    save_file(model.state_dict(), file)
    fresh = build()
    fresh.load_state_dict(load_file(file))
    assert torch.equal(_run(fresh.eval(), example), _run(model, example))


def _used(build: Callable[[], nn.Module], example: Tensor) -> nn.Module:
    """A network whose running statistics are no longer those of a fresh one."""
    torch.manual_seed(5)
    model = build().train()
    model(example)
    return model


@torch.no_grad()
def _run(model: nn.Module, example: Tensor) -> Tensor:
    output: Tensor = model(example)
    return output
