import pytest
import torch

from contracts.module import check_module
from mien.core.errors import RangeError, ShapeError
from mien.nn.conv import ConvBlock, DepthwiseSeparable, GlobalDepthwiseConv, InvertedResidual


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: ConvBlock(4, 6, kernel_px=3, stride=2), (6, 5, 4)),
        (lambda: ConvBlock(4, 8, groups=4, linear=True), (8, 9, 8)),
        (lambda: DepthwiseSeparable(4, 6, stride=2), (6, 5, 4)),
        (lambda: InvertedResidual(4, 4, expansion=2), (4, 9, 8)),
        (lambda: InvertedResidual(4, 6, expansion=3, stride=2), (6, 5, 4)),
    ],
)
def test_blocks_keep_the_contract_and_their_shapes(build, shape, tmp_path):
    example = torch.randn(5, 4, 9, 8, generator=torch.Generator().manual_seed(1))
    assert build()(example).shape == (5, *shape)
    check_module(build, example, tmp_path)


def test_the_global_convolution_keeps_the_contract(tmp_path):
    example = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    check_module(lambda: GlobalDepthwiseConv(4, 3), example, tmp_path)


def test_the_global_convolution_is_a_weighted_sum_of_each_channel():
    layer = GlobalDepthwiseConv(2, 3).eval()
    x = torch.randn(4, 2, 3, 3)
    expected = (x * layer.conv.weight[:, 0]).sum(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(layer(x), expected / (1 + layer.norm.eps) ** 0.5)


def test_only_equal_shapes_are_added_to_the_input():
    x = torch.randn(2, 4, 6, 6)
    same = InvertedResidual(4, 4, expansion=2).eval()
    torch.testing.assert_close(same(x), x + same.filter(same.widen(x)))
    assert not InvertedResidual(4, 4, expansion=2, stride=2).is_residual
    assert not InvertedResidual(4, 6, expansion=2).is_residual


def test_a_linear_block_has_no_activation():
    kinds = [type(part).__name__ for part in ConvBlock(2, 2, linear=True)]
    assert kinds == ["Conv2d", "BatchNorm2d"]
    assert [type(part).__name__ for part in ConvBlock(2, 2)] == [*kinds, "PReLU"]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ConvBlock(0, 4), "channels_in is 0"),
        (lambda: ConvBlock(4, 0), "channels_out is 0"),
        (lambda: ConvBlock(4, 4, stride=0), "stride is 0"),
        (lambda: ConvBlock(4, 4, kernel_px=2), "kernel_px is 2; only an odd kernel"),
        (lambda: ConvBlock(4, 6, groups=4), "groups is 4; it must divide 4 and 6"),
        (lambda: InvertedResidual(4, 4, expansion=0), "expansion is 0"),
        (lambda: GlobalDepthwiseConv(0, 4), "channels is 0"),
        (lambda: GlobalDepthwiseConv(4, 0), "side_px is 0"),
    ],
)
def test_numbers_that_make_no_layer_are_refused(build, words):
    with pytest.raises(RangeError, match=words):
        build()


def test_a_map_of_another_size_is_refused():
    with pytest.raises(ShapeError, match="the map has 4 × 3 places; .* each of 3 × 3"):
        GlobalDepthwiseConv(2, 3)(torch.zeros(2, 2, 4, 3))
