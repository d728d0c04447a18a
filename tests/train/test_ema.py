import numpy as np
import pytest
import torch
from torch import nn

from mien.core.errors import IntegrityError, RangeError
from mien.train.ema import Ema


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def shake(net: nn.Module) -> None:
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p))
        net(torch.randn(8, 3))


def test_the_average_is_what_a_literal_loop_gives() -> None:
    net = model()
    ema = Ema(net, 0.7)
    literal = {name: t.double().numpy().copy() for name, t in net.state_dict().items()}
    for n in range(1, 30):
        shake(net)
        ema.update(net)
        decay = min(0.7, (1 + n) / (10 + n))
        for name, t in net.state_dict().items():
            kept = decay if t.is_floating_point() else 0.0
            literal[name] = kept * literal[name] + (1 - kept) * t.double().numpy()
    for name, value in literal.items():
        assert np.allclose(ema.average[name].double().numpy(), value, atol=1e-5), name


def test_counts_are_copied() -> None:
    net = model()
    ema = Ema(net, 0.9)
    shake(net)
    shake(net)
    ema.update(net)
    assert ema.average["1.num_batches_tracked"] == 2


def test_the_average_of_a_model_at_rest_is_the_model() -> None:
    net = model()
    ema = Ema(net, 0.9)
    for _ in range(50):
        ema.update(net)
    assert all(torch.equal(ema.average[name], t) for name, t in net.state_dict().items())


def test_a_model_gets_its_own_weights_back_even_after_an_error() -> None:
    net = model()
    ema = Ema(net, 0.9)
    shake(net)
    own = {name: t.clone() for name, t in net.state_dict().items()}
    with pytest.raises(ZeroDivisionError), ema.applied_to(net):  # noqa: PT012  both matter
        assert torch.equal(net[0].weight, ema.average["0.weight"])
        raise ZeroDivisionError
    assert all(torch.equal(own[name], t) for name, t in net.state_dict().items())


def test_an_average_goes_on_from_its_state() -> None:
    net = model()
    ema, copy = Ema(net, 0.9), Ema(model(), 0.9)
    shake(net)
    ema.update(net)
    copy.load_state_dict(ema.state_dict())
    shake(net)
    ema.update(net)
    copy.update(net)
    assert copy.updates == ema.updates == 2
    assert all(torch.equal(ema.average[name], copy.average[name]) for name in ema.average)


def test_the_average_of_another_model_is_refused() -> None:
    with pytest.raises(IntegrityError, match="other names or shapes than the model"):
        Ema(model(), 0.9).load_state_dict(Ema(nn.Linear(3, 4), 0.9).state_dict())


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_out_of_range_is_refused(decay) -> None:
    with pytest.raises(RangeError, match="the decay is"):
        Ema(model(), decay)
