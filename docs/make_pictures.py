"""Draw the pictures of the documentation with mien itself: ``python docs/make_pictures.py``.

``demo-identify.jpg``: the answered photos of `mien demo`; ``scores.svg``: the score distributions
of the shipped calibration with the thresholds of two error rates.
"""

import tempfile
from pathlib import Path

from PIL import Image

from mien.faces.pipeline import FacePipeline
from mien.gallery.calibration import shipped_table
from mien.reports.charts import Mark, histogram
from mien.reports.demo import frame_of, run_demo

PICTURES = Path(__file__).with_name("pictures")


def main() -> None:
    """Write both pictures."""
    PICTURES.mkdir(exist_ok=True)
    pipeline = FacePipeline.open()
    with tempfile.TemporaryDirectory() as folder:
        result = run_demo(Path(folder), pipeline)
    framed = frame_of([one.portrait for one in result.answered], height_px=420)
    Image.fromarray(framed).save(PICTURES / "demo-identify.jpg", quality=88)
    table = shipped_table(pipeline.contract.id)
    marks = [Mark(table.threshold_for(rate).threshold, f"FMR {rate:g}") for rate in (1e-2, 1e-4)]
    chart = histogram(table.edges, table.genuine_counts, table.impostor_counts, marks=marks)
    (PICTURES / "scores.svg").write_text(chart)


if __name__ == "__main__":
    main()
