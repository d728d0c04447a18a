"""How faces are put together: every setting, with where its default comes from."""

from dataclasses import dataclass

from mien.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """Settings of clustering.

    The defaults are for SFace, and were chosen by ``benchmarks.clustering`` on half of its people:
    the threshold by the mean F of faces that come at once and in ten pieces, the penalty by the
    mean F over photos of strangers and of look-alikes, the quality by photos made poor on purpose.
    What the last two bring is little there. With 7,000 strangers in the folder the same threshold
    was still near the best.

    Attributes:
        threshold: Smallest average cosine of two clusters that are one person, above 0 to 1.
        same_photo_penalty: Cosine that it costs two clusters if every face of the smaller has a
            companion in the same photo in the other; 0-2, and 0 knows no photos. Only a prior: a
            mirror, a collage or a poster may show one person twice.
        clear_quality: Two faces that are both of lower quality, 0-100, do not vouch for each
            other: what they share may be the darkness. Each may still join clear faces.
        neighbours: For each face only so many pairs are looked at, the most alike; at least 1.
    """

    threshold: float = 0.45
    same_photo_penalty: float = 0.05
    clear_quality: float = 50.0
    neighbours: int = 100

    def __post_init__(self) -> None:
        _check_span("threshold", self.threshold, 1e-6, 1.0)
        _check_span("same_photo_penalty", self.same_photo_penalty, 0.0, 2.0)
        _check_span("clear_quality", self.clear_quality, 0.0, 100.0)
        if self.neighbours < 1:
            raise ConfigError(
                what=f"neighbours is {self.neighbours}",
                why="a face that is compared with none stays alone",
                mend="pass 1 or more; 100 by default",
            )


def _check_span(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(
            what=f"{name} is {value}",
            why=f"it lies between {low:g} and {high:g}",
            mend="choose a value in between, or leave it out",
        )
