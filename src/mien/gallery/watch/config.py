"""Settings of `Watcher`: how often to look, when to decide, when to take it back."""

import math
from dataclasses import dataclass, field
from typing import Final

from mien.core.errors import ConfigError
from mien.faces.parts import PipelineConfig
from mien.faces.quality import QualityGate
from mien.faces.track import TrackerConfig
from mien.gallery.decide import AMBIGUITY_MARGIN

FILM_MIN_FACE_PX: Final = 40.0
"""Smallest face side to look for in films, for `PipelineConfig.min_face_px`.

In frames of 720 lines looking for faces of 20 pixels takes the detector about twice as long.
"""


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """Settings of a `Watcher`.

    Attributes:
        fpir: Tolerated share of *tracks* of unknown people that are named, whatever their length.
        margin: Cosine by which the best person must lead the second best.
        looks: How often one track may be compared with the gallery; ``fpir`` is divided by it.
        growth: After the decision the next look comes when the evidence has grown this many times.
        look_gap_s: Least time between two looks at one track.
        min_evidence: Evidence for the first look. A face of quality q of 100 adds (q / 100)².
        agree: Looks in a row that must say the same before a match is announced, or a decision
            taken back.
        clear_cos: A score this far above the threshold needs one look only.
        hysteresis_cos: A decision is taken back only by a score this far beyond the threshold, so
            that faces near it do not flap.
        unknown_samples: Faces after which a track without a match is called unknown or ambiguous.
        patience_s: Age at which a track is decided with what there is; without any usable face
            it is then not comparable.
        max_samples: Templates kept of one track.
        half_life_s: A sample's weight halves in this time, so that a track follows what it shows.
        max_covered: A face hidden by another head to a larger share is no evidence; 0-1.
        detect_every: Detect on each n-th frame; boxes between are carried on at even speed.
        max_side_px: Larger frames are shrunk for the detector; crops come from the full frame.
        gate: Quality that a face must have to be evidence.
        tracker: Settings of the tracker.
    """

    fpir: float = 0.01
    margin: float = AMBIGUITY_MARGIN
    looks: int = 10
    growth: float = 2.0
    look_gap_s: float = 0.2
    min_evidence: float = 0.5
    agree: int = 2
    clear_cos: float = 0.1
    hysteresis_cos: float = 0.03
    unknown_samples: int = 6
    patience_s: float = 2.0
    max_samples: int = 24
    half_life_s: float = 30.0
    max_covered: float = 0.15
    detect_every: int = 1
    max_side_px: int = 1280
    gate: QualityGate = field(default_factory=QualityGate.probe)
    tracker: TrackerConfig = field(default_factory=lambda: TrackerConfig(refresh_s=0.5))

    def __post_init__(self) -> None:
        """Check that the settings agree with each other."""
        rules = {
            "0 < fpir < 1": 0 < self.fpir < 1,
            "margin >= 0": self.margin >= 0,
            "1 <= agree <= looks": 1 <= self.agree <= self.looks,
            "growth > 1": 1 < self.growth < math.inf,
            "look_gap_s >= 0": self.look_gap_s >= 0,
            "min_evidence > 0": self.min_evidence > 0,
            "clear_cos >= 0": self.clear_cos >= 0,
            "hysteresis_cos >= 0": self.hysteresis_cos >= 0,
            "unknown_samples >= 1": self.unknown_samples >= 1,
            "patience_s > 0": self.patience_s > 0,
            "max_samples >= 1": self.max_samples >= 1,
            "half_life_s > 0": self.half_life_s > 0,
            "0 <= max_covered <= 1": 0 <= self.max_covered <= 1,
            "detect_every >= 1": self.detect_every >= 1,
            "max_side_px >= 32": self.max_side_px >= 32,
        }
        for rule, is_kept in rules.items():
            if not is_kept:
                raise ConfigError(
                    what=f"the watcher's settings break the rule {rule}",
                    why="otherwise no track could be decided as described",
                    mend="change the settings named in the rule",
                )

    @property
    def look_fpir(self) -> float:
        """The false alarm rate left to a single look."""
        return self.fpir / self.looks


def film_pipeline(provider: str = "onnxruntime", *, threads: int | None = None) -> PipelineConfig:
    """The parts of a pipeline for films: as for photos, without the smallest faces.

    Args:
        provider: Engine of the networks.
        threads: Threads of one call of a network; None for all that the quota allows, since one
            film has no other picture to work on meanwhile.
    """
    return PipelineConfig(provider=provider, threads=threads, min_face_px=FILM_MIN_FACE_PX)
