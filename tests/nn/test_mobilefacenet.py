import pytest
import torch
from torch import nn

from contracts.module import check_module
from mien.core.errors import RangeError, ShapeError
from mien.nn.mobilefacenet import (
    MobileFaceNet,
    mobilefacenet,
    mobilefacenet_small,
    mobilefacenet_tiny,
)


def pictures(px: int, b: int = 4) -> torch.Tensor:
    return torch.rand(b, 3, px, px, generator=torch.Generator().manual_seed(1)) * 2 - 1


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("build", "px"),
    [(mobilefacenet_tiny, 32), (mobilefacenet_small, 64), (lambda: mobilefacenet(input_px=32), 32)],
    ids=["tiny", "small", "paper's layers"],
)
def test_networks_keep_the_contract(build, px, tmp_path):
    check_module(build, pictures(px), tmp_path)


def test_the_papers_network_has_its_size():
    """0.99 million in the paper, which does not say whether normalisations and slopes count."""
    model = mobilefacenet()
    weights = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    assert (weights, count(model)) == (976_000, 1_003_136)


def test_the_papers_network_has_the_shapes_of_table_1():
    model = mobilefacenet().eval()
    shapes = []
    for part in (*model.stem, *model.trunk, *list(model.head)[:2]):
        part.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))
    with torch.no_grad():
        assert model(pictures(112, b=1)).shape == (1, 128)
    assert shapes == [
        *[(64, 56, 56)] * 2,
        *[(64, 28, 28)] * 5,
        (128, 14, 14),
        *[(128, 14, 14)] * 6,
        (128, 7, 7),
        *[(128, 7, 7)] * 2,
        (512, 7, 7),
        (512, 1, 1),
    ]


def test_the_papers_middles_are_as_wide_as_its_expansions_say():
    middles = [block.widen[0].out_channels for block in mobilefacenet().trunk]
    assert middles == [128] * 5 + [256] + [256] * 6 + [512] + [256] * 2


def test_named_sizes_have_their_numbers():
    assert count(mobilefacenet_tiny()) == 10_528
    assert count(mobilefacenet_small()) == 280_256
    assert count(mobilefacenet(width=0.75, input_px=64)) == 580_000


def test_a_seed_gives_the_same_weights():
    torch.manual_seed(3)
    one = mobilefacenet_tiny().state_dict()
    torch.manual_seed(3)
    other = mobilefacenet_tiny().state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input_px": 100}, "input_px is 100; the network halves the picture four times"),
        ({"input_px": 0}, "input_px is 0"),
        ({"embedding_dim": 0}, "embedding_dim is 0"),
        ({"width": 0.0}, "width is 0.0; it multiplies the channels"),
        ({"width": float("nan")}, "width is nan"),
    ],
)
def test_sizes_that_cannot_be_are_refused(options, words):
    with pytest.raises(RangeError, match=words):
        mobilefacenet(**options)


def test_stages_must_halve_three_times():
    with pytest.raises(RangeError, match="strides of the stages must multiply to 8"):
        MobileFaceNet(stages=((2, 8, 1, 2), (2, 8, 1, 2)))
    with pytest.raises(RangeError, match="repeat each at least once"):
        MobileFaceNet(stages=((2, 8, 0, 2), (2, 8, 1, 2), (2, 8, 1, 2)))


def test_pictures_of_another_shape_are_refused():
    model = mobilefacenet_tiny()
    for shape in ((2, 3, 48, 48), (2, 1, 32, 32), (3, 32, 32)):
        with pytest.raises(ShapeError, match=r"this network reads \(b, 3, 32, 32\)"):
            model(torch.zeros(shape))


def test_a_training_batch_of_one_is_refused():
    with pytest.raises(ShapeError, match="training batch holds 1 pictures"):
        mobilefacenet_tiny()(pictures(32, b=1))
