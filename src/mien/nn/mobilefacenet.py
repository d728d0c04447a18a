"""MobileFaceNet: a face embedder of a million numbers, and narrower ones of the same build.

The network maps a picture to an embedding of any length. What the embedding is trained for, and
how pictures are scaled before, is decided by the system that uses it.
"""

from typing import Final

import torch
from torch import Tensor, nn

from mien.core.errors import RangeError, ShapeError
from mien.nn.conv import ConvBlock, GlobalDepthwiseConv, InvertedResidual

Stage = tuple[int, int, int, int]
"""One line of the paper's table: expansion t, channels c, repetitions n, stride s of the first."""

PAPER_STAGES: Final[tuple[Stage, ...]] = (
    (2, 64, 5, 2),
    (4, 128, 1, 2),
    (2, 128, 6, 1),
    (4, 128, 1, 2),
    (2, 128, 2, 1),
)
"""Chen et al. 2018, table 1, the lines named bottleneck."""

TINY_STAGES: Final[tuple[Stage, ...]] = ((2, 16, 1, 2), (2, 16, 2, 2), (2, 16, 1, 2))
"""Three bottlenecks that halve and one that does not: for tests."""

_STEM_CHANNELS: Final = 64
_HEAD_CHANNELS: Final = 512
# The stem and three stages halve the picture.
_HALVINGS: Final = 16


class MobileFaceNet(nn.Module):
    """A picture of a face to a vector.

    Source:
        Chen, Liu, Gao, Han, "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face
        Verification on Mobile Devices", CCBR 2018, table 1.
        We differ in two points: the last normalisation is one of vectors, with the same formula;
        kernels start with the normal distribution of He et al. 2015, which the paper leaves open.

    Args:
        embedding_dim: Length of the embedding.
        input_px: Height and width of the picture; a multiple of 16.
        stages: The bottlenecks; their strides multiply to 8.
        stem_channels: Channels of the first two layers.
        head_channels: Channels before the global convolution.

    Raises:
        RangeError: If a number does not fit.
    """

    def __init__(
        self,
        *,
        embedding_dim: int = 128,
        input_px: int = 112,
        stages: tuple[Stage, ...] = PAPER_STAGES,
        stem_channels: int = _STEM_CHANNELS,
        head_channels: int = _HEAD_CHANNELS,
    ) -> None:
        super().__init__()
        _check_sizes(embedding_dim, input_px, stages)
        self.input_px = input_px
        self.embedding_dim = embedding_dim
        self.stem = nn.Sequential(
            ConvBlock(3, stem_channels, kernel_px=3, stride=2),
            ConvBlock(stem_channels, stem_channels, kernel_px=3, groups=stem_channels),
        )
        self.trunk = _build_trunk(stem_channels, stages)
        self.head = nn.Sequential(
            ConvBlock(stages[-1][1], head_channels),
            GlobalDepthwiseConv(head_channels, input_px // _HALVINGS),
            nn.Flatten(),
            nn.Linear(head_channels, embedding_dim, bias=False),
            nn.BatchNorm1d(embedding_dim),
        )
        self.apply(_initialise)

    def forward(self, pictures: Tensor) -> Tensor:
        """Map pictures (b, 3, input_px, input_px), values around -1 to 1, to (b, d).

        Rows are not of length 1: losses that look at the length want it.

        Raises:
            ShapeError: If the pictures have another shape, or there is only one in training, whose
                batch statistics would be nothing.
        """
        if pictures.shape[1:] != (3, self.input_px, self.input_px):
            raise ShapeError(
                what=f"pictures have shape {tuple(pictures.shape)}",
                why=f"this network reads (b, 3, {self.input_px}, {self.input_px})",
                mend="resize the crops, or build the network for their size",
            )
        if self.training and len(pictures) < 2:
            raise ShapeError(
                what=f"a training batch holds {len(pictures)} pictures",
                why="batch normalisation needs two to measure how they differ",
                mend="drop the last batch when it is short, or call eval() first",
            )
        x = self.trunk(self.stem(pictures))  # b c h/16 w/16
        embeddings: Tensor = self.head(x)  # b d
        return embeddings


def mobilefacenet(
    *, embedding_dim: int = 128, input_px: int = 112, width: float = 1.0
) -> MobileFaceNet:
    """The paper's network, 0.99 million parameters at width 1.

    Args:
        embedding_dim: Length of the embedding; 128 in the paper.
        input_px: Side of the picture; 112 in the paper.
        width: What all channels but the embedding's are multiplied by, rounded to multiples of 8.

    Raises:
        RangeError: If a number does not fit.
    """
    if not 0 < width <= 8:
        raise RangeError(
            what=f"width is {width}",
            why="it multiplies the channels of every layer",
            mend="pass a number above 0 and up to 8; 1 is the paper's",
        )
    return MobileFaceNet(
        embedding_dim=embedding_dim,
        input_px=input_px,
        stages=tuple((t, _scaled(c, width), n, s) for t, c, n, s in PAPER_STAGES),
        stem_channels=_scaled(_STEM_CHANNELS, width),
        head_channels=_scaled(_HEAD_CHANNELS, width),
    )


def mobilefacenet_small(*, embedding_dim: int = 128, input_px: int = 64) -> MobileFaceNet:
    """The paper's layers at half the channels: 0.3 million parameters, for training on a CPU."""
    return mobilefacenet(embedding_dim=embedding_dim, input_px=input_px, width=0.5)


def mobilefacenet_tiny(*, embedding_dim: int = 32, input_px: int = 32) -> MobileFaceNet:
    """Four narrow bottlenecks, ten thousand parameters: for tests and first steps."""
    return MobileFaceNet(
        embedding_dim=embedding_dim,
        input_px=input_px,
        stages=TINY_STAGES,
        stem_channels=16,
        head_channels=64,
    )


def _build_trunk(channels: int, stages: tuple[Stage, ...]) -> nn.Sequential:
    blocks: list[nn.Module] = []
    for expansion, channels_out, repetitions, stride in stages:
        for k in range(repetitions):
            blocks.append(
                InvertedResidual(
                    channels, channels_out, expansion=expansion, stride=1 if k else stride
                )
            )
            channels = channels_out
    return nn.Sequential(*blocks)


def _scaled(channels: int, width: float) -> int:
    return max(8, round(channels * width / 8) * 8)


@torch.no_grad()
def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", a=0.25)  # PReLU's first slope


def _check_sizes(embedding_dim: int, input_px: int, stages: tuple[Stage, ...]) -> None:
    if embedding_dim < 1:
        raise RangeError(
            what=f"embedding_dim is {embedding_dim}",
            why="it is the length of a vector",
            mend="pass 1 or more; 128 is usual",
        )
    if input_px < _HALVINGS or input_px % _HALVINGS:
        raise RangeError(
            what=f"input_px is {input_px}",
            why="the network halves the picture four times",
            mend="use a multiple of 16, such as 64, 96 or 112",
        )
    steps = 2
    for stage in stages:
        steps *= stage[3]
    if steps != _HALVINGS or any(stage[2] < 1 for stage in stages):
        raise RangeError(
            what=f"stages are {stages}",
            why="the stem halves once, and the strides of the stages must multiply to 8",
            mend="give three stages the stride 2, the others 1, and repeat each at least once",
        )
