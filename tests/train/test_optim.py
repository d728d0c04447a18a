import pytest
import torch
from torch import nn

from mien.core.errors import IntegrityError
from mien.train.config import FitConfig
from mien.train.optim import (
    ParamGroup,
    build_optimiser,
    load_optimiser_state,
    optimiser_state,
    set_rate,
)


def build(config: FitConfig):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    groups = [
        ParamGroup(tuple(net[0].parameters())),
        ParamGroup(tuple(net[1].parameters()), lr_scale=0.1, weight_decay=0.0),
    ]
    return net, build_optimiser(groups, config)


def step(net, optimiser) -> None:
    optimiser.zero_grad()
    net(torch.ones(2, 3)).square().sum().backward()
    optimiser.step()


def test_groups_have_rates_and_decays_of_their_own() -> None:
    config = FitConfig(steps=10, lr=0.5, schedule="linear", weight_decay=0.3)
    _, optimiser = build(config)
    assert set_rate(optimiser, config, 5) == 0.25
    assert [g["lr"] for g in optimiser.param_groups] == pytest.approx([0.25, 0.025])
    assert [g["weight_decay"] for g in optimiser.param_groups] == [0.3, 0.0]


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_an_optimiser_goes_on_from_its_state(name) -> None:
    config = FitConfig(steps=10, lr=0.05, optimiser=name)
    net, optimiser = build(config)
    step(net, optimiser)
    step(net, optimiser)
    other, fresh = build(config)
    other.load_state_dict(net.state_dict())
    load_optimiser_state(fresh, optimiser_state(optimiser))
    step(net, optimiser)
    step(other, fresh)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


def test_the_state_of_an_optimiser_that_has_not_moved_is_empty() -> None:
    _, optimiser = build(FitConfig(steps=1))
    assert optimiser_state(optimiser) == {}
    load_optimiser_state(optimiser, {})


@pytest.mark.parametrize("key", ["4.exp_avg", "0.exp_avg", "x.exp_avg"])
def test_the_state_of_other_parameters_is_refused(key) -> None:
    _, optimiser = build(FitConfig(steps=1))
    with pytest.raises(IntegrityError, match=f"{key} of shape .*no such parameter"):
        load_optimiser_state(optimiser, {key: torch.zeros(7)})
