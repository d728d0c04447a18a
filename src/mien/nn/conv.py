"""Convolutions with what always comes with them: batch normalisation and an activation.

Parts that take plain numbers, for networks of faces. Whole networks stand in files of their own.
"""

from torch import Tensor, nn

from mien.core.errors import RangeError, ShapeError


class ConvBlock(nn.Sequential):
    """Convolution, batch normalisation and, unless linear, a PReLU with one slope a channel.

    The convolution has no bias: the normalisation would take it away again.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        kernel_px: Side of the kernel; the input is padded by half of it, so that an odd kernel at
            stride 1 keeps height and width.
        stride: Steps of the kernel.
        groups: As of `torch.nn.Conv2d`.
        linear: Whether to leave the activation out.

    Raises:
        RangeError: If a number is below 1, the kernel is even, or the groups do not divide the
            channels.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel_px: int = 1,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        _check_at_least_one(channels_in, "channels_in")
        _check_at_least_one(channels_out, "channels_out")
        _check_at_least_one(stride, "stride")
        _check_kernel(kernel_px)
        _check_groups(groups, channels_in, channels_out)
        parts: list[nn.Module] = [
            nn.Conv2d(
                channels_in,
                channels_out,
                kernel_px,
                stride,
                padding=kernel_px // 2,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(channels_out),
        ]
        super().__init__(*parts, *([] if linear else [nn.PReLU(channels_out)]))


class DepthwiseSeparable(nn.Sequential):
    """A 3 x 3 convolution of each channel by itself, then a linear 1 x 1 mix of all channels.

    Source:
        Sandler et al., "MobileNetV2", CVPR 2018, section 3.1; the second half of its bottleneck.
        We differ in one point: PReLU for ReLU6, as Chen et al., "MobileFaceNets", 2018.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        stride: Steps of the 3 x 3 kernel.
    """

    def __init__(self, channels_in: int, channels_out: int, *, stride: int = 1) -> None:
        super().__init__(
            ConvBlock(channels_in, channels_in, kernel_px=3, stride=stride, groups=channels_in),
            ConvBlock(channels_in, channels_out, linear=True),
        )


class InvertedResidual(nn.Module):
    """Widen by 1 x 1, filter depthwise, narrow again; added to the input where shapes allow.

    Source:
        Sandler et al., "MobileNetV2", CVPR 2018, table 1 and figure 4d. PReLU for ReLU6, as Chen
        et al., "MobileFaceNets", 2018, section 3.2.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        expansion: t in the paper; how many times wider than the input the middle is.
        stride: 1 or 2.

    Raises:
        RangeError: If a number is below 1.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, expansion: int, stride: int = 1
    ) -> None:
        super().__init__()
        _check_at_least_one(expansion, "expansion")
        middle = channels_in * expansion
        self.widen = ConvBlock(channels_in, middle)
        self.filter = DepthwiseSeparable(middle, channels_out, stride=stride)
        self.is_residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, channels_in, h, w) to (b, channels_out, h / stride, w / stride), rounded up."""
        y: Tensor = self.filter(self.widen(x))
        return x + y if self.is_residual else y


class GlobalDepthwiseConv(nn.Module):
    """One weight for every place of every channel: a pooling that learns where to look.

    Source:
        Chen et al., "MobileFaceNets", CCBR 2018, section 3.1: corners of a face crop deserve less
        weight than its middle, and an average cannot know it.

    Args:
        channels: Channels of input and output.
        side_px: Height and width of the input.

    Raises:
        RangeError: If a number is below 1.
    """

    def __init__(self, channels: int, side_px: int) -> None:
        super().__init__()
        _check_at_least_one(channels, "channels")
        _check_at_least_one(side_px, "side_px")
        self.side_px = side_px
        self.conv = nn.Conv2d(channels, channels, side_px, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, channels, side_px, side_px) to (b, channels, 1, 1).

        Raises:
            ShapeError: If height or width is another.
        """
        if x.shape[-2:] != (self.side_px, self.side_px):
            raise ShapeError(
                what=f"the map has {x.shape[-2]} × {x.shape[-1]} places",
                why=f"there is one weight for each of {self.side_px} × {self.side_px}",
                mend="give pictures of the size that the network was built for",
            )
        y: Tensor = self.norm(self.conv(x))
        return y


def _check_at_least_one(value: int, name: str) -> None:
    if value < 1:
        raise RangeError(
            what=f"{name} is {value}", why="a layer needs at least one", mend="pass 1 or more"
        )


def _check_kernel(kernel_px: int) -> None:
    if kernel_px < 1 or kernel_px % 2 == 0:
        raise RangeError(
            what=f"kernel_px is {kernel_px}",
            why="only an odd kernel has a middle, and pads the same on both sides",
            mend="pass 1, 3, 5 or another odd number",
        )


def _check_groups(groups: int, channels_in: int, channels_out: int) -> None:
    if groups < 1 or channels_in % groups or channels_out % groups:
        raise RangeError(
            what=f"groups is {groups}",
            why=f"it must divide {channels_in} and {channels_out} channels",
            mend="pass 1, or a common divisor",
        )
