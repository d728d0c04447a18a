"""The contract id: which pipeline made a template.

Two templates may be compared when detector, aligner and embedder agree to the hash. The engine is
not part of it: engines give equal templates (cosine above 0.9999, pinned by tests).
"""

import hashlib
import json
from dataclasses import dataclass

from mien.core.config import to_mapping
from mien.faces import align
from mien.faces.detect.protocol import Detector
from mien.faces.embed.protocol import Embedder


@dataclass(frozen=True, slots=True)
class Contract:
    """What a template depends on.

    Attributes:
        detector: Name of the detector.
        detector_fingerprint: Its weights and code version.
        aligner: Code version of the alignment.
        embedder: Name of the embedder.
        embedder_fingerprint: Its weights and code version.
        dim: Length of a template.
    """

    detector: str
    detector_fingerprint: str
    aligner: int
    embedder: str
    embedder_fingerprint: str
    dim: int

    @property
    def id(self) -> str:
        """Short id, such as ``sface-128-1f0c9a2b7d3e``."""
        text = json.dumps(to_mapping(self), sort_keys=True)
        return f"{self.embedder}-{self.dim}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def contract_of(detector: Detector, embedder: Embedder) -> Contract:
    """The contract of a pipeline."""
    return Contract(
        detector=detector.name,
        detector_fingerprint=detector.fingerprint,
        aligner=align.CODE_VERSION,
        embedder=embedder.name,
        embedder_fingerprint=embedder.fingerprint,
        dim=embedder.dim,
    )
