"""dlib's ResNet: 128-dimensional templates from a network of 29 convolutions (extra ``dlib``).

Source: King, "High Quality Face Recognition with Deep Metric Learning", dlib blog, February 2017;
weights of dlib-models. The five points are found by its own predictor (Kazemi, Sullivan, "One
Millisecond Face Alignment with an Ensemble of Regression Trees", CVPR 2014), for the network knows
no other alignment. We differ in two points:

* dlib looks for the points in an upright square about its detector's box; we draw the face upright
  at a fixed size first, by our own alignment. The points are whole pixels, so a fixed size bounds
  their error, and turned heads, huge faces and faces beyond the frame are no special cases.
* dlib compares by Euclidean distance of templates as they come, of length about 1.3 (the same
  person below 0.6). Ours have length 1, so that a dot product is the cosine similarity.
"""

import threading
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from mien.core.errors import IntegrityError, ShapeError
from mien.core.optional import require as require_package
from mien.core.types import Array, Float32, UInt8
from mien.core.weights import ResolvedWeights, resolve_weights
from mien.faces.align import Alignment
from mien.faces.embed.sface import normalise
from mien.media.geometry import warp_affine

_CHIP_PX: Final = 150
_PADDING: Final = 0.25  # of the face's side, all round, as in training

# The canvas on which the points are looked for: the 112 x 112 template of `align`, with a margin
# for the predictor and the chip, drawn at twice its size.
_SCALE: Final = 2.0
_MARGIN: Final = 56.0
_CANVAS_PX: Final = 448
# Where dlib's own detector puts its square in the template: medians over 172 photos.
_SQUARE_CENTRE: Final = (56.0, 73.8)
_SQUARE_SIDE: Final = 88.8


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
        left, top = (round((c + _MARGIN - _SQUARE_SIDE / 2) * _SCALE) for c in _SQUARE_CENTRE)
        side = round(_SQUARE_SIDE * _SCALE)
        self._square = self._dlib.rectangle(left, top, left + side - 1, top + side - 1)
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

        Raises:
            RangeError: If the alignment's map is not finite or cannot be inverted.
        """
        canvas_matrix = alignment.matrix * _SCALE
        canvas_matrix[:, 2] += _MARGIN * _SCALE
        canvas = warp_affine(pixels, canvas_matrix, (_CANVAS_PX, _CANVAS_PX))
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


def _load(kind: Any, weights: ResolvedWeights) -> Any:
    try:
        return kind(str(weights.path))
    except RuntimeError as err:
        raise IntegrityError(
            what=f"{weights.path} cannot be loaded ({err})",
            why=f"it is not a model that dlib's {kind.__name__} can read",
            mend="run: pip install --force-reinstall 'mien[dlib]'",
        ) from err
