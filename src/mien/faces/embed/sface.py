"""SFace: 128-dimensional templates from a MobileNet-sized network.

Source: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition",
IEEE TIP 2021; weights of the OpenCV model zoo (2021dec). The network takes RGB, 0-255, and
normalises by itself.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mien.core.errors import IntegrityError
from mien.core.types import Array, Float32, UInt8
from mien.faces.align import Alignment, crop_face
from mien.faces.engines.protocol import Engine

_BATCH: Final = 8  # larger batches leave the cache and gain nothing


class SfaceEmbedder:
    """SFace on any engine."""

    name = "sface"
    dim = 128
    code_version = 1

    def __init__(self, engine: Engine, *, weights_sha256: str) -> None:
        self._engine = engine
        self.fingerprint = f"{weights_sha256[:16]}.{self.code_version}"

    def crop(self, pixels: UInt8, box: Array, alignment: Alignment) -> UInt8:
        """See `Embedder.crop`: the five-point crop of 112 x 112."""
        return crop_face(pixels, alignment, 112)

    def embed(self, crops: Sequence[UInt8]) -> Float32:
        """See `Embedder.embed`."""
        parts = [self._embed(crops[k : k + _BATCH]) for k in range(0, len(crops), _BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)

    def _embed(self, crops: Sequence[UInt8]) -> Float32:
        batch = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32)
        (raw,) = self._engine.run(batch).values()
        return normalise(raw)


def normalise(raw: Array) -> Float32:
    """Scale rows to length 1.

    Args:
        raw: (b, d), finite, no row all zero.

    Returns:
        (b, d) float32.

    Raises:
        IntegrityError: If a row is not finite or has no length; such a template matches anyone.
    """
    length = np.linalg.norm(raw, axis=1, keepdims=True)
    if not np.isfinite(length).all() or (length < 1e-6).any():
        raise IntegrityError(
            what="the embedder returned a template that is not finite, or zero",
            why="it could not be told from any other face",
            mend="check the weight file with `mien doctor`, and report this if it persists",
        )
    return np.asarray(raw / length, np.float32)
