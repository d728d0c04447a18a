"""dlib's ResNet: 128-dimensional templates from a network of 29 convolutions (extra ``dlib``).

Source: King, "High Quality Face Recognition with Deep Metric Learning", dlib blog, February 2017;
weights of dlib-models. The five points are found by its own predictor (Kazemi, Sullivan, "One
Millisecond Face Alignment with an Ensemble of Regression Trees", CVPR 2014), for the network knows
no other alignment. We differ in two points:

* dlib looks for the points in its own detector's square, in the picture. We derive that square
  from our detector's box and draw it at a fixed size first: the points are whole pixels, so small
  faces lose by rounding, while huge ones and those beyond the frame are no special cases this way.
* dlib compares by Euclidean distance of templates as they come, of length about 1.4 (one person
  below 0.6). Ours have length 1, so that a dot product is the cosine similarity. On 554,931 pairs
  of LFW photos that raised TAR at FAR 1e-3 from 87 to 91 %, and the equal error rate from 1.3 to
  1.5 %.
"""

import math
import threading
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from mien.core.errors import IntegrityError, RangeError, ShapeError
from mien.core.optional import require as require_package
from mien.core.types import Array, Float32, Float64, UInt8
from mien.core.weights import ResolvedWeights, resolve_weights
from mien.faces.align import Alignment
from mien.faces.embed.sface import normalise
from mien.media.geometry import warp_affine

_CHIP_PX: Final = 150
_PADDING: Final = 0.25  # of the face's side, all round, as in training

# Where dlib's own detector puts its square, in units of the root of our box's area: medians over
# 172 photos that benchmarks/fusion.py was not run on.
_SQUARE_SIDE: Final = 0.96
_SQUARE_DOWN: Final = 0.073  # its centre below the box's centre

# The canvas that the square is drawn on, with a margin that holds the chip of a tilted head.
_SQUARE_PX: Final = 160
_MARGIN_PX: Final = 120
_CANVAS_PX: Final = _SQUARE_PX + 2 * _MARGIN_PX


class DlibEmbedder:
    """dlib's 5-point predictor and ResNet.

    Safe to call from several threads, and no faster by it: dlib keeps Python's global lock while
    it computes. Use processes to embed on several cores.
    """

    name = "dlib"
    dim = 128
    code_version = 1

    def __init__(self, *, network: ResolvedWeights, predictor: ResolvedWeights) -> None:
        """Load both models.

        Args:
            network: Weights of the card ``dlib_resnet``.
            predictor: Weights of the card ``dlib_5_points``.

        Raises:
            ExtraMissingError: If dlib is not installed.
            IntegrityError: If dlib cannot read a file.
        """
        self._dlib = require_package("dlib", extra="dlib")
        self._predictor = _load(self._dlib.shape_predictor, predictor)
        self._network = _load(self._dlib.face_recognition_model_v1, network)
        # The network keeps its activations in itself; the predictor only reads.
        self._lock = threading.Lock()
        last = _MARGIN_PX + _SQUARE_PX - 1
        self._square = self._dlib.rectangle(_MARGIN_PX, _MARGIN_PX, last, last)
        hashes = f"{network.sha256[:16]}.{predictor.sha256[:16]}"
        self.fingerprint = f"{hashes}.{self.code_version}"

    @classmethod
    def open(cls, *, require: Literal["commercial"] | None = None) -> "DlibEmbedder":
        """Find the weights and load them.

        Args:
            require: As in `resolve_weights`. The weights' card says ``unknown``, so
                ``"commercial"`` refuses them.

        Raises:
            ExtraMissingError: If dlib is not installed.
            WeightsMissingError: If the weights are not at hand.
            RefusedError: If the licence demanded is not given.
            IntegrityError: If a file is damaged.
        """
        require_package("dlib", extra="dlib")
        return cls(
            network=resolve_weights("dlib_resnet", require=require),
            predictor=resolve_weights("dlib_5_points", require=require),
        )

    def crop(self, pixels: UInt8, box: Array, alignment: Alignment) -> UInt8:
        """See `Embedder.crop`: the chip of 150 x 150, black outside the picture.

        The alignment is not used: the points come from dlib's predictor.

        Raises:
            RangeError: If the box is not finite or has no area.
        """
        canvas = warp_affine(pixels, _canvas_matrix(box), (_CANVAS_PX, _CANVAS_PX))
        points = self._predictor(canvas, self._square)
        chip = self._dlib.get_face_chip(canvas, points, size=_CHIP_PX, padding=_PADDING)
        return np.asarray(chip, np.uint8)

    def embed(self, crops: Sequence[UInt8]) -> Float32:
        """See `Embedder.embed`. Each template depends on its own crop alone, to the last bit.

        Raises:
            ShapeError: If a crop is not a chip made by `crop`.
        """
        # One at a time: a batch is no faster, and would keep all other threads waiting.
        raw = [self._describe(chip) for chip in crops]
        return normalise(np.array(raw)) if raw else np.zeros((0, self.dim), np.float32)

    def _describe(self, chip: UInt8) -> Array:
        if chip.shape != (_CHIP_PX, _CHIP_PX, 3) or chip.dtype != np.uint8:
            raise ShapeError(
                what=f"a crop has shape {chip.shape} and type {chip.dtype}",
                why=f"dlib's network takes ({_CHIP_PX}, {_CHIP_PX}, 3) of uint8",
                mend="pass what `DlibEmbedder.crop` returns",
            )
        with self._lock:
            return np.array(self._network.compute_face_descriptor(np.ascontiguousarray(chip)))


def _canvas_matrix(box: Array) -> Float64:
    """(2, 3) map from the picture to the canvas, which puts dlib's square in its place."""
    x0, y0, x1, y1 = (float(v) for v in box)
    if not math.isfinite(x0 + y0 + x1 + y1) or x1 <= x0 or y1 <= y0:
        raise RangeError(
            what=f"the face's box is {[x0, y0, x1, y1]}",
            why="a face is looked for in its area, and it has none",
            mend="pass x0 y0 x1 y1 with x0 < x1 and y0 < y1, in pixels",
        )
    unit = math.sqrt((x1 - x0) * (y1 - y0))
    scale = _SQUARE_PX / (_SQUARE_SIDE * unit)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 + _SQUARE_DOWN * unit
    middle = _CANVAS_PX / 2
    return np.array([[scale, 0, middle - scale * x], [0, scale, middle - scale * y]])


def _load(kind: Any, weights: ResolvedWeights) -> Any:
    try:
        return kind(str(weights.path))
    except RuntimeError as err:
        raise IntegrityError(
            what=f"{weights.path} cannot be loaded ({err})",
            why=f"it is not a model that dlib's {kind.__name__} can read",
            mend="run: pip install --force-reinstall 'mien[dlib]'",
        ) from err
