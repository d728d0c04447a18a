"""Margin losses as modules: class centres, a margin and one interface for all of them."""

from typing import Final, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.core.errors import ConfigError, RangeError
from mien.losses._cosines import check_labels, check_margin, check_rows, check_scale, cross_entropy
from mien.losses.margin import adapt_margin, lower_cosine, norm_levels, widen_angle

MarginName = Literal["softmax", "cosface", "arcface", "adaface"]

DEFAULT_MARGINS: Final[dict[MarginName, float]] = {
    "softmax": 0.0,
    "cosface": 0.35,
    "arcface": 0.5,
    "adaface": 0.4,
}
"""m of each paper."""

# Lengths outside say nothing about pictures; bounds of AdaFace's code.
_NORM_RANGE: Final = (1e-3, 100.0)


class Margin(Protocol):
    """What makes the own class harder to win. A module, since some have a state."""

    def __call__(self, cos: Tensor, labels: Tensor, norms: Tensor) -> Tensor:
        """Cosines (b, k) with the one to the own class changed; norms (b,) of the embeddings."""


class NoMargin(nn.Module):
    """Leaves cosines as they are: the normalised softmax."""

    def forward(self, cos: Tensor, labels: Tensor, norms: Tensor) -> Tensor:
        """The cosines."""
        del labels, norms
        return cos


class CosineMargin(nn.Module):
    """CosFace; see `mien.losses.margin.additive_cosine_margin`."""

    def __init__(self, margin: float = 0.35) -> None:
        super().__init__()
        check_margin(margin, "margin", 1.0)
        self.margin = margin

    def forward(self, cos: Tensor, labels: Tensor, norms: Tensor) -> Tensor:
        """Cosines with the margin taken from those to the own class."""
        del norms
        return lower_cosine(cos, labels, self.margin)


class AngularMargin(nn.Module):
    """ArcFace; see `mien.losses.margin.additive_angular_margin`."""

    def __init__(self, margin_rad: float = 0.5) -> None:
        super().__init__()
        check_margin(margin_rad, "margin_rad", torch.pi / 2)
        self.margin_rad = margin_rad

    def forward(self, cos: Tensor, labels: Tensor, norms: Tensor) -> Tensor:
        """Cosines with the angle to the own class widened."""
        del norms
        return widen_angle(cos, labels, self.margin_rad)


class AdaptiveMargin(nn.Module):
    """AdaFace; see `mien.losses.margin.adaptive_margin`.

    Mean and deviation of lengths are moving averages over training batches, kept in the state.
    Outside training they stand still. A batch of one has no deviation and does not move them.

    Source:
        Kim, Jain, Liu, "AdaFace", CVPR 2022, eqs. 16 and 17; first values, bounds of lengths and
        the weight of a new batch from the authors' code (MIT). With several processes each keeps
        the averages of its own batches.

    Args:
        margin: m in the paper, 0 … 1.
        concentration: h in the paper.
        momentum: Weight of the newest batch in the moving averages.

    Raises:
        RangeError: If an argument lies outside its range.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, margin: float = 0.4, *, concentration: float = 0.333, momentum: float = 0.01
    ) -> None:
        super().__init__()
        check_margin(margin, "margin", 1.0)
        _check_adaptive(concentration, momentum)
        self.margin = margin
        self.concentration = concentration
        self.momentum = momentum
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("std", torch.tensor(100.0))

    def forward(self, cos: Tensor, labels: Tensor, norms: Tensor) -> Tensor:
        """Cosines with the margin that fits each sample's length."""
        norms = norms.detach().clamp(*_NORM_RANGE)
        if self.training and len(norms) > 1:
            self.mean.lerp_(norms.mean().to(self.mean.dtype), self.momentum)
            self.std.lerp_(norms.std().to(self.std.dtype), self.momentum)
        levels = norm_levels(norms, self.mean, self.std, concentration=self.concentration)
        return adapt_margin(cos, labels, levels.to(cos.dtype), self.margin)


class MarginLoss(nn.Module):
    """Class centres on a sphere, and the loss of embeddings against them.

    Args:
        dim: Length of an embedding.
        n_classes: Number of people.
        margin: What is done to the cosines; None for the normalised softmax.
        scale: s in the papers.
        generator: Draws the first centres; None for torch's own.

    Raises:
        RangeError: If a number does not fit.
    """

    def __init__(
        self,
        dim: int,
        n_classes: int,
        margin: Margin | None = None,
        *,
        scale: float = 64.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_scale(scale)
        if dim < 1 or n_classes < 2:
            raise RangeError(
                what=f"there are {n_classes} classes of {dim} numbers",
                why="a class is told from another by a direction",
                mend="give at least two classes, and embeddings of one number or more",
            )
        self.scale = scale
        self.n_classes = n_classes
        self.margin: Margin = NoMargin() if margin is None else margin
        # Only directions count; small at first, so that they turn quickly (ArcFace's code).
        self.centres = nn.Parameter(torch.empty(n_classes, dim))
        nn.init.normal_(self.centres, std=0.01, generator=generator)

    def forward(
        self, embeddings: Tensor, labels: Tensor, *, competing: Tensor | None = None
    ) -> Tensor:
        """Mean loss over the batch, in nats.

        Computed in float32 or wider, whatever the precision around.

        Args:
            embeddings: (b, d), of any length.
            labels: (b,) int64, 0 … n_classes - 1.
            competing: (c,) int64, sorted and each once: the classes that take part, among them all
                of the batch; None for all classes. See `mien.losses.partial_fc`.

        Raises:
            ShapeError: If embeddings are not (b, d) or labels not (b,) int64.
            RangeError: If an embedding is not finite, a label names no class, or the class of a
                sample does not take part.
        """
        check_rows(embeddings, "embeddings", self.centres.shape[1])
        check_labels(labels, len(embeddings), self.n_classes)
        centres: Tensor = self.centres
        if competing is not None:
            centres, labels = centres[competing], _renumber(labels, competing)
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = embeddings.to(torch.promote_types(embeddings.dtype, centres.dtype))
            norms = torch.linalg.vector_norm(embeddings, dim=1)  # b
            directions = functional.normalize(centres, dim=1).to(embeddings.dtype)
            cos = functional.normalize(embeddings, dim=1) @ directions.T  # b k
            return cross_entropy(self.margin(cos, labels, norms), labels, self.scale)


def build_margin_loss(
    name: MarginName,
    dim: int,
    n_classes: int,
    *,
    margin: float | None = None,
    scale: float = 64.0,
    generator: torch.Generator | None = None,
) -> MarginLoss:
    """A margin loss by name.

    Args:
        name: ``"softmax"``, ``"cosface"``, ``"arcface"`` or ``"adaface"``.
        dim: Length of an embedding.
        n_classes: Number of people.
        margin: m of the paper, radians for ArcFace; None for the paper's own value.
        scale: s in the papers.
        generator: Draws the first centres; None for torch's own.

    Raises:
        ConfigError: If there is no loss of that name, or softmax is given a margin.
        RangeError: If a number does not fit.
    """
    if name not in DEFAULT_MARGINS:
        raise ConfigError(
            what=f"the margin loss is {name!r}",
            why=f"there are {', '.join(DEFAULT_MARGINS)}",
            mend="choose one of them",
        )
    if name == "softmax" and margin:
        raise ConfigError(
            what=f"softmax is given the margin {margin}",
            why="it has none",
            mend="leave the margin out, or choose cosface, arcface or adaface",
        )
    value = DEFAULT_MARGINS[name] if margin is None else margin
    return MarginLoss(dim, n_classes, _margin_of(name, value), scale=scale, generator=generator)


def _margin_of(name: MarginName, value: float) -> Margin:
    if name == "cosface":
        return CosineMargin(value)
    if name == "arcface":
        return AngularMargin(value)
    return AdaptiveMargin(value) if name == "adaface" else NoMargin()


def _renumber(labels: Tensor, competing: Tensor) -> Tensor:
    """Places of the labels among the competing classes."""
    places = torch.searchsorted(competing, labels)
    found = competing[places.clamp(max=len(competing) - 1)]
    if not bool((found == labels).all()):
        raise RangeError(
            what="the class of a sample is not among the competing ones",
            why="it could not win, and the loss would teach the wrong class",
            mend="keep every class of the batch, as sample_classes does",
        )
    return places


def _check_adaptive(concentration: float, momentum: float) -> None:
    for value, name in ((concentration, "concentration"), (momentum, "momentum")):
        if not 0 < value <= 1:
            raise RangeError(
                what=f"{name} is {value}",
                why="it is a share of a deviation or of an average",
                mend="pass a number above 0 and up to 1",
            )
