"""What an embedder is built from. Imports no torch."""

from dataclasses import dataclass
from typing import Literal, Self

from mien.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class EmbedderConfig:
    """A small face embedder.

    Source:
        Chen, Liu, Gao, Han, "MobileFaceNets", CCBR 2018, table 1, for the layers ``"paper"``.

    Attributes:
        layers: ``"paper"``: MobileFaceNet; ``"tiny"``: four bottlenecks, for tests.
        input_px: Side of the aligned crop that it sees; a multiple of 16.
        embedding_dim: Length of a template.
        width: What the paper's channels are multiplied by; without effect on ``"tiny"``, so it
            must be 1 there.
    """

    layers: Literal["paper", "tiny"] = "paper"
    input_px: int = 112
    embedding_dim: int = 128
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.input_px < 16 or self.input_px % 16:
            raise ConfigError(
                what=f"input_px is {self.input_px}",
                why="the network halves the crop four times",
                mend="use a multiple of 16, such as 64, 96 or 112",
                path="input_px",
            )
        if self.embedding_dim < 1:
            raise ConfigError(
                what=f"embedding_dim is {self.embedding_dim}",
                why="it is the length of a template",
                mend="use 1 or more; 128 is usual",
                path="embedding_dim",
            )
        if not 0 < self.width <= 8 or (self.layers == "tiny" and self.width != 1):
            raise ConfigError(
                what=f"width is {self.width} for the layers {self.layers!r}",
                why="it multiplies the paper's channels, by up to 8; tiny layers are as they are",
                mend="use a number above 0 and up to 8 with the paper's layers, else 1",
                path="width",
            )

    @classmethod
    def tiny(cls) -> Self:
        """Built and run in milliseconds: for tests and first steps."""
        return cls(layers="tiny", input_px=32, embedding_dim=32)

    @classmethod
    def small(cls) -> Self:
        """0.28 million parameters on crops of 64 px: trained on a processor's two cores."""
        return cls(input_px=64, width=0.5)

    @classmethod
    def paper(cls) -> Self:
        """The published size: 0.99 million parameters on crops of 112 px."""
        return cls()
