"""What every embedder can do."""

from collections.abc import Sequence
from typing import Protocol

from mien.core.types import Array, Float32, UInt8
from mien.faces.align import Alignment


class Embedder(Protocol):
    """Makes templates. Implementations are safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """Short name, such as ``"sface"``."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever templates could: hash of the weights and version of the code."""

    @property
    def dim(self) -> int:
        """Length of a template."""

    def crop(self, pixels: UInt8, box: Array, alignment: Alignment) -> UInt8:
        """The piece of a picture that the network wants to see.

        Args:
            pixels: (h, w, 3) uint8 RGB.
            box: (4,) the face's box.
            alignment: The face's alignment to the 112 x 112 template.

        Returns:
            (s, s, 3) uint8 RGB; s is the same for every face.
        """

    def embed(self, crops: Sequence[UInt8]) -> Float32:
        """Templates of several crops.

        Args:
            crops: Pieces made by `crop`.

        Returns:
            (b, d) float32, each row of length 1, so that a dot product is the cosine similarity.
        """
